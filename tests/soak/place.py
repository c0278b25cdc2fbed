"""The server that is soaked: a process, its models, and the moments at which something was done to it."""

from __future__ import annotations

import json
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.pocket import MODELS_DIR
from tests.server.serving import start
from tests.server.test_hostile_templates import ENDLESS
from tests.tiny import embedders

TEXT, SEES, LARGER = "pocket/qwen3", "pocket/qwen2-vl", "pocket/gemma3"
EMBEDS, BAD = "tiny/bert", "bad/endless"
DEAD = r"engine has died|engine is not running|engine has stopped|engine_closed"
"""How it is said that there is no engine, for a moment."""


@dataclass(frozen=True)
class Size:
    """How much is asked for: words of a prompt and tokens of an answer at most, places in the queue, clients at once,
    models that chat."""

    words: int
    tokens: int
    queue: int
    clients: int
    chats: tuple[str, ...]


LONG = Size(400, 80, 48, 6, (TEXT, SEES, LARGER))
SHORT = Size(20, 8, 8, 2, (TEXT, SEES))

SETTINGS = {"ASSAY_MEMORY_BUDGET_GB": "0.09", "ASSAY_CACHE_BUDGET_GB": "0.01", "ASSAY_MAX_BATCH": "8"}
"""Little memory, so that models evict each other and what is kept reaches its budget within a minute."""

ANSWERS_WITHIN_S = 120.0
ENDS_WITHIN_S = 40.0
MOMENT_S = 1.0
AFTERWARDS_S = 15.0
"""How long after a fault a request may still tell of it: it may have waited for its turn or its model."""


class Gone(Exception):
    """The server is not there to be told of a fault."""


class Place:
    """Starts the server, ends it, and has faults of tests/server/faulty_serve.py. Safe for threads."""

    def __init__(self, folder: Path, size: Size = LONG) -> None:
        self.folder = folder
        self.size = size
        self.broken: list[str] = []
        """What nothing excuses, in sentences."""
        self.faults: dict[str, list[float]] = defaultdict(list)
        """Moments by the name of what was done then."""
        self.lives = 0
        self.url = self.key = ""
        self.process: subprocess.Popen[str] | None = None
        self.longest: dict[str, float] = {}
        """Seconds that each fault took at most."""
        self._away: list[tuple[float, float]] = []
        self._leaving: float | None = None
        """Since when the server is being switched off and on."""
        self._lock = threading.Lock()
        self._told: queue.Queue[str] = queue.Queue()
        self._settings = SETTINGS | {
            "ASSAY_MAX_QUEUE": str(size.queue),
            "ASSAY_MODEL_FOLDERS": json.dumps([str(folder / "models")]),
        }

    def prepare(self) -> None:
        """Make the models that do not ship with the program."""
        models = self.folder / "models"
        embedders.make_embedder(models / "tiny" / "bert", embedders.BERT)
        shutil.copytree(MODELS_DIR / "qwen3", models / BAD)
        (models / BAD / "chat_template.jinja").write_text(ENDLESS)

    @property
    def seen(self) -> psutil.Process:
        """The process, to be measured."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def start(self) -> None:
        """Start the server, and wait for its address."""
        began = time.monotonic()
        self.process = start(self.folder, "--drain", "1", faulty=True, **self._settings)
        assert self.process.stdout is not None
        told: queue.Queue[str] = queue.Queue()
        out = self.process.stdout

        def read() -> None:
            for line in out:
                told.put(line.strip())
            told.put("")

        threading.Thread(target=read, daemon=True).start()
        url = told.get(timeout=ANSWERS_WITHIN_S)
        if not url.startswith("http://"):
            raise RuntimeError(f"The server did not start:\n{(self.folder / 'stderr').read_text()[-2000:]}")
        self.key = (self.folder / "data" / "api_key").read_text().strip()
        self.url, self._told = url, told
        self.lives += 1
        self.took("start", began)

    def end(self) -> None:
        """Tell the server to end, and hold against it what it leaves."""
        assert self.process is not None
        children = self.seen.children(recursive=True)
        began = self._leaving = time.monotonic()
        self.mark("restart")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(ENDS_WITHIN_S)
            if code != 0:
                self.broken.append(f"The server left with code {code} when it was told to end.")
        except subprocess.TimeoutExpired:
            self.broken.append(f"The server did not end within {ENDS_WITHIN_S:g} s.")
            self.process.kill()
            self.process.wait()
        _, left = psutil.wait_procs(children, timeout=10)
        if left:
            self.broken.append(f"The server left {len(left)} processes behind: {', '.join(map(str, left))}.")
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.took("end", began)

    def restart(self) -> None:
        """End the server in the middle of everything, and start another."""
        began = time.monotonic()
        with self._lock:
            self.end()
            self.start()
        self._back(began)

    def fault(self, line: str) -> Any:
        """Have a fault, and return what the server says of it. Raises Gone."""
        with self._lock:
            assert self.process is not None
            assert self.process.stdin is not None
            name = line.partition(" ")[0]
            began = time.monotonic()
            self.mark(name)
            if name == "toggle":
                self._leaving = began
            try:
                self.process.stdin.write(f"{line}\n")
                self.process.stdin.flush()
                told = self._told.get(timeout=ANSWERS_WITHIN_S)
            except (OSError, queue.Empty):
                told = ""
            self.took(name, began)
            if name in ("toggle", "die"):
                self._back(began, 5.0 if name == "die" else 0.0)
            if not told:
                raise Gone(line)
            answer = json.loads(told)
        dead = re.search(DEAD, answer.get("error", "")) and self.happened("die", began)
        if "error" in answer and not dead:
            self.broken.append(f"{line}: {answer['error']}")
        return answer.get("told")

    def took(self, name: str, began: float) -> None:
        """Something has been done that was begun then."""
        self.longest[name] = max(self.longest.get(name, 0.0), time.monotonic() - began)

    def mark(self, name: str) -> None:
        """Something is done now."""
        self.faults[name].append(time.monotonic())

    def happened(self, name: str, since: float) -> bool:
        """Whether it was done after `since`, or shortly before."""
        return any(moment > since - AFTERWARDS_S for moment in self.faults[name][-50:])

    def away(self, since: float, until: float) -> bool:
        """Whether the server may have been unable to answer at some moment between."""
        leaving = self._leaving is not None and self._leaving - MOMENT_S < until
        return leaving or any(began - MOMENT_S < until and since < end + MOMENT_S for began, end in self._away[-20:])

    def _back(self, since: float, later_s: float = 0.0) -> None:
        """The server was away `since` then, and is back now or some seconds later."""
        self._away.append((since, time.monotonic() + later_s))
        self._leaving = None
