"""`assay golden runs`: every kept run found again, and how each case went over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown_line
from tui.cli.golden_suite import write_json

if TYPE_CHECKING:
    from core.golden.history.index import Point, RunLine, Trend


def list_runs(suite: Path | None, cases: Sequence[str], limit: int, json_file: Path | None, *, rebuild: bool) -> int:
    """Print the latest runs, or with `cases` how those went in them; returns the exit code. Raises EngineError."""
    from core.golden.history.index import RunIndex
    from core.settings import load_settings

    runs = load_settings().data_dir / "runs"
    if not runs.is_dir():
        print(f"There is no run yet in {runs}: assay golden run makes one.")  # noqa: T201
        return 0
    place = suite.resolve() if suite else None
    with RunIndex(runs, rebuild=rebuild) as index:
        lines = index.runs(place, limit)
        trends = index.trends(place, cases, limit) if cases else []
    if json_file is not None:
        told = [trend.to_json() for trend in trends] if cases else [line.to_json() for line in lines]
        write_json(json_file, json.dumps(told, indent=2) + "\n")
        return 0
    if cases:
        for trend in trends:
            print(_trend_line(trend, [line.id for line in reversed(lines)]))  # noqa: T201
    else:
        for line in lines:
            print(_run_line(line))  # noqa: T201
    found, what = (len(trends), "case") if cases else (len(lines), "run")
    more = f", as many as --limit says at most ({limit})" if not cases and found == limit else ""
    print(f"{found} {what}{'' if found == 1 else 's'}{more}.")  # noqa: T201
    return 0


def _run_line(run: RunLine) -> str:
    """`20261129-093000-000000  mine  quick 3/4 · full 4/4  exit 1  pocket/qwen3`; `4 of 9 cases` behind the name
    of a suite for a part of it."""
    held = " · ".join(f"{tier} {of}/{answered}" for tier, (of, answered) in run.held.items()) or "nothing answered"
    code = "unfinished" if run.exit_code is None else f"exit {run.exit_code}"
    part = f"{run.part}  " if run.part else ""
    return (
        shown_line(f"{run.id}  {run.suite}  {part}{held}  {code}") + f"  {shown_line(', '.join(run.models))}".rstrip()
    )


def _trend_line(trend: Trend, runs: Sequence[str]) -> str:
    """A sign for each run, the oldest first: held, failed, in some tries, not asked."""
    points = {point.run: point for point in trend.points}
    signs = "".join(_sign(points.get(run)) for run in runs)
    told = [point for point in trend.points if point.tries]
    passes, tries = sum(point.passes for point in told), sum(point.tries for point in told)
    turned = f", turned in {trend.turned}" if trend.turned else ""
    label = f"{trend.case} ({', '.join(filter(None, (trend.tier, trend.model)))})"
    return shown_line(f"{signs}  {label}: {passes} of {tries} tries held{turned}")


def _sign(point: Point | None) -> str:
    if point is None or not point.tries:
        return "·"
    return "✓" if point.passes == point.tries else "~" if point.passes else "✗"
