"""A golden run, model by model and in batches, against one request after another in the order of the files.

`python -m tests.benchmarks.golden --json FILE`: 64 cases and two models, both in memory from the start, in one process;
prints a table of wall and processor time and their ratios. Exit code 1 when a run fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.catalog import Catalog
from core.engine import Engine
from core.golden.models import from_disk
from core.golden.plan import IN_FLIGHT, Plan, RunOptions, make_plan
from core.golden.reading import load_suite
from core.golden.results import Status
from core.golden.routes import InProcess
from core.golden.run import GoldenRun, request_for
from core.settings import Settings

CASES = 64
ROUNDS = 3
TIERS = '[tiers]\nquick = "pocket/qwen3"\nfull = "pocket/gemma3"\n[defaults]\ntemperature = 0.0\nthinking = false\n'
ASKED = (
    "Tell me a short story about number {n}.",
    "What is the capital of country {n}? Answer in one sentence.",
    "Count from 1 to {n}, please.",
    'Translate the following to French: "The cat sat on {n} mats."',
)
"""Questions of some twenty tokens, answered in ten to seventy."""


def write_suite(folder: Path) -> Path:
    """A suite of CASES prompts, no two alike."""
    (folder / "golden.toml").write_text(TIERS)
    for number in range(CASES):
        (folder / f"case{number:02}.txt").write_text(ASKED[number % len(ASKED)].format(n=number + 2))
    return folder


def in_file_order(engine: Engine, plan: Plan) -> int:
    """One request after another; returns how many were answered."""
    return sum(
        engine.generate(request_for(planned, planned.messages())).result().finished is not None
        for planned in plan.attempts
    )


def as_a_run(engine: Engine, plan: Plan) -> int:
    """As `assay golden run` does it; returns how many were answered."""
    result = GoldenRun(plan, {"in-process": InProcess(engine)}, engine).run()
    return sum(attempt.status is Status.OK for attempt in result.attempts)


def taken(folder: Path, ask: Callable[[Engine, Plan], int], in_flight: int) -> tuple[float, float]:
    """Wall and processor seconds of one way, on an engine that knows nothing of the prompts and has both models."""
    settings = Settings(data_dir=folder / "data", hf_cache=folder / "cache")
    with Engine(settings, Catalog(settings)) as engine:
        for model in ("pocket/qwen3", "pocket/gemma3"):
            engine.load(model).result()
        options = RunOptions(in_flight=in_flight)
        plan = make_plan(load_suite(folder), from_disk(engine.catalog, settings), options, 2**40)
        began, cpu = time.perf_counter(), time.process_time()
        answered = ask(engine, plan)
        spent = time.perf_counter() - began, time.process_time() - cpu
    if answered != len(plan.attempts):
        raise RuntimeError(f"{answered} of {len(plan.attempts)} requests were answered")
    return spent


def main() -> int:
    """Take the measure, print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as one flat JSON object")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, help=f"requests of a model at once [{IN_FLIGHT}]")
    arguments = parser.parse_args()
    ways: dict[str, Callable[[Engine, Plan], int]] = {"in_file_order": in_file_order, "as_a_run": as_a_run}
    best: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as made:
        folder = write_suite(Path(made))
        for _ in range(ROUNDS):
            for name, ask in ways.items():
                spent = taken(folder, ask, arguments.in_flight)
                before = best.get(name, spent)
                best[name] = min(before[0], spent[0]), min(before[1], spent[1])
    figures = {
        f"{name}_{unit}": round(value, 3)
        for name, pair in best.items()
        for unit, value in zip(("wall", "cpu"), pair, strict=True)
    }
    ratios = [best["in_file_order"][index] / best["as_a_run"][index] for index in (0, 1)]
    figures |= {"ratio_wall": round(ratios[0], 2), "ratio_cpu": round(ratios[1], 2), "in_flight": arguments.in_flight}
    table = Table("", "wall s", "processor s", title=f"{CASES} cases, 2 models, best of {ROUNDS}")
    for name, pair in best.items():
        table.add_row(name.replace("_", " "), *(f"{value:.2f}" for value in pair))
    table.add_row("times less", *(f"{value:.2f}" for value in ratios))
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
