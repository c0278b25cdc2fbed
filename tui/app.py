"""The workbench: lays the panes out, routes keys and messages between them, and owns what they share."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import events, getters, on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.containers import Horizontal
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer

from core.errors import EngineError
from core.golden.suite import BUILTIN
from core.settings import Settings
from core.status import Notice
from tui.actions import ACTIONS, PLACES, bindings
from tui.background import off_loop
from tui.chat.pane import ChatPane
from tui.faces import FACES, Faces
from tui.foreign import clean
from tui.golden.pane import GoldenPane
from tui.header_line import HeaderLine
from tui.models.pane import ModelsPane
from tui.screens.confirm import Confirm
from tui.screens.jump import JumpOverlay
from tui.screens.keys import KeysScreen
from tui.screens.picture_view import PictureView
from tui.services import Services, open_services
from tui.state import ApiPhase, Phase, WorkbenchState
from tui.terminal_guard import log_file
from tui.theme import DARK, LIGHT
from tui.widgets.picture import Picture
from tui.wire.api_panel import ApiPanel
from tui.wire.api_switch import ApiSwitch
from tui.wire.pane import WirePane

log = logging.getLogger(__name__)

MEDIUM, WIDE = 90, 140
"""Screens from MEDIUM cells on have a rail, from WIDE on all three panes."""

OPENS: dict[str, type[ModalScreen[Any]]] = {"keys": KeysScreen, "api_panel": ApiPanel, "jump": ModalScreen}
"""Actions, and the screens over which they open nothing."""

STATUS_EVERY_S = 1.0
CLOSE_WITHIN_S = 8.0


class AssayApp(App[None]):
    """Takes its services from `opener`, which runs on a worker after the first frame; `when_up` follows the engine."""

    TITLE = "assay"
    CSS_PATH: ClassVar = ["app.tcss", *(f"{face}/{face}.tcss" for face in FACES)]
    BINDINGS: ClassVar = bindings("app")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (MEDIUM, "-medium"), (WIDE, "-wide")]  # noqa: RUF012

    state: reactive[WorkbenchState] = reactive(WorkbenchState())
    face: reactive[str] = reactive("chat")
    maximised: reactive[bool] = reactive(False)

    models = getters.query_one(ModelsPane)
    chat = getters.query_one(ChatPane)
    golden = getters.query_one(GoldenPane)
    wire = getters.query_one(WirePane)

    class Noticed(Message):
        """The engine has said something; posted from its thread."""

        def __init__(self, notice: Notice) -> None:
            super().__init__()
            self.notice = notice

    def __init__(
        self,
        settings: Settings,
        opener: Callable[[Settings], Services] = open_services,
        suite: Path | None = None,
        when_up: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name
        self.settings = settings
        self._opener = opener
        self._suite = suite or BUILTIN
        self._when_up = when_up
        self._services: Services | None = None
        self._switch = ApiSwitch(self, self._show_api)
        self._panes: dict[str, ModelsPane | ChatPane | GoldenPane | WirePane] = {}

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The tiers' colours, for themes that do not know them."""
        return {"quick": DARK.variables["quick"], "full": DARK.variables["full"]}

    def compose(self) -> ComposeResult:
        yield HeaderLine().data_bind(AssayApp.state)
        with Horizontal(id="workspace"):
            yield Faces(id="faces").data_bind(AssayApp.state, active=AssayApp.face)
            yield ModelsPane("models").data_bind(AssayApp.state)
            yield ChatPane("chat").data_bind(AssayApp.state)
            yield GoldenPane("golden", self._suite).data_bind(AssayApp.state)
            yield WirePane("wire").data_bind(AssayApp.state)
        yield Footer(show_command_palette=False)

    # -- from the first frame to the last -----------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._panes = {"models": self.models, "chat": self.chat, "golden": self.golden, "wire": self.wire}
        self._show_faces()
        self.chat.focus_main()
        self.call_after_refresh(self._open)

    @work(exclusive=True, group="engine")
    async def _open(self) -> None:
        try:
            services = await off_loop(lambda: self._opener(self.settings), "open")
        except Exception as error:
            self._failed(error)
            return
        self._services = services
        services.engine.listen(self._pass_on)
        self.state = replace(self.state, quick=services.quick, full=services.full)
        for pane in self._panes.values():
            pane.attach(services)
        try:
            await off_loop(services.wait_until_up, "wait")
        except EngineError as error:
            self._failed(error)
            return
        self.state = replace(self.state, phase=Phase.READY, status=services.engine.status())
        self.set_interval(STATUS_EVERY_S, self._refresh_status)
        self._when_up()

    def _failed(self, error: Exception) -> None:
        log.error("The engine did not start.", exc_info=error)
        self.state = replace(self.state, phase=Phase.FAILED)
        self.notify(str(error), title="The engine did not start", severity="error", timeout=60)

    def _pass_on(self, notice: Notice) -> None:
        self.post_message(self.Noticed(notice))

    def on_assay_app_noticed(self) -> None:
        self._refresh_status()

    def _refresh_status(self) -> None:
        if self._services is not None and self.state.phase is Phase.READY:
            self.state = replace(self.state, status=self._services.engine.status())

    async def action_quit(self) -> None:
        """Stop what runs, the API and the engine, then leave; asked twice, leave at once."""
        if self._services is None or self.state.phase is Phase.CLOSING:
            self.exit()
            return
        self.state = replace(self.state, phase=Phase.CLOSING)
        self._close(self._services)

    @work(exclusive=True, group="engine")
    async def _close(self, services: Services) -> None:
        self.chat.stop()
        self.golden.stop()
        chat = self.chat

        def close() -> None:
            chat.close()
            services.close()

        try:
            await asyncio.wait_for(off_loop(close, "close"), CLOSE_WITHIN_S)
        except TimeoutError:
            log.error("The engine did not end within %.0f s; it is left behind.", CLOSE_WITHIN_S)
        except Exception:
            log.exception("Closing failed.")
        self._services = None
        self.exit()

    def close_services(self) -> None:
        """What a crash left running: the API and the engine. Blocks, for a bounded time."""
        services, self._services = self._services, None
        if services is None:
            return
        closing = threading.Thread(target=services.close, name="assay-close", daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """As Textual's, but nothing is ever read as markup, and no control character passes."""
        super().notify(clean(message), title=clean(title), severity=severity, timeout=timeout, markup=False)

    # -- faces --------------------------------------------------------------------------------------------------------

    def watch_face(self) -> None:
        self._show_faces()

    def watch_maximised(self) -> None:
        self._show_faces()

    def on_resize(self, event: events.Resize) -> None:
        self.call_next(self._show_faces)  # the app's own size follows this handler

    def _show_faces(self) -> None:
        """Decide which panes show, and mark the chosen one.

        Done here rather than by classes on the screen or :focus-within in a stylesheet: both make Textual style every
        widget of a long chat anew each time the focus moves.
        """
        if not self._panes:
            return
        wide = self.size.width >= WIDE
        side_by_side = wide and not self.maximised and self.face != "wire"
        colours = self.theme_variables
        for name, pane in self._panes.items():
            chosen = name == self.face
            pane.display = chosen or (side_by_side and name != "wire")
            pane.styles.border = ("round", colours["border" if chosen else "border-blurred"])
            pane.styles.border_title_color = colours["primary" if chosen else "foreground-muted"]
            pane.styles.border_title_style = "bold" if chosen else "none"
        self.query_one(Faces).display = not wide and not (self.maximised and self.size.width >= MEDIUM)

    def action_face(self, face: str) -> None:
        self.face = face
        self._panes[face].focus_main()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        for node in event.widget.ancestors_with_self:
            if node.id in FACES:
                self.face = node.id
                return

    @on(Faces.Chosen)
    def _face_chosen(self, event: Faces.Chosen) -> None:
        self.action_face(event.face)

    def action_maximise_face(self) -> None:
        self.maximised = not self.maximised

    @work(exclusive=True, group="jump")
    async def action_jump(self) -> None:
        """Letters over what can be gone to; only what is on the screen gets one."""
        targets = [
            target for pane in self._panes.values() for target in pane.jump_targets() if target.widget.region.area
        ]
        letter = await self.push_screen_wait(JumpOverlay(targets))
        for target in targets:
            if target.letter == letter:
                target.go()

    # -- between panes ------------------------------------------------------------------------------------------------

    @on(ModelsPane.RoleChosen)
    def _role_chosen(self, event: ModelsPane.RoleChosen) -> None:
        """A tier whose usual model is picked is as if nobody had picked: text prompts go to its text model then."""
        usual = self._services is not None and getattr(self._services, event.tier) == event.model_id
        chosen = self.state.chosen - {event.tier} if usual else self.state.chosen | {event.tier}
        self.state = replace(self.state, chosen=chosen, **{event.tier: event.model_id})  # type: ignore[arg-type]

    @on(ModelsPane.ChatWanted)
    def _chat_wanted(self, event: ModelsPane.ChatWanted) -> None:
        self.chat.bar.choose(event.model_id)
        self.action_face("chat")

    @on(ModelsPane.Listed)
    def _models_listed(self, event: ModelsPane.Listed) -> None:
        self.chat.bar.show_models(event.models)

    @on(Picture.Wanted)
    def _picture_wanted(self, event: Picture.Wanted) -> None:
        self.push_screen(PictureView(event.image))

    def on_paste(self, event: events.Paste) -> None:
        """A file dropped while no text field has the focus lands in the chat."""
        self.action_face("chat")
        self.chat.input.composer.take_paste(event.text)

    def action_stop(self) -> None:
        stopped = self.models.clear_filter() or self.chat.stop() or self.golden.stop()
        if not stopped and self.face == "chat":
            self.chat.focus_main()

    # -- the API ------------------------------------------------------------------------------------------------------

    @work(group="api")
    async def action_toggle_api(self) -> None:
        services, phase = self._services, self.state.api
        if isinstance(self.screen, Confirm) or self.state.phase is Phase.CLOSING:
            return  # the question comes first
        if services is None:
            self.notify("The engine is still starting.")
        else:
            await self._switch.toggle(services.server, phase)

    def _show_api(self, phase: ApiPhase, url: str) -> None:
        self.state = replace(self.state, api=phase, api_url=url)

    @on(WirePane.SnippetsWanted)
    def action_api_panel(self) -> None:
        if self._services is None or self.state.api is not ApiPhase.ON:
            self.notify(self.state.api.says, timeout=3)
            return
        model = self.state.quick or "pocket/qwen3"
        self.push_screen(ApiPanel(self.state.api_url, self._services.server.key, model))

    def action_help_quit(self) -> None:
        """ctrl+c copies in text fields and stops nothing: say what leaves."""
        self.notify("ctrl+q leaves.", timeout=3)

    # -- help, palette, theme -----------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing opens twice, nor over a question: keys of the whole workbench reach it through any screen."""
        return action not in OPENS or not isinstance(self.screen, (Confirm, OPENS[action]))

    def action_keys(self) -> None:
        self.push_screen(KeysScreen(log_file(self.settings.data_dir)))

    def action_switch_theme(self) -> None:
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def watch_theme(self) -> None:
        self.call_later(self._show_faces)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """A palette entry for every action of the list, and Textual's own choice of themes."""
        yield SystemCommand("Theme", "Choose among all themes", self.action_change_theme)
        for place, actions in ACTIONS.items():
            for action in actions:
                if action.id not in ("app.help", "chat.newline"):
                    title = action.label if place == "app" else f"{PLACES[place].split(',')[0]}: {action.label}"
                    yield SystemCommand(title, action.help, partial(self._run_from_palette, place, action.run))

    async def _run_from_palette(self, place: str, action: str) -> None:
        node = (
            self.chat.input.composer if place == "composer" else self if place == "app" else self.query_one(f"#{place}")
        )
        if place != "app":
            self.face = "chat" if place == "composer" else place
        await self.run_action(action, node)
