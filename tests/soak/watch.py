"""What the server takes and how soon it answers, over time: a row now and then, and one whenever all rest."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from tests import ROOT
from tests.soak.place import Gone, Place
from tests.soak.tally import End, Tally

MB = 1e6
PROBE = (sys.executable, "-m", "tests.soak.probe")
HEAD = (
    *("time", "life", "RSS", "threads", "files", "procs", "models", "kept", "of", "cache", "p50", "p99", "max"),
    *("answered", "refused", "failed", "dropped", ""),
)
UNITS = ("s", "", "MB", "", "", "", "MB", "MB", "MB", "MB", "ms", "ms", "ms", "", "", "", "", "")


@dataclass(frozen=True)
class Sample:
    """One moment: memory in bytes; seconds of /health since the sample before; the ends of requests since then."""

    at: float
    life: int
    rss: int
    threads: int
    files: int
    processes: int
    stats: dict[str, Any]
    health: tuple[float, float, float]
    ends: tuple[int, ...]
    rest: bool

    @property
    def other(self) -> int:
        """Bytes that MLX does not count: Python, the libraries, what is half done."""
        return int(self.rss - self.stats["active"] - self.stats["cache"])

    def cells(self) -> tuple[str, ...]:
        """The row, as HEAD names it."""
        stats = self.stats
        memory = [stats["active"] - stats["kept"], stats["kept"], stats["kept_budget"], stats["cache"]]
        return (
            f"{self.at:.0f}",
            str(self.life),
            f"{self.rss / MB:.0f}",
            *map(str, (self.threads, self.files, self.processes)),
            *(f"{number / MB:.1f}" for number in memory),
            *(f"{1000 * seconds:.0f}" for seconds in self.health),
            *map(str, self.ends),
            "rest" if self.rest else "",
        )


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which that part of all lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Watch:
    """Takes samples, and has /health asked all the time."""

    def __init__(self, place: Place, tally: Tally) -> None:
        self._place = place
        self._tally = tally
        self._began = time.monotonic()
        self._seen = tally.totals()
        self._answers: list[float] = []
        self._lock = threading.Lock()
        self.samples: list[Sample] = []
        self.trimmed = 0, 0
        self.health: list[float] = []
        """Seconds that each answer of /health took, while the server was there."""
        self._probe = subprocess.Popen(PROBE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def look_at(self) -> None:
        """Ask the server that is there now."""
        assert self._probe.stdin is not None
        self._probe.stdin.write(f"{self._place.url}\n")
        self._probe.stdin.flush()

    def trim(self) -> None:
        """Have the server give back what is free, and remember its size in bytes before and after."""
        before = self._place.seen.memory_info().rss
        self._place.fault("trim")
        self.trimmed = before, self._place.seen.memory_info().rss

    def stop(self) -> None:
        """Ask no more. Blocks."""
        assert self._probe.stdin is not None
        self._probe.stdin.close()
        self._reader.join(30)
        self._probe.wait(30)

    def _read(self) -> None:
        assert self._probe.stdout is not None
        with self._probe.stdout as lines:
            for line in lines:
                at, took, status = line.split()
                began, seconds = float(at), float(took)
                if self._place.away(began, began + seconds):
                    continue
                if status != "200":
                    self._place.broken.append(f"/health said {status} after {seconds:.1f} s; 0 is no answer.")
                with self._lock:
                    self._answers.append(seconds)
                    self.health.append(seconds)

    def sample(self, rest: bool = False) -> Sample | None:
        """Look now; None where the server ends at this moment."""
        try:
            stats = self._place.fault("stats")
            seen = self._place.seen
            with seen.oneshot():
                rss, threads, files = seen.memory_info().rss, seen.num_threads(), seen.num_fds()
            processes = len(seen.children(recursive=True))
        except (Gone, psutil.Error):
            return None
        totals = self._tally.totals()
        with self._lock:
            answers, self._answers = self._answers, []
        health = (quantile(answers, 0.5), quantile(answers, 0.99), max(answers, default=0.0))
        ends = tuple(totals[end] - self._seen[end] for end in End if end is not End.BROKEN)
        self._seen = totals
        at = time.monotonic() - self._began
        made = Sample(at, self._place.lives, rss, threads, files, processes, stats, health, ends, rest)
        if stats["kept"] > stats["kept_budget"]:
            self._place.broken.append(f"Kept KV takes {stats['kept']:,} bytes of a budget of {stats['kept_budget']:,}.")
        self.samples.append(made)
        return made
