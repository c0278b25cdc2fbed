"""The workbench that `tests.benchmarks.workbench` looks at: `python -m tests.benchmarks.workbench_inside FOLDER FD`.

The real app in the terminal that it was started in, over an engine that answers from a script, 300 tokens a second.
Commands come as lines on the socket FD, and each is answered with a line of JSON:

    cpu          {"process_s", "ui_s"}: processor seconds of the process and of the thread that the event loop runs on
    up           true when the engine is up and the panes have read what they show
    found        how many models the search of the Hub has found, and whether these are all
    down         bytes that the downloads have fetched
    busy         true while an answer is coming in
    tokens N     the next answers have N tokens
    begin, end   {"lag_ms": [...], "step_ms"}: how late the loop was between them, its longest step
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sys
import threading
import time
from asyncio import events
from concurrent.futures import Future
from pathlib import Path

from core.calls.events import Event, Finished, Prefill, TextDelta
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.settings import Settings
from tests.benchmarks.texts import tokens
from tests.tui.scripted import ScriptedEngine, ScriptedServer, finished
from tui.run import spare_the_collector
from tui.services import Services
from tui.state import Phase

RATE = 300
LAG_EVERY_S = 0.01
UP_AFTER_S = 4.0
QUICK, FULL = "pocket/qwen2-vl", "pocket/gemma3"


class StreamingEngine(ScriptedEngine):
    """Answers in mixed Markdown, a token at a time, from a thread of its own."""

    def __init__(self) -> None:
        super().__init__(script=self._answer, held=True)
        self.length = 3000

    def ready(self) -> Future[None]:
        """As late as with the real engine, which imports MLX first: what the panes do meanwhile is over then."""
        future: Future[None] = Future()
        threading.Timer(UP_AFTER_S, future.set_result, (None,)).start()
        return future

    def _answer(self, request: GenerationRequest) -> list[Event]:
        end: Finished = finished(tokens=self.length)
        return [Prefill(131, 131), *map(TextDelta, itertools.islice(tokens(), self.length)), end]

    def generate(self, request: GenerationRequest) -> Generation:
        generation = super().generate(request)
        threading.Thread(target=self._feed, args=(self.length + 2,), daemon=True).start()
        return generation

    def _feed(self, count: int) -> None:
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            self.release()


class Probe:
    """How late the event loop is, and how long its longest step takes in processor time."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.longest = 0.0
        self.ui_s = 0.0
        """Processor seconds of the event loop's thread, at most LAG_EVERY_S ago."""
        self._measuring = False

    def install(self) -> None:
        """Have every step of every event loop of this process timed."""
        run = events.Handle._run  # type: ignore[attr-defined]

        def timed(handle: events.Handle) -> None:
            began = time.thread_time()
            run(handle)
            if self._measuring:
                self.longest = max(self.longest, time.thread_time() - began)

        events.Handle._run = timed  # type: ignore[attr-defined]

    async def watch(self) -> None:
        """Measure the lag for ever."""
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(LAG_EVERY_S)
            self.ui_s = time.thread_time()
            if self._measuring:
                self.lags.append(time.perf_counter() - asked - LAG_EVERY_S)

    def begin(self) -> None:
        self.lags, self.longest, self._measuring = [], 0.0, True

    def end(self) -> dict[str, object]:
        self._measuring = False
        return {"lag_ms": [lag * 1e3 for lag in self.lags], "step_ms": self.longest * 1e3}


class Inside:
    """The app, and what answers the commands."""

    def __init__(self, folder: Path, wire: socket.socket) -> None:
        from tui.app import AssayApp  # after tui.run, which decides how Textual draws

        self.engine = StreamingEngine()
        self.probe = Probe()
        self._wire = wire

        def opener(settings: Settings) -> Services:
            return Services(settings, self.engine, ScriptedServer(), QUICK, FULL)  # type: ignore[arg-type]

        settings = Settings(data_dir=folder / "data", cache_dir=folder / "kept", hf_cache=folder / "models")
        self.app = AssayApp(lambda: settings, opener, when_settled=spare_the_collector)

    def serve(self) -> None:
        """Answer commands until the other end is closed."""
        with self._wire.makefile("rw", encoding="utf-8") as lines:
            for line in lines:
                lines.write(json.dumps(self._answer(line.split())) + "\n")
                lines.flush()

    def _answer(self, words: list[str]) -> object:
        match words:
            case ["cpu"]:
                return {"process_s": time.process_time(), "ui_s": self.probe.ui_s}
            case ["up"]:
                ready = self.app.furnished and self.app.state.phase is Phase.READY
                return ready and bool(self.app.golden._board.cases)
            case ["found"]:
                search = self.app.models.hub._search
                return [len(search.found), search.complete] if search is not None else [0, False]
            case ["down"]:
                return sum(one.done for one in self.app.models.hub.downloads.all)
            case ["busy"]:
                return self.app.chat.busy
            case ["tokens", count]:
                self.engine.length = int(count)
            case ["begin"]:
                self.probe.begin()
            case ["end"]:
                return self.probe.end()
        return None

    async def run(self) -> None:
        """Run the app until it is left."""
        self.probe.install()
        watching = asyncio.create_task(self.probe.watch())
        threading.Thread(target=self.serve, daemon=True).start()
        await self.app.run_async()
        watching.cancel()


if __name__ == "__main__":
    asyncio.run(Inside(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))).run())
    os._exit(0)
