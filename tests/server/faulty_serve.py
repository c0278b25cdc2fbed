"""`assay serve` with faults that no request can bring: a line of standard input is one, its answer a line of JSON.

hold SECONDS             the MLX thread is at one step for so long
load SECONDS             the next load takes so much longer
raise                    the next step of a batch raises
die                      the MLX thread ends with an error
signal                   SIGTERM, given to another thread than the main one
toggle                   the API is switched off and on, on the same port
pin, unpin, unload ID    of a model
stats                    what the process says of itself
trim                     memory that is free goes back to the system, where the C library can do that
"""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from core.engine import Engine
from core.errors import EngineError
from core.mlx import thread as mlx_thread
from core.mlx.commands import Command
from server.lifecycle import ApiServer

PATIENCE_S = 120.0


class Injected(BaseException):
    """An error that nothing catches but the thread's own last resort."""


@dataclass(frozen=True)
class Act:
    """A command of which the engine knows nothing."""

    act: Callable[[], None]

    def run(self, scheduler: Any) -> None:
        self.act()

    def refuse(self, error: EngineError) -> None:
        """Nobody waits for it."""


def _die() -> None:
    raise Injected("a fault of the test's")


class Faults:
    """What has been asked for and has not come about."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.server: ApiServer | None = None
        self.budget: int | None = None
        self.raises = 0
        self.slow_s = 0.0

    def install(self) -> None:
        """Stand between the program and its engine, its server and what the MLX thread does."""
        started, listened, made = Engine.start, ApiServer.start, mlx_thread._make_scheduler

        def start(engine: Engine) -> Engine:
            self.engine = engine
            return started(engine)

        def listen(server: ApiServer, port: int | None = None) -> str:
            self.server = server
            return listened(server, port)

        def make(*arguments: Any) -> Any:
            scheduler = made(*arguments)
            kept = scheduler._pool.store
            self.budget = kept.prefixes.budget + kept.images.budget
            self._install_steps()
            return scheduler

        Engine.start = start  # type: ignore[method-assign,assignment]
        ApiServer.start = listen  # type: ignore[method-assign]
        mlx_thread._make_scheduler = make

    def _install_steps(self) -> None:
        from core.mlx import loads
        from core.mlx.decoding.batch import Batch

        if hasattr(Batch, "faulty"):
            return
        step, load_steps = Batch.step, loads.load_steps

        def faulty(batch: Batch) -> None:
            if self.raises:
                self.raises -= 1
                raise RuntimeError("a fault of the test's")
            step(batch)

        def slow(*arguments: Any) -> Generator[float, None, Any]:
            seconds, self.slow_s = self.slow_s, 0.0
            time.sleep(seconds)
            return (yield from load_steps(*arguments))

        Batch.step, Batch.faulty = faulty, True  # type: ignore[method-assign,attr-defined]
        loads.load_steps = slow

    def answer(self, line: str) -> Any:
        """Do what a line says."""
        name, _, rest = line.partition(" ")
        engine, server = self.engine, self.server
        assert engine is not None
        assert server is not None
        match name:
            case "hold":
                self._post(Act(lambda: time.sleep(float(rest))))
            case "load":
                self.slow_s = float(rest)
            case "raise":
                self.raises += 1
            case "die":
                self._post(Act(_die))
            case "signal":
                signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            case "toggle":
                url = server.url
                assert url is not None
                server.stop(0.2)
                return server.start(int(url.rpartition(":")[2]))
            case "pin":
                return engine.load(rest, pin=True).result(PATIENCE_S).pinned
            case "unpin":
                engine.unpin(rest).result(PATIENCE_S)
            case "unload":
                engine.unload(rest, cancel=True).result(PATIENCE_S)
            case "trim":
                gc.collect()
                if sys.platform == "linux":
                    ctypes.CDLL(None).malloc_trim(0)
            case "stats":
                return self._stats(engine, server)
            case _:
                raise ValueError(f"There is no fault {line!r}.")
        return None

    def _post(self, command: Command) -> None:
        assert self.engine is not None
        assert self.engine._thread is not None
        self.engine._thread.post(command)

    def _stats(self, engine: Engine, server: ApiServer) -> dict[str, Any]:
        status = engine.status()
        names = Counter(thread.name.rstrip("0123456789-_") for thread in threading.enumerate())
        return {
            "alive": status.alive,
            "models": [model.id for model in status.models],
            "running": status.running,
            "waiting": status.waiting,
            "active": status.active_memory,
            "cache": status.cache_memory,
            "kept": status.kept_memory,
            "kept_budget": self.budget,
            "live": len(server.record.live),
            "threads": dict(names),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }

    def listen(self) -> None:
        """Read faults until nobody sends any."""
        for line in sys.stdin:
            try:
                told = {"told": self.answer(line.strip())}
            except Exception as error:
                told = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(told), flush=True)


def main() -> None:
    """Serve as the command does, with its arguments."""
    from tui.cli.main import main as assay

    faults = Faults()
    faults.install()
    threading.Thread(target=faults.listen, name="faults", daemon=True).start()
    sys.argv[1:1] = ["serve", "--port", "0"]
    assay()


if __name__ == "__main__":
    main()
