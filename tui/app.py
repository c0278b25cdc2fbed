"""The workbench: opens what is behind the panes, routes messages between them, and owns what they share."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, work
from textual.app import SystemCommand
from textual.message import Message
from textual.screen import ModalScreen, Screen

from core.errors import EngineError
from core.log_file import log_file
from core.status import Notice, NoticeKind
from tui.actions import ACTIONS, DIALOGUES, PLACES, STOPS, Action
from tui.background import off_loop
from tui.frame import Frame
from tui.gone import names_one_gone, without_gone
from tui.services import Services, open_services, usual_models
from tui.state import ApiPhase, Phase
from tui.typed_last import TYPED_WITHIN_S, keep_what_was_typed

# What the first frame does not need is imported after it.
if TYPE_CHECKING:
    from core.settings import Settings
    from tui.hub.downloads_panel import DownloadsPanel
    from tui.memory import Memory
    from tui.models.pane import ModelsPane
    from tui.widgets.picture import Picture
    from tui.wire.pane import WirePane

log = logging.getLogger(__name__)

NOT_OVER_DIALOGUES = ("face", "jump", "api_panel", "command_palette")
"""Actions that would change what is behind a dialogue, or put something over it: it is answered or left first."""

STATUS_EVERY_S = 1.0
CLOSE_WITHIN_S = 8.0
"""How long leaving waits for a key that has been typed to be handled, and for what was written to reach the disk."""


class AssayApp(Frame):
    """Shows its frame first; panes, settings and what `opener` makes of them are read on workers after that.

    `when_settled` is called when the engine is up, when models have been listed, and when the golden suite was read.
    Settings that are wrong end the app, with the reason in `failure`.
    """

    class Noticed(Message):
        """The engine has said something; posted from its thread."""

        def __init__(self, notice: Notice) -> None:
            super().__init__()
            self.notice = notice

    def __init__(
        self,
        read_settings: Callable[[], Settings],
        opener: Callable[[Settings], Services] = open_services,
        suite: Path | None = None,
        when_settled: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(suite)
        self.settings: Settings | None = None
        self.left_behind = False
        """Whether the engine was not waited for: it was starting, which takes seconds, or did not end in time."""
        self._asked_to_leave = False
        self._files_safe = False
        """Whether everything that shall outlive the app is on the disk."""
        self._read_settings = read_settings
        self._reading: asyncio.Future[Settings] | None = None
        self._opener = opener
        self._when_settled = when_settled
        self._services: Services | None = None
        self._memory: Memory | None = None

    # -- from the first frame to the last -----------------------------------------------------------------------------

    def open(self) -> None:
        from tui.memory import Memory

        self._memory = Memory(self)
        if self.state.phase is not Phase.CLOSING:
            self._open()

    @work(exclusive=True, group="engine")
    async def _open(self) -> None:
        try:
            settings = await self._settings_read()
        except (EngineError, OSError) as error:
            self.failure = error
            self.exit()
            return
        try:
            services = await off_loop(lambda: self._opener(settings), "open")
        except Exception as error:
            self._failed(error)
            return
        self._services = services
        services.engine.listen(self._pass_on)
        text = tuple(services.text.items())
        self.state = replace(self.state, quick=services.quick, full=services.full, text=text)
        await self._typed_in.wait()
        await self._remember(settings, services)
        for pane in self._panes.values():
            pane.attach(services)
        self.set_interval(STATUS_EVERY_S, self._refresh_status)
        if await self._up(services, services.wait_until_up):
            self._when_settled()

    async def _up(self, services: Services, wait: Callable[[], None]) -> bool:
        """Show the engine once it answers; returns whether it does."""
        try:
            await off_loop(wait, "wait")
        except EngineError as error:
            self._failed(error)
            return False
        self.state = replace(self.state, phase=Phase.READY, status=services.engine.status())
        self.refresh_bindings()
        return True

    async def _settings_read(self) -> Settings:
        """The settings, read once, whoever asks first. Raises EngineError and OSError."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(off_loop(self._read_settings, "settings"))
        self.settings = await asyncio.shield(self._reading)
        return self.settings

    async def _remember(self, settings: Settings, services: Services) -> None:
        assert self._memory is not None
        await self._memory.recall(settings.data_dir)
        await self._memory.recall_models(services)
        self.set_interval(STATUS_EVERY_S, self._memory.keep)

    def _failed(self, error: Exception) -> None:
        log.error("The engine did not start.", exc_info=error)
        self.state = replace(self.state, phase=Phase.FAILED)
        self.notify(str(error), title="The engine did not start", severity="error", timeout=60)
        self.refresh_bindings()

    def _pass_on(self, notice: Notice) -> None:
        self.post_message(self.Noticed(notice))

    def on_assay_app_noticed(self, event: Noticed) -> None:
        self._refresh_status()
        if event.notice.kind is NoticeKind.ENGINE_DIED and self.state.phase is Phase.READY:
            again = "^] starts it anew. What is written and what came of answers is kept."
            self.notify(f"{event.notice.message} {again}", title="The engine has died", severity="error", timeout=60)
            self.refresh_bindings()

    def _refresh_status(self) -> None:
        if self._services is not None and self.state.phase is Phase.READY:
            self.state = replace(self.state, status=self._services.engine.status())

    @work(exclusive=True, group="engine")
    async def action_start_engine(self) -> None:
        """Start an engine anew that has died, or did not start: what asks for a model then loads it."""
        services = self._services
        self.state = replace(self.state, phase=Phase.STARTING, status=None)
        self.refresh_bindings()
        if services is None:
            self._open()
        elif await self._up(services, services.start_anew):
            self.notify("The engine is up again. Models are loaded when they are asked for.")

    async def action_quit(self) -> None:
        """Leave; asked first about changes that are not applied, and while downloads go on unless one says it twice."""
        closing, shown = self.state.phase is Phase.CLOSING, type(self.screen).__name__
        if shown in ("Unsaved", "NotSaved") and not closing:
            return  # the question comes first
        not_saved = self.chat_if_there is not None and self.chat_if_there.not_saved
        asks = self._typed_ahead.waiting or shown == "ChatSettingsScreen" or self.state.downloads or not_saved
        if asks and not (closing or self._asked_to_leave):
            self._ask_to_leave()
        else:
            await self.end()

    @work(exclusive=True, group="leave")
    async def _ask_to_leave(self) -> None:
        from tui.leaving import may_leave

        self._asked_to_leave = True
        try:
            leaves = await may_leave(self, self._typed_ahead.through(TYPED_WITHIN_S))
        finally:
            self._asked_to_leave = False
        if leaves:
            await self.end()

    async def end(self) -> None:
        """Keep what is written, stop what runs, the API and the engine, then leave; told twice, leave at once."""
        self.left_behind = self.left_behind or self.state.phase is Phase.STARTING or self._files_safe
        nothing_there = self._services is None and "chat" not in self._panes and not self._typed_ahead.waiting
        if nothing_there or self.state.phase is Phase.CLOSING:
            self.exit()
            return
        before = self.state.phase
        self.state = replace(self.state, phase=Phase.CLOSING)
        self._close(self._services, before)

    @work(exclusive=True, group="engine")
    async def _close(self, services: Services | None, before: Phase) -> None:
        from tui.leaving import may_close

        leaves = False
        try:
            await self._keep_all()
            leaves = await may_close(self, before)
            if leaves:
                await self._close_in_order(services)
        except TimeoutError:
            log.error("Closing did not end within %.0f s; the engine is left behind.", CLOSE_WITHIN_S)
            self.left_behind = leaves = True
        except Exception:
            log.exception("Closing failed.")
            leaves = True
        finally:
            if leaves:
                self._services = None
                self.exit()

    async def _keep_all(self) -> None:
        """Let everything that was typed reach the chat, and have the chat keep it."""
        try:
            await keep_what_was_typed(self._typed_ahead, lambda: self.chat_if_there, self._settings_read)
        except (EngineError, OSError) as error:
            self.failure = error
        if self.chat_if_there is not None:
            self.chat.end()

    async def _close_in_order(self, services: Services | None) -> None:
        if self.furnished:
            if self._memory is not None:
                self._memory.keep()
            self.golden.stop()
        hub = self.models.hub if "models" in self._panes else None
        chat = self.chat_if_there

        def close() -> None:
            if chat is not None:
                chat.close()
            self._files_safe = True
            waits = hub is not None and hub.close()
            if services is not None and not self.left_behind:
                services.close()
            self.left_behind = self.left_behind or waits  # at the usual end those threads would be waited for

        await asyncio.wait_for(off_loop(close, "close"), CLOSE_WITHIN_S)

    def _handle_exception(self, error: Exception) -> None:
        """What trips over parts that are gone while the program ends is of no use to anybody on the screen."""
        if self.state.phase is Phase.CLOSING:
            log.info("While closing: %r", error)
        else:
            super()._handle_exception(error)

    def close_services(self) -> None:
        """What a crash left running: the API and the engine. Blocks, for a bounded time."""
        services, self._services = self._services, None
        if services is None or self.left_behind:
            return
        closing = threading.Thread(target=services.close, name="assay-close", daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)
        self.left_behind = closing.is_alive()

    # -- between panes ------------------------------------------------------------------------------------------------

    def on_models_pane_role_chosen(self, event: ModelsPane.RoleChosen) -> None:
        """A tier whose usual model is picked is as if nobody had picked: text prompts go to its text model then."""
        usual = self._services is not None and getattr(self._services, event.tier) == event.model_id
        chosen = self.state.chosen - {event.tier} if usual else self.state.chosen | {event.tier}
        if self._memory is not None:
            self._memory.picked(event.tier)
        self.state = replace(self.state, chosen=chosen, **{event.tier: event.model_id})  # type: ignore[arg-type]

    def on_models_pane_chat_wanted(self, event: ModelsPane.ChatWanted) -> None:
        self.chat.bar.choose(event.model_id)
        self.action_face("chat")

    def on_models_pane_listed(self, event: ModelsPane.Listed) -> None:
        there = {info.id for info in event.models}
        if names_one_gone(self.state, there):
            self._stand_in(there)
        if gone := self.chat.bar.show_models(event.models):
            why = "cannot be loaded" if gone in there else "is not on this disk"
            instead = f"The {self.chat.bar.chosen} tier answers the chat now."
            self.notify(f"{gone} {why} any more. {instead}", severity="warning", timeout=10)
        if self._memory is not None:
            self._memory.models_listed()
        self._when_settled()

    @work(exclusive=True, group="tiers")
    async def _stand_in(self, there: Container[str]) -> None:
        """Give the tiers whose models have gone from the disk those that stand for them now."""
        services = self._services
        if services is None:
            return
        usual = await off_loop(lambda: usual_models(services.engine.catalog, services.settings), "tiers")
        self._services = replace(services, quick=usual.quick, full=usual.full, text=usual.text)
        self.state, told = without_gone(self.state, there, usual)
        for sentence in told:
            self.notify(sentence, severity="warning", timeout=10)

    def on_downloads_panel_changed(self, event: DownloadsPanel.Changed) -> None:
        self.state = replace(self.state, downloads=event.now)

    def on_golden_pane_suite_read(self) -> None:
        self._when_settled()

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        from tui.screens.picture_view import PictureView

        images = event.among or (event.image,)
        self.push_screen(PictureView(images, next((at for at, image in enumerate(images) if image is event.image), 0)))

    def on_paste(self, event: events.Paste) -> None:
        """A file dropped while no text field has the focus lands in the chat."""
        if not isinstance(self.screen, ModalScreen):
            self.action_face("chat")
        self.chat.input.composer.take_paste(event.text)

    def action_stop_pane(self, face: str) -> None:
        """Stop what one pane does."""
        if face == "models":
            self.models.stop()
        elif face == "chat":
            self.chat.stop()
        else:
            self.golden.stop()

    def action_leave(self) -> None:
        """Undo the filter; go back to the composer."""
        if self.face == "models":
            self.models.clear_filter()
        elif self.face == "wire":
            self.wire.clear_filter()
        elif self.face == "golden":
            self.golden.clear_filter()
        elif self.face == "chat":
            self.chat.focus_main()

    # -- the API ------------------------------------------------------------------------------------------------------

    @work(group="api")
    async def action_toggle_api(self) -> None:
        services, phase = self._services, self.state.api
        if {type(screen).__name__ for screen in self.screen_stack} & {
            "Confirm",
            "DeleteScreen",
        } or self.state.phase is Phase.CLOSING:
            return  # the question comes first
        if services is None:
            self.notify("The engine is still starting.")
        else:
            from tui.wire.api_switch import ApiSwitch

            await ApiSwitch(self, self._show_api).toggle(services.server, phase)

    def _show_api(self, phase: ApiPhase, url: str) -> None:
        self.state = replace(self.state, api=phase, api_url=url)

    def on_wire_pane_go_on(self, event: WirePane.GoOn) -> None:
        exchange = event.exchange
        if event.where == "golden":
            self.golden.add_case(exchange.request, exchange.results[0])
        else:
            from tui.wire.as_chat import as_chat

            self.chat.show_turns(*as_chat(exchange), exchange.request.model)
        self.action_face(event.where)

    def on_wire_pane_snippets_wanted(self) -> None:
        self.action_api_panel()

    def action_api_panel(self) -> None:
        if self._services is None or self.state.api is not ApiPhase.ON:
            self.notify(self.state.api.says, timeout=3)
            return
        from tui.wire.api_panel import ApiPanel

        model = self.state.quick or "pocket/qwen3"
        self.push_screen(ApiPanel(self.state.api_url, self._services.server.key, model))

    # -- help, palette, theme -----------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the whole workbench reach it through any screen: a dialogue lets few of them through."""
        if action == "stop_pane":
            return self._stoppable(str(parameters[0]))
        if action == "start_engine":
            return self.state.down
        if action in NOT_OVER_DIALOGUES:
            return not isinstance(self.screen, ModalScreen)
        return action != "keys" or type(self.screen).__name__ != "KeysScreen"

    def _stoppable(self, face: str) -> bool:
        """Whether a pane does something that can be stopped."""
        pane = self._panes.get(face)
        return pane is not None and bool(getattr(pane, "busy", False))

    def action_keys(self) -> None:
        from tui.screens.keys import KeysScreen, places_of, working_in

        log_path = log_file(self.settings.data_dir) if self.settings else None
        self.push_screen(KeysScreen(log_path, places_of(self.screen), working_in(self.screen)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """A palette entry for every action of the list, and Textual's own choice of themes."""
        yield SystemCommand("Theme", "Choose among all themes", self.action_change_theme)
        for place, actions in ACTIONS.items():
            for action in () if place in DIALOGUES else actions:
                if _has_entry(place, action):
                    title = action.label if place == "app" else f"{PLACES[place].split(',')[0]}: {action.label}"
                    yield SystemCommand(title, action.help, partial(self._run_from_palette, place, action.run))

    async def _run_from_palette(self, place: str, action: str) -> None:
        node = (
            self.chat.input.composer if place == "composer" else self if place == "app" else self.query_one(f"#{place}")
        )
        if place != "app":
            self.face = {"composer": "chat", "hub": "models"}.get(place, place)
        if place in ("models", "hub") and action != "show_hub":
            self.models.show_view(hub=place == "hub")
        if not await self.run_action(action, node):
            self.notify("There is nothing to do this to now.", timeout=3)


def _has_entry(place: str, action: Action) -> bool:
    """Whether the palette lists an action: not one that means something only while writing or on a message, nor the
    same thing under another key."""
    twin = action.id == "app.help" or (place != "app" and action.run.startswith(STOPS))
    return place not in ("text", "message", "settings", "saved", "card") and not twin and action.id != "chat.newline"
