"""`assay serve` as a process of its own, whose memory can be measured and which can be told to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests import ROOT

SERVE = (sys.executable, "-c", "from tui.cli.main import main; main()", "serve", "--port", "0")
FAULTY = (sys.executable, "-m", "tests.server.faulty_serve")


class Server:
    """A running server: `http` has the key and speaks to it. What it writes to standard error is in `stderr`."""

    def __init__(self, process: subprocess.Popen[str], http: httpx.Client, stderr: Path) -> None:
        self.process = process
        self.http = http
        self._stderr = stderr
        self._seen = psutil.Process(process.pid)

    @property
    def stderr(self) -> str:
        """All that it has written there so far."""
        return self._stderr.read_text()

    def fault(self, line: str) -> Any:
        """Have a fault of faulty_serve.py, and return what it says of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        assert "error" not in told, told
        return told["told"]

    def growth(self, work: Callable[[], None]) -> int:
        """By how many bytes the process is larger at most while `work` is done, looked at a hundred times a second."""
        over = threading.Event()
        before = peak = self._seen.memory_info().rss

        def watch() -> None:
            nonlocal peak
            while not over.wait(0.01):
                peak = max(peak, self._seen.memory_info().rss)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            work()
        finally:
            over.set()
            thread.join()
        return peak - before

    def gap(self, model: str, work: Callable[[], None]) -> float:
        """The longest silence in seconds, on a stream of `model` and between answers of /health, during `work`."""
        over, begun = threading.Event(), threading.Event()
        gaps = [0.0, 0.0]

        def measured(place: int, moments: Iterator[None]) -> None:
            last = time.monotonic()
            for _ in moments:
                if begun.is_set():
                    gaps[place] = max(gaps[place], time.monotonic() - last)
                last = time.monotonic()
                if over.is_set():
                    return

        def stream() -> Iterator[None]:
            body = chat(model, "Tell me a long story.", max_tokens=400, stream=True)
            while True:
                with self.http.stream("POST", "/v1/chat/completions", json=body) as answer:
                    assert answer.status_code == 200
                    for _ in answer.iter_lines():
                        yield
                        begun.set()

        def health() -> Iterator[None]:
            while True:
                assert self.http.get("/health").status_code == 200
                yield
                over.wait(0.01)

        threads = [threading.Thread(target=measured, args=(place, one())) for place, one in enumerate((stream, health))]
        for thread in threads:
            thread.start()
        assert begun.wait(60)
        try:
            work()
        finally:
            over.set()
            for thread in threads:
                thread.join(60)
        return max(gaps)


def chat(model: str, text: str, *images: str, **more: Any) -> dict[str, Any]:
    """A body; `images` are data URIs."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": image}} for image in images]
    return {"model": model, "messages": [{"role": "user", "content": parts}], "max_tokens": 4} | more


@contextmanager
def serving(
    folder: Path,
    *models: str,
    arguments: Sequence[str] = (),
    faulty: bool = False,
    before: Sequence[str] = (),
    **settings: str,
) -> Iterator[Server]:
    """A server with these models loaded. Its data lie in `folder`; `settings` are more ASSAY_ variables.

    One that is `faulty` can be told to have faults; `before` is a program that starts it.
    """
    process = start(folder, *arguments, faulty=faulty, before=before, **settings)
    try:
        with connected(process, folder) as server:
            for model in models:
                server.http.post("/v1/chat/completions", json=chat(model, "Hi")).raise_for_status()
            yield server
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def start(
    folder: Path, *arguments: str, faulty: bool = False, before: Sequence[str] = (), **settings: str
) -> subprocess.Popen[str]:
    """The process, of which nobody knows yet whether it will answer."""
    with (folder / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [*before, *(FAULTY if faulty else SERVE), *arguments],
            env=environment(folder, **settings),
            stdin=subprocess.PIPE if faulty else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
        )


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """That of a server whose data lie in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    own = {"ASSAY_CONFIG": folder / "none.toml", "ASSAY_DATA_DIR": folder / "data", "ASSAY_HF_CACHE": folder / "cache"}
    return kept | {name: str(value) for name, value in own.items()} | settings


@contextmanager
def connected(process: subprocess.Popen[str], folder: Path) -> Iterator[Server]:
    """The server once it has said where it is."""
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://"), (folder / "stderr").read_text()
    key = (folder / "data" / "api_key").read_text().strip()
    with httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=120) as http:
        yield Server(process, http, folder / "stderr")
