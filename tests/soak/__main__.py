"""Runs the soak. Exit code 1 when something broke that must hold, which the report names."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.soak.faults import Faults
from tests.soak.load import KINDS, Load, client
from tests.soak.place import LONG, SHORT, Place, Size
from tests.soak.report import head, report, row, say
from tests.soak.tally import Answer, Tally
from tests.soak.watch import Watch

ROWS = 40
RESTS_S = 75.0
"""How long the load goes on between two rests."""
QUIET_S = 10.0
"""How long it may take until nothing is left of the last requests."""


class Soak:
    """One run, in `folder`."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.place = Place(folder, LONG if seconds >= 60 else SHORT)
        self.tally = Tally(self.place)
        self.seconds = seconds
        self.every_s = max(seconds / ROWS, 0.5)
        self.faults = Faults(self.place, self.tally, min(max(seconds / 60, 0.05), 2.0))
        self.load = Load(self.place, self.tally)

    def run(self) -> int:
        """Returns the exit code."""
        self.place.prepare()
        self.place.start()
        self.watch = Watch(self.place, self.tally)
        try:
            self.watch.look_at()
            self._warm_up()
            head()
            self._settle()
            self.load.start()
            self.faults.start()
            restarts = max(1, round(self.seconds / 200))
            for part in range(restarts):
                if part:
                    self._rest()
                self._soak(self.seconds / (restarts + 1))
                self._rest()
                self._soak(min(self.every_s, 2.0))
                self._restart()
            self._soak(self.seconds / (restarts + 1))
            self.faults.wait(60.0)
            self.faults.stop()
            self.load.stop()
            self._settle()
            self.watch.trim()
        finally:
            self.watch.stop()
            self.place.end()
        return report(self.place, self.tally, self.load, self.watch)

    def _warm_up(self) -> None:
        """Requests of each kind at once, so that what is made once has been made."""

        def one(kind: Callable[[httpx.Client, Size], Answer | None]) -> None:
            with client(self.place) as http:
                began = time.monotonic()
                answer = kind(http, self.place.size)
                assert answer is not None
                self.tally.add(kind.__name__, began, answer)

        with ThreadPoolExecutor(len(KINDS)) as pool:
            list(pool.map(one, KINDS))

    def _soak(self, seconds: float) -> None:
        end, rest = time.monotonic() + seconds, time.monotonic() + RESTS_S
        while time.monotonic() < end:
            time.sleep(min(self.every_s, max(end - time.monotonic(), 0.0)))
            self._sample()
            if rest < time.monotonic() < end - RESTS_S / 2:
                self._rest()
                rest = time.monotonic() + RESTS_S

    def _restart(self) -> None:
        """In the middle of it all; what comes then begins as at the start."""
        self.place.restart()
        self.watch.look_at()
        self._rest(self._warm_up)

    def _rest(self, then: Callable[[], None] = lambda: None) -> None:
        """Let all end, look, and go on."""
        self.faults.rest()
        self.load.rest()
        then()
        self._settle()
        self.load.go_on()
        self.faults.go_on()

    def _settle(self) -> None:
        """Look once the server has nothing to do."""
        until = time.monotonic() + QUIET_S
        while any((stats := self.place.fault("stats"))[name] for name in ("live", "running", "waiting")):
            if time.monotonic() > until:
                self.place.broken.append(f"{QUIET_S:g} s after the last answer, requests are left: {stats}.")
                break
            time.sleep(0.1)
        self._sample(rest=True)

    def _sample(self, rest: bool = False) -> None:
        made = self.watch.sample(rest)
        if made is not None:
            say(row(made.cells()))


def main() -> int:
    """From the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long it goes on, and until each fault has come [default: 10]"
    )
    parser.add_argument(
        "--seed", type=int, default=None, help="of what is drawn by chance [default: another each time]"
    )
    asked = parser.parse_args()
    seed = random.randrange(2**32) if asked.seed is None else asked.seed
    random.seed(seed)
    say(f"{asked.minutes:g} minutes, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        return Soak(Path(folder), 60 * asked.minutes).run()


if __name__ == "__main__":
    sys.exit(main())
