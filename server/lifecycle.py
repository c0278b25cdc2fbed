"""The toggle: the API on a thread and an event loop of its own, over an engine that others use too.

Importing this costs nothing: FastAPI and uvicorn come in when the API is first switched on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from core.errors import EngineClosed, PortInUse, SettingsError
from core.settings import api_key
from server.wire import WireRecord

if TYPE_CHECKING:
    from core.engine import Engine
    from core.settings import Settings
    from server.metrics import Metrics

log = logging.getLogger(__name__)

GRACE_S = 2.0
"""What a request gets, after it was told to stop, to send its last event."""

LAST_WORDS_S = 1.0
"""What a request that heard of nothing gets after that, to say that the server has ended."""

GIVE_UP_S = 15.0
"""After all that; only a thread that hangs in the system (a name look-up, say) takes so long."""

LOOK_S = 0.1
"""How often it is looked, while requests end, whether they have ended."""

BACKLOG = 2048
"""Connections that the system keeps until they are accepted."""

ACCEPTED = 16
"""Connections that are accepted before the others have their turn: as many as have one (server/turns.py)."""

SYSTEM_BUFFER = 256 * 1024
"""Bytes that the system holds for a connection in either direction: of itself it lets them grow to megabytes."""

KEEP_ALIVE_S = 30
"""How long a connection may be open without a request."""

LOOK_AHEAD = 50
"""Ports after a taken one that are tried before the system is asked for any."""


class ApiServer:
    """Switches the API on and off. One object for the life of the program; its methods may be called from any thread.

    `record` goes on over restarts. `start` and `stop` block: for at most a second, and for the drain plus GRACE_S.
    """

    def __init__(self, engine: Engine, settings: Settings, *, record: WireRecord | None = None) -> None:
        self.record = record or WireRecord(evidence_bytes=int(settings.wire_mb * 1e6))
        self._engine = engine
        self._settings = settings
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._metrics: Metrics | None = None

    @property
    def running(self) -> bool:
        running = self._running
        return running is not None and running.thread.is_alive()

    @property
    def url(self) -> str | None:
        """The address for clients, such as http://127.0.0.1:8484; None while the API is off."""
        running = self._running
        return running.url if running is not None and running.thread.is_alive() else None

    @property
    def key(self) -> str | None:
        """The key that clients must send; None when the user has switched it off. Made at the first call."""
        return api_key(self._settings) if self._settings.api_key_required else None

    def start(self, port: int | None = None) -> str:
        """Listen, on the settings' port or on `port` (0: any free one), and return the URL. Idempotent.

        Raises PortInUse with a free port to offer, or SettingsError when the address cannot be used as it is set.
        """
        with self._lock:
            if self.running:
                assert self._running is not None
                return self._running.url
            from server.app import create_app
            from server.metrics import Metrics

            if self._metrics is None:
                self._metrics = Metrics(self._engine, self.record)
            app = create_app(self._engine, self._settings, key=self.key, record=self.record, counted=self._metrics)
            listener = bind(self._settings.host, self._settings.port if port is None else port)
            try:
                running = _Running(app, listener, self._settings.max_queue)
                running.start()
            except BaseException:
                listener.close()
                raise
            self._running = running
            log.info("The API listens on %s.", running.url)
            return running.url

    def stop(self, drain_s: float = 0.0, hurry: threading.Event | None = None) -> None:
        """Refuse new requests, let running ones go on for `drain_s` seconds, end the rest with an error event.

        `hurry`, once it is set, cuts the drain short.
        """
        with self._lock:
            if self._running is not None:
                self._running.stop(drain_s, self.record, hurry or threading.Event())
                self._running = None
                log.info("The API is off.")


