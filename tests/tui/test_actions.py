"""One list of actions feeds keys, help and palette; no key in it is one that terminals send for another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tui.conftest import until
from tui.actions import ACTIONS, PLACES, STOPS, Action, bindings
from tui.app import AssayApp
from tui.chat.composer import Composer
from tui.chat.export_screen import ExportScreen
from tui.chat.saved_chats import SavedChats
from tui.chat.settings_screen import ChatSettingsScreen
from tui.golden.case_screen import CaseScreen
from tui.golden.comparison_screen import ComparisonScreen
from tui.golden.duel_screen import DuelScreen
from tui.golden.explain_screen import ExplainScreen
from tui.golden.export_screen import ReportScreen
from tui.golden.matrix_screen import MatrixScreen
from tui.golden.review_screen import ReviewScreen
from tui.golden.runs_screen import RunsScreen
from tui.hub.card_screen import CardScreen
from tui.screens.confirm import Confirm
from tui.screens.jump import JumpOverlay
from tui.screens.keys import KeysScreen, key_names, keys_content
from tui.screens.picture_view import PictureView
from tui.screens.unsaved import Unsaved
from tui.widgets.choice import ChoiceList
from tui.wire.api_panel import ApiPanel
from tui.wire.beside_screen import BesideScreen
from tui.wire.exchange_screen import ExchangeScreen

EVERY = [action for actions in ACTIONS.values() for action in actions]


def test_ids_are_unique_and_every_action_is_explained() -> None:
    assert len({action.id for action in EVERY}) == len(EVERY)
    assert all(action.help and action.label for action in EVERY)


@pytest.mark.parametrize("key", ["ctrl+h", "ctrl+i", "ctrl+m", "ctrl+left_square_bracket"])
def test_keys_that_terminals_send_for_others_are_not_bound(key: str) -> None:
    assert not [action.id for action in EVERY if key in action.keys.split(",")]


def test_bindings_carry_ids_and_tooltips() -> None:
    for place in PLACES:
        for binding, action in zip(bindings(place), ACTIONS[place], strict=True):
            assert (binding.id, binding.tooltip) == (action.id, action.help)  # type: ignore[union-attr]


def test_no_key_means_two_things_in_one_place() -> None:
    for place, actions in ACTIONS.items():
        keys = [key for action in actions for key in action.keys.split(",")]
        assert len(keys) == len(set(keys)), place


def test_the_help_shows_every_action() -> None:
    text = keys_content().plain
    for action in EVERY:
        assert action.help in text
        assert key_names(action) in text


OPENED: dict[str, type] = {
    "settings": ChatSettingsScreen,
    "saved": SavedChats,
    "card": CardScreen,
    "completing": Composer,
    "choice": ChoiceList,
    "export": ExportScreen,
    "question": Confirm,
    "unsaved": Unsaved,
    "pictures": PictureView,
    "api": ApiPanel,
    "exchange": ExchangeScreen,
    "beside": BesideScreen,
    "review": ReviewScreen,
    "runs": RunsScreen,
    "comparison": ComparisonScreen,
    "matrix": MatrixScreen,
    "explanation": ExplainScreen,
    "case": CaseScreen,
    "report": ReportScreen,
    "duel": DuelScreen,
    "keys": KeysScreen,
    "jump": JumpOverlay,
}
"""What has the keys of places that are not there at the start."""


def _owner(app: AssayApp, place: str) -> object:
    homes = {"app": app, "message": app.chat.transcript, "text": app.chat.input.composer}
    return homes.get(place) or app.query_one(f"#{place}")


async def test_every_action_exists_and_has_its_twin_in_the_palette(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        titles = {command.help for command in workbench.get_system_commands(workbench.screen)}
        for place, actions in ACTIONS.items():
            if place in OPENED:
                assert all(hasattr(OPENED[place], f"action_{action.run.partition('(')[0]}") for action in actions)
                continue
            for action in actions:
                method = "action_" + re.match(r"(?:app\.)?(\w+)", action.run)[1]  # type: ignore[index]
                owner = workbench if action.run.startswith("app.") else _owner(workbench, place)
                assert hasattr(owner, method), action.id
                assert action.help in titles or _has_no_twin(place, action)


def _has_no_twin(place: str, action: Action) -> bool:
    """The same thing under another key, or one that means something only while writing or on a message."""
    return place in ("text", "message") or action.id in ("app.help", "chat.newline") or action.run.startswith(STOPS)


GUIDE = Path(__file__).parents[2] / "docs" / "workbench.md"
_KEY = re.compile(r"(ctrl\+[a-z\\]|alt\+[a-z]|F\d+)(?![a-z])")
_TEXTUALS_OWN = {"ctrl+p", "ctrl+c"}


_AS_THE_GUIDE_WRITES = {
    "enter": "⏎",
    "escape": "esc",
    "slash": "/",
    "asterisk": "*",
    "question_mark": "?",
    "ctrl+backslash": "ctrl+\\",
    "ctrl+right_square_bracket": "ctrl+]",
    "left": "←",
    "right": "→",
    "down": "↓",
    "up": "↑",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def _as_the_guide_writes(key: str) -> str:
    return key.upper() if re.fullmatch(r"f\d+", key) else _AS_THE_GUIDE_WRITES.get(key, key)


def test_the_guide_names_a_key_of_every_action_and_no_other() -> None:
    text = GUIDE.read_text()
    named = set(re.findall(r"`([^`\n]+)`", text)) | set(_KEY.findall(text))
    bound = {_as_the_guide_writes(key) for action in EVERY for key in action.keys.split(",")}
    missing = [a.id for a in EVERY if not {_as_the_guide_writes(key) for key in a.keys.split(",")} & named]
    assert missing == []
    assert set(_KEY.findall(text)) <= bound | _TEXTUALS_OWN
