"""What is measured of the chat: an answer that streams in, keys meanwhile, a conversation of a thousand messages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from core.calls.requests import Message, Role
from core.chats.history import History
from core.chats.tree import Turn
from tests.benchmarks.terminal import DEADLINE_S, Terminal, own_environment
from tests.benchmarks.texts import message
from tui.chat.saver import history_file

MESSAGES = 1000
TOKENS = 3000
KEYS = 50
PAGES = 60
TITLE, LAST = "thousand messages", "the very last words"
CTRL_L, ENTER, SHIFT_TAB, PAGE_UP = "\x0c", "\r", "\x1b[Z", "\x1b[5~"


def p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def until(terminal: Terminal, question: str, answer: object) -> None:
    """Ask until the answer comes. Raises TimeoutError after DEADLINE_S."""
    give_up = time.perf_counter() + DEADLINE_S
    while terminal.ask(question) != answer:
        if time.perf_counter() > give_up:
            raise TimeoutError(f"{question!r} was not answered with {answer} within {DEADLINE_S:.0f} s.")
        time.sleep(0.05)


@contextmanager
def workbench(folder: Path, **environment: str) -> Iterator[Terminal]:
    """A workbench that is up."""
    module = "tests.benchmarks.workbench_inside"
    with Terminal(module, [str(folder)], own_environment(folder) | environment) as terminal:
        terminal.wait_for(" qwen2-vl  ")
        until(terminal, "up", True)
        terminal.wait_until_quiet()
        yield terminal


def _write_history(folder: Path) -> None:
    """A saved chat of MESSAGES messages."""
    with History(history_file(folder / "data")) as history:
        chat = history.start(TITLE, "pocket/qwen3").id
        for number in range(MESSAGES // 2):
            history.add(chat, Turn(Message.text(Role.USER, f"Question {number}: what about part {number}?")))
            text = message(number) if number < MESSAGES // 2 - 1 else f"{message(number)}\n\n{LAST}"
            history.add(chat, Turn(Message.text(Role.ASSISTANT, text), "pocket/qwen3"))


@contextmanager
def _long_chat(folder: Path) -> Iterator[tuple[Terminal, dict[str, float]]]:
    """A workbench with the chat of MESSAGES messages open, and what opening it took."""
    (folder / "data").mkdir()
    _write_history(folder)
    with workbench(folder) as terminal:
        mark = terminal.mark()
        terminal.press(CTRL_L)
        terminal.wait_for(TITLE, mark)
        terminal.wait_until_quiet()
        mark, before, began = terminal.mark(), terminal.ask("cpu"), time.perf_counter()
        terminal.press(ENTER)
        shown = terminal.wait_for(LAST, mark)
        after = terminal.ask("cpu")
        terminal.wait_until_quiet()
        settled = terminal.ask("cpu")
        yield (
            terminal,
            {
                "open_chat_ms": (after["process_s"] - before["process_s"]) * 1e3,
                "open_chat_wall_ms": (shown - began) * 1e3,
                "open_chat_until_quiet_ms": (settled["process_s"] - before["process_s"]) * 1e3,
            },
        )


def streamed(terminal: Terminal, prefix: str) -> dict[str, float]:
    """Ask, and measure until the whole answer stands there."""
    terminal.ask(f"tokens {TOKENS}")
    terminal.press("go on")
    terminal.wait_until_quiet()
    before, began = terminal.ask("cpu"), time.perf_counter()
    terminal.ask("begin")
    terminal.press(ENTER)
    until(terminal, "busy", True)
    until(terminal, "busy", False)
    probe, after, ended = terminal.ask("end"), terminal.ask("cpu"), time.perf_counter()
    return {
        f"{prefix}_lag_ms": p95(probe["lag_ms"]),
        f"{prefix}_step_ms": probe["step_ms"],
        f"{prefix}_share": (after["ui_s"] - before["ui_s"]) / (ended - began),
        f"{prefix}_wall_s": ended - began,
    }


def stream(folder: Path) -> Mapping[str, float]:
    """An answer of TOKENS tokens in an empty chat."""
    with workbench(folder) as terminal:
        return streamed(terminal, "stream")


def stream_1000(folder: Path) -> Mapping[str, float]:
    """The same under MESSAGES messages."""
    with _long_chat(folder) as (terminal, _):
        return streamed(terminal, "stream_1000")


def key(folder: Path) -> Mapping[str, float]:
    """Letters typed while an answer streams in, from the press to the letter on the screen."""
    with workbench(folder) as terminal:
        terminal.ask(f"tokens {TOKENS}")
        terminal.press("go on" + ENTER)
        until(terminal, "busy", True)
        time.sleep(1)
        waits = []
        for number in range(KEYS):
            if not terminal.ask("busy"):
                break
            letter, mark, began = chr(0x430 + number), terminal.mark(), time.perf_counter()
            terminal.press(letter)
            waits.append((terminal.wait_for(letter, mark) - began) * 1e3)
            time.sleep(0.1)
        return {"key_ms": p95(waits), "key_median_ms": median(waits)}


def scroll(folder: Path) -> Mapping[str, float]:
    """Pages upwards from the end of MESSAGES messages, none of which has been on the screen."""
    with _long_chat(folder) as (terminal, _):
        terminal.press(SHIFT_TAB)
        terminal.wait_until_quiet()
        pages = []
        for _page in range(PAGES):
            before = terminal.ask("cpu")["process_s"]
            terminal.press(PAGE_UP)
            terminal.wait_until_quiet()
            pages.append((terminal.ask("cpu")["process_s"] - before) * 1e3)
        return {"scroll_ms": p95(pages), "scroll_median_ms": median(pages)}


def open_chat(folder: Path) -> Mapping[str, float]:
    """The chat of MESSAGES messages from the list of saved chats to its last words on the screen."""
    with _long_chat(folder) as (_, taken):
        return taken