class _Running:
    """One uvicorn server on its thread, from start to stop."""

    def __init__(self, app: Any, listener: socket.socket, max_queue: int) -> None:
        import uvicorn

        from server.connection import Connection
        from server.crowd import Crowd

        for name in ("uvicorn", "server"):
            quiet = logging.getLogger(name)
            if not quiet.handlers:  # else Python's last resort writes to the terminal, over the screen
                quiet.addHandler(logging.NullHandler())
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            http=partial(Connection, Crowd(max_queue)),  # type: ignore[arg-type]
            backlog=ACCEPTED,
        )
        self._app = app
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._cut = asyncio.Event()
        self.url = _url(listener)
        self.thread = threading.Thread(target=self._run, name="assay-api", daemon=True)

    def start(self) -> None:
        self.thread.start()
        self._ready.wait()
        if not self._server.started:
            self.thread.join()
            raise EngineClosed("The API could not be started; the log has the details.")

    def stop(self, drain_s: float, record: WireRecord, hurry: threading.Event) -> None:
        self._server.should_exit = True
        self._on_loop(self._app.state.ending.set)
        drained, killed = time.monotonic() + drain_s, GRACE_S
        while self.thread.is_alive() and time.monotonic() < drained and not hurry.is_set():
            self.thread.join(min(drain_s, LOOK_S))
        while self.thread.is_alive() and killed > 0:
            record.kill_all()  # again and again: a request may begin to generate after the first time
            self.thread.join(LOOK_S)
            killed -= LOOK_S
        self._on_loop(self._cut.set)
        self.thread.join(GIVE_UP_S)
        if self.thread.is_alive():
            log.error("The API's thread did not end within %.0f s; it is left behind.", GIVE_UP_S)

    def _on_loop(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended, and its loop with it
            self._loop.call_soon_threadsafe(call)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException:
            log.exception("The API's thread ended with an error.")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_log_loop_error)
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        while not self._server.started and not serving.done():  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.005)
        self._listener.listen(BACKLOG)  # asyncio has cut it to what it accepts at once
        self._ready.set()
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait((serving, cut), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end()
        await serving

    async def _end(self) -> None:
        """Cancel the requests that heard of nothing, since the engine reads a model, say, and let the listener go."""
        state = self._server.server_state
        tasks = set(state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        for connection in list(state.connections):
            # A client that does not read would keep its half-sent answer, and the socket, for ever.
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        self._server.force_exit = True
        self._listener.close()
        self._app.state.responses.close()


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("%s", context.get("message"), exc_info=context.get("exception"))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, made before uvicorn starts: uvicorn would end the program over a busy port.

    Raises PortInUse or SettingsError.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise SettingsError(f"The API cannot listen on {host!r}: {error.strerror}. Set host to 127.0.0.1.") from error
    if port and _answers(family, address):
        raise _port_in_use(host, family, address)
    # Named, since asyncio takes Nagle's delay, 40 ms for each answer, from sockets alone that say that they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or an old connection would hold the port
        for which in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # of all connections, which inherit it
            listener.setsockopt(socket.SOL_SOCKET, which, SYSTEM_BUFFER)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise _port_in_use(host, family, address) from error
        raise SettingsError(
            f"The API cannot listen on {host} port {port}: {error.strerror}. Change host or port in settings.toml."
        ) from error
    return listener


def _answers(family: int, address: Any) -> bool:
    """Whether someone accepts connections there: macOS lets a second program bind beside one on all addresses."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(address) == 0


def _port_in_use(host: str, family: int, address: Any) -> PortInUse:
    port = address[1]
    nearby = range(port + 1, min(port + 1 + LOOK_AHEAD, 65536))
    free = next(filter(None, (_free(family, address, candidate) for candidate in (*nearby, 0))))
    return PortInUse(
        f"Port {port} on {host} is in use by another program. Port {free} is free: use it, or set port in "
        "settings.toml.",
        port,
        free,
    )


def _free(family: int, address: Any, port: int) -> int:
    """The number of the port if it can be bound, else 0; for port 0, whichever the system gives."""
    with socket.socket(family, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
        probe.bind((address[0], port, *address[2:]))
        return int(probe.getsockname()[1])
    return 0


def _url(listener: socket.socket) -> str:
    """Where a client on this machine finds the listener."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
