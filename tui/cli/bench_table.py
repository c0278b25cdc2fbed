"""What a benchmark has shown: a table for each model, bars for their rates on a terminal, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from core.bench.run import ModelResult, Run, TrialResult
from core.figures.recorder import versions
from core.figures.summary import Spread, spread
from tui.cli.console import new_console
from tui.cli.encoding import shown_line
from tui.cli.models import print_rows
from tui.figures import number, seconds, size_in_words
from tui.models.figure_lines import spelled

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("runs", "first token", "prompt tokens/s", "answer tokens/s", "all rows", "peak")
LEAST_DEAR_FIRST = ("runs", "peak", "all rows", "prompt tokens/s", "first token", "answer tokens/s")
BAR_CELLS = 40


def print_results(results: Sequence[ModelResult], machine: str) -> None:
    """Tables and what was left out; bars where standard output is a terminal."""
    console = new_console()
    told = versions()
    libraries = f"mlx {told.mlx}, mlx-lm {told.mlx_lm}, mlx-vlm {told.mlx_vlm}, assay {told.assay}"
    console.print(f"{machine} · {libraries}" if machine else libraries, style="dim", soft_wrap=not console.is_terminal)
    for result in results:
        if result.first_load_s is None:
            continue
        console.print(f"\n{_head(result)}", soft_wrap=not console.is_terminal)
        made = [test for test in result.tests if test.runs]
        if made:
            print_rows([_cells(test) for test in made], [""] * len(made), COLUMNS, LEAST_DEAR_FIRST, first="test")
        for test in made:
            if test.note:
                console.print(f"{test.test.name}: {test.note}", style="dim", soft_wrap=not console.is_terminal)
        for skipped in result.skipped:
            console.print(
                f"{skipped.test.name}: left out. {skipped.why}", style="dim", soft_wrap=not console.is_terminal
            )
    if console.is_terminal:
        _print_bars(results, console)


def _head(result: ModelResult) -> str:
    """Of a model: how it is held, what it takes, and how it was loaded."""
    loaded = spread(result.loads_s)
    first = seconds(result.first_load_s or 0.0)
    parts = [
        shown_line(result.id),
        result.precision,
        f"{size_in_words(result.memory)} in memory" if result.memory else "",
        f"first loaded in {first}" if loaded else f"loaded in {first}",
        f"then in {spelled(loaded, seconds, counted=False)}" if loaded else "",
    ]
    return " · ".join(part for part in parts if part)


def _cells(test: TrialResult) -> dict[str, str]:
    total = test.total if test.test.rows > 1 else None
    return {
        "test": test.test.name,
        "runs": str(len(test.runs)),
        "first token": spelled(test.ttft, seconds, counted=False) if test.ttft else "–",
        "prompt tokens/s": spelled(test.prefill, _count, counted=False) if test.prefill else "–",
        "answer tokens/s": spelled(test.decode, _count, counted=False) if test.decode else "–",
        "all rows": spelled(total, _count, counted=False) if total else "",
        "peak": size_in_words(test.peak) if test.peak else "–",
    }


def _count(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}" if value < 9999.5 else number(value)


def _print_bars(results: Sequence[ModelResult], console: Console) -> None:
    """Tokens of all answers of a test a second, one bar a test."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    told = [
        (result, test, rate.median)
        for result in results
        for test in result.tests
        if (rate := test.total or test.decode) is not None
    ]
    if not told:
        return
    most = max(value for _, _, value in told)
    table = Table.grid(padding=(0, 1))
    shown = None
    for result, test, value in told:
        if result is not shown and len(results) > 1:
            table.add_row(Text(shown_line(result.id), style="bold"))
        shown = result
        bar = ProgressBar(total=most, completed=value, width=BAR_CELLS, complete_style="cyan", finished_style="cyan")
        table.add_row(test.test.name, bar, _count(value))
    console.print("\ntokens written a second, all rows together")
    console.print(table)


def record(results: Iterable[ModelResult], machine: str) -> dict[str, Any]:
    """All of it as JSON values: times in seconds, rates in tokens a second, sizes in bytes."""
    return {
        "machine": machine,
        "versions": vars(versions()),
        "models": [
            {
                "id": result.id,
                "precision": result.precision,
                "memory_bytes": result.memory or None,
                "first_load_s": result.first_load_s,
                "load_s": _plain(spread(result.loads_s)),
                "tests": [_test(test) for test in result.tests if test.runs],
                "left_out": [
                    {"prompt": one.test.prompt, "rows": one.test.rows, "image": one.test.image, "why": one.why}
                    for one in result.skipped
                ],
                "problem": result.error.message if result.error else None,
            }
            for result in results
        ],
    }


def _test(test: TrialResult) -> dict[str, Any]:
    return {
        "prompt": test.test.prompt,
        "rows": test.test.rows,
        "image": test.test.image,
        "prompt_tokens": test.prompt_tokens,
        "ttft_s": _plain(test.ttft),
        "prefill_tokens_per_s": _plain(test.prefill),
        "decode_tokens_per_s": _plain(test.decode),
        "total_tokens_per_s": _plain(test.total),
        "peak_bytes": test.peak,
        "note": test.note or None,
        "runs": [_run(run) for run in test.runs],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "ttft_s": [end.timing.ttft_s for end in run.ends],
        "prompt_tokens": [end.usage.prompt_tokens for end in run.ends],
        "completion_tokens": [end.usage.completion_tokens for end in run.ends],
        "decode_tokens_per_s": [end.timing.decode_tps for end in run.ends],
        "prefill_tokens_per_s": run.prefill_tps,
        "total_tokens_per_s": run.total_tps,
        "peak_bytes": run.peak,
    }


def _plain(one: Spread | None) -> dict[str, Any] | None:
    return None if one is None else vars(one)
