"""How long a program takes from its start to its first frame, in a pseudo-terminal of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.pseudo_terminal import FRAME_ENDS, PseudoTerminal

EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static('assay')
Empty().run()
"""
"""An app that shows one word."""
OURS = "import sys; from tui.cli.main import main; sys.argv = ['assay']; main()"


@dataclass(frozen=True)
class Start:
    """Seconds until the first frame that shows `assay`: of the wall clock, and of the program's processor time."""

    wall_s: float
    cpu_s: float


def first_paint(program: str, environment: Mapping[str, str], columns: int = 120, rows: int = 40) -> Start:
    """Start a Python program in a terminal of that size, wait for its first frame, and end it.

    An empty Textual app was seen that never drew its word: each has two tries. Raises TimeoutError when none comes.
    """
    try:
        return _first_paint(program, environment, columns, rows)
    except TimeoutError:
        return _first_paint(program, environment, columns, rows)


def _first_paint(program: str, environment: Mapping[str, str], columns: int, rows: int) -> Start:
    with PseudoTerminal(program, environment, size=(columns, rows), pixels=(columns * 8, rows * 16)) as terminal:
        terminal.wait_for(lambda seen: b"assay" in seen and FRAME_ENDS in seen[seen.find(b"assay") :])
        return Start(time.monotonic() - terminal.began, terminal.cpu_s())


def ratio(ours: Sequence[Start], empty: Sequence[Start]) -> tuple[float, float]:
    """Of the quickest starts: wall and processor time, ours by an empty app's."""
    best = [(min(one.wall_s for one in starts), min(one.cpu_s for one in starts)) for starts in (ours, empty)]
    return best[0][0] / best[1][0], best[0][1] / best[1][1]


def measure(environment: Mapping[str, str], rounds: int = 5) -> dict[str, float]:
    """`first_paint` and its parts, the two programs in turns; the environment keeps the user's folders out of it."""
    empty, ours = [], []
    for _ in range(rounds):
        empty.append(first_paint(EMPTY, environment))
        ours.append(first_paint(OURS, environment))
    wall, cpu = ratio(ours, empty)
    return {
        "first_paint": max(wall, cpu),
        "first_paint_wall": wall,
        "first_paint_cpu": cpu,
        "first_paint_ms": 1000 * min(start.wall_s for start in ours),
        "first_paint_empty_ms": 1000 * min(start.wall_s for start in empty),
    }
