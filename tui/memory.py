"""Carries what is remembered into the workbench at its start, and what is chosen there back to the file."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.css.query import NoMatches

from core.chats.settings import ChatSettings
from core.errors import EngineError
from tui.background import off_loop
from tui.chat.model_choices import TIERS
from tui.chat.settings_screen import BadSetting, read_tools, write_tools
from tui.faces import FACES
from tui.models.order import Order
from tui.remembered import ChatChoice, Remembered, read_remembered, remembered_file, write_remembered

if TYPE_CHECKING:
    from tui.frame import Frame
    from tui.services import Services

log = logging.getLogger(__name__)


class Memory:
    """Of one workbench, made before a key can change anything that is remembered. What a key or the command line has
    said by the time that the file is read stays as it is."""

    def __init__(self, app: Frame) -> None:
        self._app = app
        self._before = app.theme, app.face, app.chat.defaults
        self._file = Path()
        self._kept = Remembered()
        self._refused = ""
        """Why the file could not be written the last time, "" if it could."""
        self._answers = ""
        """Who answered last time, as long as the chat cannot offer it yet."""
        self._overruled: dict[str, str] = {}
        """By tier, the model that was picked by hand before a setting named another: it waits until that goes."""
        self.ready = False
        """Whether what was kept is in force, so that what is chosen from now on replaces it."""

    async def recall(self, data_dir: Path) -> None:
        """Read the file of a data folder; apply the theme, the pane, the suite, the settings of new chats, and the tier
        that answers."""
        app, (theme, face, defaults) = self._app, self._before
        self._file = remembered_file(data_dir)
        self._kept, note = await off_loop(lambda: read_remembered(self._file), "remembered")
        kept, notes = self._kept, [note] if note else []
        if kept.theme and app.theme == theme:
            if kept.theme in app.available_themes:
                app.theme = kept.theme
            else:
                notes.append(f"There is no theme {kept.theme!r}.")
        stays = app.face_chosen or app.face != face or app.chat.input.composer.text
        if kept.face in FACES and kept.face != app.face and not stays:
            app.action_face(kept.face)
        if kept.answers and app.chat.bar.chosen == TIERS[0] and not app.chat.bar.choose(kept.answers):
            self._answers = kept.answers
        if kept.chat is not None and app.chat.defaults == defaults:
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
        """Put the models that were picked by hand into their roles, where no setting names others; and have the chat
        answered by the one that did last, before anything can be asked."""
        picked = {}
        for tier in ("quick", "full"):
            wanted = getattr(self._kept, tier)
            if not wanted or tier in self._app.state.chosen:
                continue
            if getattr(services.settings, f"{tier}_model"):
                self._overruled[tier] = wanted
                continue
            try:
                await off_loop(lambda wanted=wanted: services.engine.catalog.get(wanted), "catalog")  # type: ignore[misc]
                picked[tier] = wanted
            except EngineError as error:
                self._app.notify(error.message, title=f"Not the {tier} model any more", severity="warning")
        state = self._app.state
        self._app.state = replace(state, chosen=state.chosen | frozenset(picked), **picked)
        if answers := self._waiting_for:
            with contextlib.suppress(EngineError):  # it is said when models have been listed
                info = await off_loop(lambda: services.engine.catalog.get(answers), "catalog")
                self._app.chat.bar.offer(info)
                if self._waiting_for and self._app.chat.bar.choose(answers):
                    self._answers = ""
        self.ready = True

    def picked(self, tier: str) -> None:
        """Someone has picked a tier's model: what was picked for it before is over."""
        self._overruled.pop(tier, None)

    def models_listed(self) -> None:
        """The chat can offer models now: the first time, choose the one that answered last time, unless someone has
        chosen another; say it if that is not there."""
        answers, self._answers = self._waiting_for, ""
        if answers and not self._app.chat.bar.choose(answers):
            self._app.notify(f"{answers} does not answer any more: it is not here, or broken.", severity="warning")

    @property
    def _waiting_for(self) -> str:
        """Who is to answer as soon as it is listed; "" when nobody is waited for, or someone has chosen another."""
        return self._answers if self._app.chat.bar.chosen == TIERS[0] else ""

    def _now(self) -> Remembered:
        app = self._app
        picked = {tier: getattr(app.state, tier) or "" for tier in app.state.chosen} | self._overruled
        settings = app.chat.defaults
        chat = ChatChoice(**_plain(settings), tools=write_tools(settings.tools))
        return Remembered(
            theme=app.theme,
            face=app.face,
            answers=self._waiting_for or app.chat.bar.chosen,
            suite=app.golden.suite_folder,
            run=app.golden.last_run or self._kept.run,
            models_by=str(app.models.order),
            chat=chat,
            quick=picked.get("quick", ""),
            full=picked.get("full", ""),
        )

    def _beside_others(self, now: Remembered) -> Remembered:
        """What the file is to hold: what has changed here, and else what another workbench has written there since."""
        there, note = read_remembered(self._file)
        if note or there == Remembered():
            return now
        names = [field.name for field in fields(now)]
        changed = {name: getattr(now, name) for name in names if getattr(now, name) != getattr(self._kept, name)}
        return replace(there, **changed)

    def keep(self) -> None:
        """Write down what is chosen now, if it has changed. Blocks; a disk that refuses is logged, and asked again the
        next time."""
        if not self.ready:
            return
        try:
            now = self._now()
        except NoMatches:  # the program is ending: the parts that are asked have gone
            return
        if now == self._kept:
            return
        try:
            write_remembered(self._file, self._beside_others(now))
        except OSError as error:
            if str(error) != self._refused:
                log.warning("%s cannot be written: %s", self._file, error)
            self._refused = str(error)
        else:
            self._kept, self._refused = now, ""


def _plain(settings: ChatSettings) -> dict[str, Any]:
    """The settings but for the tools."""
    return {field.name: getattr(settings, field.name) for field in fields(settings) if field.name != "tools"}
