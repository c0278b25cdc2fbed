"""What the workbench stands on: settings, engine and files, opened after the first frame and closed in order."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.message import Message

from core.errors import EngineError
from core.status import Notice, NoticeKind
from tui.background import off_loop
from tui.frame import Frame
from tui.services import Services, open_services
from tui.state import Phase
from tui.typed_last import TYPED_WITHIN_S, keep_what_was_typed

# What the first frame does not need is imported after it.
if TYPE_CHECKING:
    from core.settings import Settings
    from tui.memory import Memory

log = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
CLOSE_WITHIN_S = 8.0
"""How long leaving waits for a key that has been typed to be handled, and for what was written to reach the disk."""


class Lifecycle(Frame):
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

    # -- opening ------------------------------------------------------------------------------------------------------

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

    def on_lifecycle_noticed(self, event: Noticed) -> None:
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

    # -- closing ------------------------------------------------------------------------------------------------------

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
