"""What a model's figures say, in lines: for the panel under the list, and for `assay models show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from core.figures.expect import Estimate, Expected
from core.figures.summary import Size, Spread, Summary
from tui.figures import seconds, size_in_words

Line = tuple[str, str]
"""A label of eight cells at most, and what stands behind it."""
_PROMPTS = {Size.SHORT: "short prompts", Size.MIDDLE: "1k", Size.LONG: "8k", Size.LONGER: "longer ones"}
_UNITS = (" tokens/s", " s")


def known_lines(measured: Summary | None, expected: Expected | None) -> tuple[Line, ...]:
    """What was measured, or else what is expected; nothing where neither is known."""
    if measured is not None:
        return tuple(figure_lines(measured))
    return tuple(expected_lines(expected)) if expected is not None else ()


def figure_lines(summary: Summary) -> Iterator[Line]:
    """What was measured: medians with the middle half or the range, and of how many values.

    A sort of use that nothing is known of is left out.
    """
    together = ", ".join(f"{_bare(spelled(one, _rate))} each of up to {n}" for n, one in summary.together.items())
    yield from _line("writes", _by_size(summary.decode, _rate, "after"), f"{together} rows" if together else "")
    yield from _line("reads", _by_size(summary.prefill, _rate, "of"))
    image = f"{spelled(summary.image_ttft, seconds)} after an image" if summary.image_ttft else ""
    yield from _line("begins", _by_size(summary.ttft, seconds, "after"), image)
    first = spelled(summary.first_load, seconds) if summary.first_load else ""
    yield from _line("loads in", first, f"{spelled(summary.later_load, seconds)} again" if summary.later_load else "")
    yield from _line("peak", f"{size_in_words(summary.most)} of memory" if summary.most else "")
    uses = f"{summary.count} use{'' if summary.count == 1 else 's'}"
    bench = "all" if summary.benchmarks == summary.count else str(summary.benchmarks)
    taken = f"{uses}, {bench} by assay bench" if summary.benchmarks else uses
    yield from _line("measured", taken, summary.machine, f"mlx {summary.versions.mlx}")


def expected_lines(expected: Expected) -> Iterator[Line]:
    """What is expected of a model that was not used here, marked as such, and what from."""
    parts = [
        f"writes {_about(expected.decode, _rate)}" if expected.decode else "",
        f"reads {_about(expected.prefill, _rate)}" if expected.prefill else "",
        f"loads in {_about(expected.load, seconds)}" if expected.load else "",
    ]
    yield from _line("expected", *parts)
    yield from _line("from", f"what was measured here of {', '.join(expected.models)}")


def spelled(one: Spread, number: Callable[[float], str], counted: bool = True) -> str:
    """A median with its spread: "61 tokens/s (58–63, n=12)", or of a single value that alone.

    Without the number of values where that stands elsewhere (not `counted`).
    """
    if one.count == 1:
        return number(one.median)
    count = f", n={one.count}" if counted else ""
    return f"{number(one.median)} ({_bare(number(one.low))}–{_bare(number(one.high))}{count})"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f} tokens/s" if per_second >= 9.95 else f"{per_second:.1f} tokens/s"


def _bare(text: str) -> str:
    """Without the unit, which stands before."""
    for unit in _UNITS:
        text = text.replace(f"{unit} (", " (").removesuffix(unit)
    return text


def _about(one: Estimate, number: Callable[[float], str]) -> str:
    low, high = _bare(number(one.low)), _bare(number(one.high))
    return f"about {number(one.value)}" + (f" ({low}–{high})" if low != high else "")


def _by_size(spreads: Mapping[Size, Spread], number: Callable[[float], str], word: str) -> str:
    """The first with its unit: "61 tokens/s (58–63, n=12) after short prompts, 48 after 8k"."""
    told = [(spelled(one, number), f"{word} {_PROMPTS[size]}") for size, one in spreads.items()]
    return ", ".join(f"{_bare(text) if place else text} {prompts}" for place, (text, prompts) in enumerate(told))


def _line(label: str, *parts: str) -> Iterator[Line]:
    if text := " · ".join(part for part in parts if part):
        yield label, text
