"""Carries what is remembered into the workbench at its start, and what is chosen there back to the file."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.css.query import NoMatches

from core.chats.settings import ChatSettings
from core.errors import EngineError
from tui.background import off_loop
from tui.chat.settings_screen import BadSetting, read_tools, write_tools
from tui.faces import FACES
from tui.models.order import Order
from tui.remembered import ChatChoice, Remembered, read_remembered, remembered_file, write_remembered

if TYPE_CHECKING:
    from tui.frame import Frame
    from tui.services import Services

log = logging.getLogger(__name__)


class Memory:
    """Of one workbench. What a key or the command line has said by the time that the file is read stays as it is."""

    def __init__(self, app: Frame, data_dir: Path) -> None:
        self._app = app
        self._file = remembered_file(data_dir)
        self._kept = Remembered()
        self._ready = False
        self._listed = False

    async def recall(self) -> None:
        """Read the file; apply the theme, the pane, the suite and the settings of new chats."""
        app, before = self._app, (self._app.theme, self._app.face, self._app.chat.defaults)
        self._kept, note = await off_loop(lambda: read_remembered(self._file), "remembered")
        kept, notes = self._kept, [note] if note else []
        if kept.theme and app.theme == before[0]:
            if kept.theme in app.available_themes:
                app.theme = kept.theme
            else:
                notes.append(f"There is no theme {kept.theme!r}.")
        if kept.face in FACES and kept.face != app.face == before[1] and not app.chat.input.composer.text:
            app.action_face(kept.face)
        if kept.chat is not None and app.chat.defaults == before[2]:
            try:
                values = {**asdict(kept.chat), "tools": read_tools(kept.chat.tools)}
                app.chat.begin_with(ChatSettings(**values))
            except BadSetting as error:
                notes.append(f"The chat's tools of {self._file} are not used: {error}")
        if kept.suite and not app.suite_named:
            if await off_loop(Path(kept.suite).is_dir, "suite"):
                app.golden.open_suite(Path(kept.suite))
            else:
                notes.append(f"The suite {kept.suite} is not there any more.")
        if kept.models_by and not app.models.order.column:
            app.models.order = Order.read(kept.models_by)
        if kept.run:
            app.golden.show_run(self._file.parent, kept.run)
        for sentence in notes:
            app.notify(sentence, title="Not remembered", severity="warning")

    async def recall_models(self, services: Services) -> None:
        """Put the models that were picked by hand into their roles, where no setting names others."""
        picked = {}
        for tier in ("quick", "full"):
            wanted = getattr(self._kept, tier)
            if not wanted or getattr(services.settings, f"{tier}_model") or tier in self._app.state.chosen:
                continue
            try:
                await off_loop(lambda wanted=wanted: services.engine.catalog.get(wanted), "catalog")  # type: ignore[misc]
                picked[tier] = wanted
            except EngineError as error:
                self._app.notify(error.message, title=f"Not the {tier} model any more", severity="warning")
        state = self._app.state
        self._app.state = replace(state, chosen=state.chosen | frozenset(picked), **picked)
        self._ready = True

    def models_listed(self) -> None:
        """The chat can offer models now: choose the one that answered last time, and say it if that is not there."""
        bar, answers = self._app.chat.bar, self._kept.answers
        bar.choose(answers)
        if answers and bar.chosen != answers and not self._listed:
            self._app.notify(f"{answers} does not answer any more: it is not here, or broken.", severity="warning")
        self._listed = True

    def _now(self) -> Remembered:
        app = self._app
        chosen = {tier: getattr(app.state, tier) or "" for tier in ("quick", "full") if tier in app.state.chosen}
        settings = app.chat.defaults
        chat = ChatChoice(**_plain(settings), tools=write_tools(settings.tools))
        return Remembered(
            theme=app.theme,
            face=app.face,
            answers=app.chat.bar.chosen,
            suite=app.golden.suite_folder,
            run=app.golden.last_run or self._kept.run,
            models_by=str(app.models.order),
            chat=chat,
            **chosen,
        )

    def keep(self) -> None:
        """Write down what is chosen now, if it has changed. Blocks; a disk that refuses is logged."""
        if not self._ready:
            return
        try:
            now = self._now()
        except NoMatches:  # the program is ending: the parts that are asked have gone
            return
        if now == self._kept:
            return
        self._kept = now
        try:
            write_remembered(self._file, now)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error)


def _plain(settings: ChatSettings) -> dict[str, Any]:
    """The settings but for the tools."""
    return {field.name: getattr(settings, field.name) for field in fields(settings) if field.name != "tools"}
