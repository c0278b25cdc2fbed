"""The soak by itself: a few seconds of it, with each fault once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests import ROOT
from tests.soak.place import Place
from tests.soak.tally import Answer, End, Tally


def test_a_few_seconds_with_each_fault_break_nothing() -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.02", "--seed", "14"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing broke." in done.stdout
    for fault in ("die", "drop", "flood_requests", "hostile_bodies", "raise", "restart", "toggle", "unload"):
        assert f"{fault} " in done.stdout.partition("Faults: ")[2]


def test_what_nothing_excuses_is_broken(tmp_path: Path) -> None:
    place = Place(tmp_path)
    tally = Tally(place)
    now = time.monotonic()
    dead = Answer(503, "engine_closed: The engine has died: it was hit.")
    assert tally.add("chat", now, Answer(200)) is End.ANSWERED
    assert tally.add("chat", now, Answer(429, "queue_full: 48 requests wait already.")) is End.REFUSED
    for answer in (dead, Answer(500, "internal_error: x"), Answer(200, cut=True), Answer(0, cut=True)):
        assert tally.add("chat", now, answer) is End.BROKEN
    assert len(place.broken) == 4
    place.mark("die")
    assert tally.add("chat", now, dead) is End.FAILED
