"""The workbench over the real engine, as `assay` starts it: how soon it is left, and a key while MLX decodes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median, quantiles

from tests.benchmarks.startup import OURS
from tests.pseudo_terminal import PseudoTerminal

CHAT, GOLDEN, RUN_ALL, QUIT = b"\x1bOR", b"\x1bOS", b"R", b"\x11"
KEYS = 30
EVERY_S = 0.05
DECODES = 0.5
"""The part of a core that the process takes at least while it decodes; typing alone takes a tenth."""


@contextmanager
def _workbench(environment: Mapping[str, str]) -> Iterator[PseudoTerminal]:
    """A workbench whose engine is up."""
    with PseudoTerminal(OURS, environment, pixels=(960, 640)) as terminal:
        terminal.wait_for(b"Ask something.")
        terminal.wait_for(b"API ")
        yield terminal


def _after(terminal: PseudoTerminal, keys: bytes, shown: bytes) -> float:
    """Press, wait until something is shown, and tell how many seconds that took."""
    mark, began = len(terminal.seen), time.perf_counter()
    terminal.write(keys)
    terminal.wait_for(lambda seen: shown in seen[mark:])
    return time.perf_counter() - began


def _leave(terminal: PseudoTerminal) -> float:
    began = time.perf_counter()
    terminal.write(QUIT)
    if (code := terminal.exit_code()) != 0:
        raise RuntimeError(f"the workbench ended with exit code {code}")
    return time.perf_counter() - began


def _golden_run(terminal: PseudoTerminal) -> None:
    """Begin a run of the built-in suite and wait until its first answer is being written."""
    _after(terminal, GOLDEN, b"R")
    _after(terminal, RUN_ALL, b"running ")


def quit_s(environment: Mapping[str, str]) -> dict[str, float]:
    """Seconds from ctrl+q to the end of the process: with nothing to do, and in the middle of a golden run."""
    with _workbench(environment) as terminal:
        idle = _leave(terminal)
    with _workbench(environment) as terminal:
        _golden_run(terminal)
        return {"quit_s": idle, "quit_golden_s": _leave(terminal)}


def key_decoding_ms(environment: Mapping[str, str]) -> dict[str, float]:
    """Letters typed into the chat while a golden run decodes on the processor, from the press to the screen.

    Raises RuntimeError when the run was over before the letters were.
    """
    with _workbench(environment) as terminal:
        _golden_run(terminal)
        _after(terminal, CHAT, b"Ask something.")
        waits, cpu, began = [], terminal.cpu_s(), time.perf_counter()
        for number in range(KEYS):
            waits.append(1e3 * _after(terminal, chr(0x430 + number).encode(), chr(0x430 + number).encode()))
            time.sleep(EVERY_S)
        share = (terminal.cpu_s() - cpu) / (time.perf_counter() - began)
    if share < DECODES:
        raise RuntimeError(f"the golden run ended before the letters were typed: {share:.2f} of a core were taken")
    return {"key_decoding_ms": quantiles(waits, n=20)[-1], "key_decoding_median_ms": median(waits)}
