"""Every key of the workbench, by place; those of the part that has the focus come first."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.actions import ACTIONS, DIALOGUES, PLACES, Action, bindings
from tui.foreign import plain
from tui.screens.legend import legend
from tui.widgets.footer import KeyFooter

_GLYPHS = {
    "enter": "⏎",
    "escape": "esc",
    "slash": "/",
    "asterisk": "*",
    "question_mark": "?",
    "ctrl+backslash": "^\\",
    "left": "←",
    "right": "→",
    "down": "↓",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "backspace": "⌫",
    "delete": "del",
}


def key_names(action: Action) -> str:
    """An action's keys as people write them: ^t, F2, ⏎."""

    def name(key: str) -> str:
        if key in _GLYPHS:
            return _GLYPHS[key]
        held, _, rest = key.rpartition("+")
        rest = _GLYPHS.get(rest, rest)
        if held == "ctrl":
            return "^" + rest
        if held:
            return f"{held}+{rest}"
        return rest.upper() if rest.startswith("f") and rest[1:].isdigit() else rest

    return " ".join(name(key) for key in action.keys.split(","))


COLUMN = max(cell_len(key_names(action)) for actions in ACTIONS.values() for action in actions)
"""Cells of the keys' column."""


def places_of(screen: Screen[object]) -> list[str]:
    """The places whose keys work where the focus is, the innermost first. No key of the workbench is outside them."""
    homes = {action.id: place for place, actions in ACTIONS.items() for action in actions}
    closed = set(DIALOGUES) - {homes.get(id) for id in working_in(screen)}
    found: list[str] = []
    for node in (screen.focused or screen).ancestors_with_self:
        for bound in node._bindings.key_to_bindings.values():
            found += [homes[binding.id] for binding in bound if binding.id in homes]
    places = list(dict.fromkeys(place for place in found if place not in ("app", *closed)))
    return sorted(places, key=lambda place: place == "text")  # the field's own keys before those of all fields


def working_in(screen: Screen[object]) -> set[str]:
    """The actions that a key of theirs would run now, where the focus is."""
    return {active.binding.id for active in screen.active_bindings.values() if active.binding.id}


def keys_content(first: Sequence[str] = (), working: Container[str] | None = None) -> Content:
    """The whole list, some places before the others; of those, what is not `working` is dim. None says nothing."""
    lines: list[Content] = []
    for place in (*first, *(place for place in PLACES if place not in first)):
        here = ("  works now", "$dim") if place in first else ""
        lines += [Content(""), Content.assemble((PLACES[place], "bold $primary"), here)]
        for action in ACTIONS[place]:
            names = key_names(action)
            idle = place in first and working is not None and action.id not in working
            keys, text = ("$dim", f"{action.help}  not now") if idle else ("$primary", action.help)
            lines.append(Content.assemble((names.rjust(COLUMN), keys), "  ", (text, "$dim" if idle else "")))
    lines += [
        Content(""),
        Content.styled("Always there", "bold $primary"),
        Content.assemble(("^p".rjust(COLUMN), "$primary"), "  Every action by name, and the themes"),
        Content.assemble(("tab".rjust(COLUMN), "$primary"), "  To the next part of the screen; shift+tab goes back"),
        Content.assemble(
            ("↑ ↓".rjust(COLUMN), "$primary"), "  Earlier messages in the composer; rows in lists (also j, k)"
        ),
    ]
    lines += [Content(""), *legend()]
    return Content("\n").join(lines[1:])


class KeysScreen(ModalScreen[None]):
    """Escape closes it. `log` is the log's file, None while that is not known; `first` are the places to begin
    with, `working` the actions that work where the focus was.
    """

    BINDINGS: ClassVar = bindings("keys")

    def __init__(self, log: Path | None, first: Sequence[str] = (), working: Container[str] | None = None) -> None:
        super().__init__(classes="dialogue")
        self._log = log
        self._first = first
        self._working = working

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box keys-box") as box:
            box.border_title = "Keys"
            box.border_subtitle = "↑ ↓ scroll · esc closes"
            yield Static(keys_content(self._first, self._working), markup=False)
            if self._log is not None:
                yield Static(plain(f"\nThe log is {self._log}", "$dim"), markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        self.dismiss()
