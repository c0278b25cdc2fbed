"""The workbench in a terminal: `python -m tests.benchmarks.workbench --json FILE`. See docs/benchmarks.md.

Prints a table and writes one flat JSON object. Every measure is taken ROUNDS times in a process of its own, and the
best round stands for it: what else the machine does can only add. Exit code 0, 1 when a measure broke off; with
--check, also when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import chat, hub, lists, real_engine, startup
from tests.benchmarks.engine import Bound

Figures = Mapping[str, float]
ROUNDS = 3


@dataclass(frozen=True)
class Measure:
    """Something done once with a fresh workbench. `take` gets an empty folder and returns figures by name, lower being
    better; `bounds` says what some of them must reach, and the others are shown beside these.
    """

    take: Callable[[Path], Figures]
    bounds: Mapping[str, float] = field(default_factory=dict)


MEASURES = {
    "stream": Measure(chat.stream, {"stream_lag_ms": 20, "stream_step_ms": 50, "stream_share": 0.25}),
    "stream_1000": Measure(chat.stream_1000, {"stream_1000_lag_ms": 20, "stream_1000_share": 0.25}),
    "key": Measure(chat.key, {"key_ms": 30}),
    "key_decoding": Measure(
        lambda folder: real_engine.key_decoding_ms(lists.environment(folder)), {"key_decoding_ms": 100}
    ),
    "scroll": Measure(chat.scroll, {"scroll_ms": 50}),
    "open_chat": Measure(chat.open_chat, {"open_chat_ms": 300}),
    "first_paint": Measure(lambda folder: startup.measure(lists.environment(folder), rounds=2), {"first_paint": 1.5}),
    "list": Measure(lambda folder: lists.list_s(rounds=1), {"list_s": 3, "list_again_s": 0.3}),
    "filter": Measure(lambda folder: lists.filter_ms(), {"filter_ms": 20}),
    "hub_search": Measure(hub.search, {"hub_reply_ms": 100}),
    "hub_scroll": Measure(hub.scroll, {"hub_scroll_5000_ms": 50}),
    "hub_stream": Measure(hub.stream, {"hub_stream_lag_ms": 20}),
    "quit": Measure(lambda folder: real_engine.quit_s(lists.environment(folder)), {"quit_s": 1, "quit_golden_s": 2}),
}
"""One line for each: what is added here is measured, shown and checked."""


def facts() -> dict[str, float | str]:
    """The machine and the versions, as flat keys."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "textual": version("textual"),
    }


def measure(name: str, rounds: int, console: Console) -> list[Figures]:
    """The figures of every round of one measure; fewer when one broke off, which is printed."""
    taken: list[Figures] = []
    for number in range(1, rounds + 1):
        try:
            with (
                console.status(f"{name}, round {number} of {rounds}"),
                tempfile.TemporaryDirectory(prefix="assay-benchmark-") as folder,
            ):
                taken.append(MEASURES[name].take(Path(folder)))
        except Exception:
            console.print_exception()
            break
    return taken


def best(taken: Sequence[Figures]) -> dict[str, float]:
    """The lowest of each figure."""
    return {key: round(min(figures[key] for figures in taken), 4) for key in (taken[0] if taken else ())}


def table(taken: Mapping[str, Sequence[Figures]]) -> Table:
    """A line for each figure: the best round, its bound, whether it holds, and all rounds."""
    shown = Table("figure", "best", "bound", "", "rounds", title="The workbench")
    for name, rounds in taken.items():
        for key, value in best(rounds).items():
            limit = MEASURES[name].bounds.get(key)
            bound = None if limit is None else Bound(False, limit)
            verdict = "" if bound is None else "[green]holds" if bound.holds(value) else "[red]missed"
            shown.add_row(
                key, f"{value:.4g}", str(bound or ""), verdict, ", ".join(f"{figures[key]:.4g}" for figures in rounds)
            )
    return shown


def missed(results: Mapping[str, float | str]) -> list[str]:
    """The figures whose bounds do not hold."""
    limits = {key: limit for measure in MEASURES.values() for key, limit in measure.bounds.items()}
    return [key for key, limit in limits.items() if key in results and float(results[key]) > limit]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the JSON; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as one flat JSON object")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), metavar="NAME", help="measures")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="how often each is taken")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a bound is missed")
    options = parser.parse_args(arguments)
    console = Console()
    results = facts()
    taken: dict[str, list[Figures]] = {}
    for name in options.only:
        taken[name] = measure(name, options.rounds, console)
        results |= best(taken[name]) | {"load_after": round(os.getloadavg()[0], 2)}
        if options.json:
            options.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(table(taken))
    broken = any(len(rounds) < options.rounds for rounds in taken.values())
    return 1 if broken or (options.check and missed(results)) else 0


if __name__ == "__main__":
    sys.exit(main())
