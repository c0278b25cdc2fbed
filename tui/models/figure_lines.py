"""What a model's figures say, in lines: for the panel under the list, and for `assay models show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from core.figures.expect import Estimate, Expected
from core.figures.summary import Size, Spread, Summary
from tui.figures import seconds, size_in_words

Line = tuple[str, str]
"""A label of eight cells at most, and what stands behind it."""


def figure_lines(summary: Summary) -> Iterator[Line]:
    """What was measured: medians with the middle half or the range, and of how many values.

    A sort of use that nothing is known of is left out.
    """
    yield from _line("writes", _by_size(summary.decode, _rate), *_together(summary))
    yield from _line("reads", _by_size(summary.prefill, _rate))
    images = f"{spelled(summary.image_ttft, seconds)} with an image" if summary.image_ttft else ""
    yield from _line("first", _by_size(summary.ttft, seconds), images)
    load = spelled(summary.load, seconds) if summary.load else ""
    peak = f"{size_in_words(summary.most)} of memory at most" if summary.most else ""
    yield from _line("loads in", load, peak)
    taken = f"{summary.benchmarks} of them by assay bench" if summary.benchmarks else ""
    uses = f"{summary.count} use{'' if summary.count == 1 else 's'}"
    versions = f"mlx {summary.versions.mlx}" if summary.versions.mlx else ""
    yield from _line("of", ", ".join(part for part in (uses, taken) if part), summary.machine, versions)


def expected_lines(expected: Expected) -> Iterator[Line]:
    """What is expected of a model that was not used here, marked as such, and what from."""
    parts = [
        f"{_about(expected.decode, _rate)} written" if expected.decode else "",
        f"{_about(expected.prefill, _rate)} read" if expected.prefill else "",
        f"loads in {_about(expected.load, seconds)}" if expected.load else "",
    ]
    yield from _line("expected", *parts)
    yield from _line("from", f"what was measured here of {', '.join(expected.models)}")


def spelled(one: Spread, number: Callable[[float], str]) -> str:
    """A median with its spread: "61 tokens/s (58–63, n=12)", or of a single value that alone."""
    if one.count == 1:
        return number(one.median)
    low, high = (number(value).removesuffix(" tokens/s").removesuffix(" s") for value in (one.low, one.high))
    return f"{number(one.median)} ({low}–{high}, n={one.count})"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f} tokens/s" if per_second >= 9.95 else f"{per_second:.1f} tokens/s"


def _about(one: Estimate, number: Callable[[float], str]) -> str:
    low, high = (number(value).removesuffix(" tokens/s").removesuffix(" s") for value in (one.low, one.high))
    return f"about {number(one.value)}" + (f" ({low}–{high})" if low != high else "")


def _by_size(spreads: Mapping[Size, Spread], number: Callable[[float], str]) -> str:
    """The first with its spread, and after longer prompts."""
    told = [(size, spelled(one, number)) for size, one in spreads.items()]
    return " · ".join(text if size is Size.SHORT else f"{text} at {size.value}" for size, text in told)


def _together(summary: Summary) -> Iterator[str]:
    for rows, one in summary.together.items():
        yield (
            f"{spelled(one, _rate)} each of {rows} rows" if rows == 2 else f"{spelled(one, _rate)} each of up to {rows}"
        )


def _line(label: str, *parts: str) -> Iterator[Line]:
    if text := " · ".join(part for part in parts if part):
        yield label, text
