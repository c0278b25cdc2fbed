"""The switch of the local API: on, off, and what has to be asked or said on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import App

from core.errors import PortInUse
from tui.background import off_loop
from tui.screens.confirm import Confirm
from tui.state import ApiPhase

if TYPE_CHECKING:
    from server.lifecycle import ApiServer

log = logging.getLogger(__name__)


class ApiSwitch:
    """`show` is told each phase and, once the API is on, its address."""

    def __init__(self, app: App[None], show: Callable[[ApiPhase, str], None]) -> None:
        self._app = app
        self._show = show

    async def toggle(self, server: ApiServer, phase: ApiPhase) -> None:
        """Start what is off, stop what is on; what is under way is said. Call it on a worker: it may ask."""
        if phase is ApiPhase.OFF:
            await self._start(server)
        elif phase is ApiPhase.ON:
            await self._stop(server)
        else:
            self._app.notify(phase.says, timeout=3)

    async def _start(self, server: ApiServer, port: int | None = None) -> None:
        self._show(ApiPhase.STARTING, "")
        try:
            url = await off_loop(lambda: server.start(port), "api-start")
        except PortInUse as error:
            self._show(ApiPhase.OFF, "")
            if await self._app.push_screen_wait(Confirm(error.message, f"Use {error.free_port}")):
                await self._start(server, error.free_port)
            return
        except Exception as error:
            log.exception("The API did not start.")
            self._show(ApiPhase.OFF, "")
            self._app.notify(str(error), title="The API did not start", severity="error", timeout=15)
            return
        self._show(ApiPhase.ON, url)
        self._app.notify(f"{url} is open. F6 shows the key and client programs, F5 the requests.", title="API on")

    async def _stop(self, server: ApiServer) -> None:
        live = len(server.record.live)
        if live:
            are = "request is" if live == 1 else "requests are"
            if not await self._app.push_screen_wait(
                Confirm(f"{live} {are} being answered. Stop the API and end them?", "Stop")
            ):
                return
        self._show(ApiPhase.STOPPING, "")
        try:
            await off_loop(server.stop, "api-stop")
        except Exception as error:
            log.exception("The API did not stop.")
            self._app.notify(str(error), title="The API did not stop", severity="error")
        self._show(ApiPhase.OFF, "")
