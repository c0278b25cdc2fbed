"""What is measured of the Hub in the workbench: a reply on the screen, scrolling, an answer beside a download.

The Hub is that of the tests, on loopback, in this process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from fastapi import Request, Response

from tests.benchmarks.chat import p95, streamed, until, workbench
from tests.benchmarks.terminal import DEADLINE_S, Terminal
from tests.hub import Fault, File, Hub, Repository, pocket_repository

FEW, MANY = 50, 5000
SEARCHES = 8
PAGES = 30
PAGE = 1000
"""Records in an answer of the real Hub."""
BIG = 150_000_000
PACE = (1 << 18, 0.02)
"""About 13 MB a second."""
F2, F3, ENTER, PAGE_DOWN, PAGE_UP, END, HOME = "\x1bOQ", "\x1bOR", "\r", "\x1b[6~", "\x1b[5~", "\x1b[F", "\x1b[H"
KILL_LINE = "\x15"


class TimedHub(Hub):
    """Notes when its last list of models was ready to be sent."""

    listed_at = 0.0

    async def _note(self, request: Request, forward: Any) -> Response:
        response: Response = await super()._note(request, forward)
        if request.url.path == "/api/models":
            self.listed_at = time.perf_counter()
        return response


def _models(words: Sequence[str], count: int) -> Iterator[Repository]:
    """`count` models for each of the words; there is nothing in them to look at."""
    files = [{"config.json": File(b"{}")}]
    for word in words:
        for number in range(count):
            yield Repository(f"mlx-community/{word}-{number:04d}-4bit", files, downloads=count - number)


@contextmanager
def _at_the_hub(folder: Path, models: Iterator[Repository]) -> Iterator[tuple[Terminal, TimedHub]]:
    """A workbench whose Hub view is in front, and the Hub."""
    with TimedHub(models) as hub:
        hub.page = PAGE
        hidden = {"HF_HOME": str(folder / "hf"), "HF_TOKEN": "", "NO_PROXY": "127.0.0.1,localhost"}
        with workbench(folder, HF_ENDPOINT=hub.url, **hidden) as terminal:
            terminal.press(F2)
            terminal.wait_until_quiet()
            mark = terminal.mark()
            terminal.press("h")
            terminal.wait_for("not been asked yet", mark)
            terminal.wait_until_quiet()
            yield terminal, hub


def _search(terminal: Terminal, word: str) -> float:
    """Search for a word; the moment at which its first model stands on the screen."""
    for keys in ("/", KILL_LINE, word):
        terminal.press(keys)
        terminal.wait_until_quiet()
    mark = terminal.mark()
    terminal.press(ENTER)
    return terminal.wait_for(f"{word}-0003-4bit", mark)


def search(folder: Path) -> Mapping[str, float]:
    """From the Hub's reply of a thousand models to the rows on the screen; the first search is not counted."""
    words = [f"word{chr(97 + number)}" for number in range(SEARCHES)]
    with _at_the_hub(folder, _models([*words, "first"], PAGE)) as (terminal, hub):
        _search(terminal, "first")
        terminal.wait_until_quiet()
        waits = []
        for word in words:
            shown = _search(terminal, word)
            waits.append((shown - hub.listed_at) * 1e3)
            terminal.wait_until_quiet()
        return {"hub_reply_ms": max(waits), "hub_reply_median_ms": median(waits)}


def _pages(terminal: Terminal) -> list[float]:
    """Processor milliseconds of the event loop for each page, down and up in turn."""
    spent = []
    for number in range(PAGES):
        before = terminal.ask("cpu")["ui_s"]
        terminal.press(PAGE_UP if number % 2 else PAGE_DOWN)
        terminal.wait_until_quiet(0.15)
        spent.append((terminal.ask("cpu")["ui_s"] - before) * 1e3)
    return spent


def scroll(folder: Path) -> Mapping[str, float]:
    """Pages through MANY results and through FEW."""
    models = [*_models(["few"], FEW), *_models(["many"], MANY)]
    with _at_the_hub(folder, iter(models)) as (terminal, _):
        _search(terminal, "few")
        terminal.wait_until_quiet()
        few = _pages(terminal)
        _search(terminal, "many")
        give_up = time.perf_counter() + DEADLINE_S
        while terminal.ask("found") != [MANY, True]:
            if time.perf_counter() > give_up:
                raise TimeoutError("The whole list has not come.")
            terminal.press(END)
            time.sleep(0.05)
        terminal.press(HOME)
        terminal.wait_until_quiet()
        many = _pages(terminal)
        return {"hub_scroll_5000_ms": p95(many), "hub_scroll_50_ms": p95(few), "hub_scroll_median_ms": median(many)}


def stream(folder: Path) -> Mapping[str, float]:
    """An answer streams in while a model is downloaded."""
    files = pocket_repository().commits[0] | {"large.npz": File(bytes(BIG), lfs=True)}
    with _at_the_hub(folder, iter([Repository("mlx-community/large-0003-4bit", [files])])) as (terminal, hub):
        hub.faults["large.npz"] = Fault(pace=PACE)
        _search(terminal, "large")
        terminal.wait_until_quiet()
        terminal.press("d")
        give_up = time.perf_counter() + DEADLINE_S
        while not terminal.ask("down"):
            if time.perf_counter() > give_up:
                raise TimeoutError("The download has not begun.")
            time.sleep(0.05)
        terminal.press(F3)
        began = terminal.ask("down")
        figures = streamed(terminal, "hub_stream")
        figures["hub_stream_mb"] = (terminal.ask("down") - began) / 1e6
        until(terminal, "busy", False)
        return figures
