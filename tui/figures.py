"""Numbers as a person reads them: sizes, counts, rates, times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.calls.events import RATE_TOKENS

if TYPE_CHECKING:
    from core.golden.results import Attempt


def size(count: float) -> str:
    """Bytes in four or five cells: 84K, 2.9G. Powers of 1000, as disks and the Hub count."""
    if count < 1000:
        return f"{count:.0f}B"
    for unit in "KMGT":
        count /= 1000
        if count < 999.5 or unit == "T":
            return f"{count:.1f}{unit}" if count < 9.95 else f"{count:.0f}{unit}"
    raise AssertionError("unreachable")


def size_in_words(count: float) -> str:
    """The same where there is room for its unit: 84 KB, 2.9 GB."""
    short = size(count)
    return f"{short[:-1]} {short[-1].replace('B', '')}B"


def number(count: float) -> str:
    """A count of weights or tokens: 512, 33K, 3.2M, 27B."""
    if count < 1000:
        return f"{count:.0f}"
    for unit in "KMBT":
        count /= 1000
        if count < 999.5 or unit == "T":
            return f"{count:.1f}{unit}" if count < 9.95 else f"{count:.0f}{unit}"
    raise AssertionError("unreachable")


def rate(per_second: float, tokens: int, spelled: bool = False) -> str:
    """Tokens per second of an answer: one decimal under ten, "" for one of too few tokens to tell.

    `spelled` is for where there is room for words.
    """
    if not per_second or tokens < RATE_TOKENS:
        return ""
    unit = "tokens/s" if spelled else "tok/s"
    return f"{per_second:.1f} {unit}" if per_second < 9.95 else f"{per_second:.0f} {unit}"


def first_token(value: float, spelled: bool = False) -> str:
    """How long the first token took: `TTFT 0.21 s`, or in words."""
    return f"{'first token after' if spelled else 'TTFT'} {seconds(value)}"


def seconds(value: float) -> str:
    """A time: 0.21 s, 12.3 s, 2:05."""
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02d}"


def when(moment: float, now: float) -> str:
    """A moment in seconds since the epoch as a person says it: the hour today, the day before that."""
    then = time.localtime(moment)
    return time.strftime("today %H:%M" if then[:3] == time.localtime(now)[:3] else "%Y-%m-%d", then)


def counted(downloads: int) -> str:
    """1 download, 2 downloads."""
    return f"{downloads} download{'' if downloads == 1 else 's'}"


def golden_rate(attempt: Attempt) -> str:
    """The tokens per second of an answer to a golden prompt; "" where it was too short to tell."""
    value = attempt.perf.get("decode_tps")
    return f"{value:.0f}" if value else ""


def waited(attempt: Attempt) -> str:
    """`queued 12.3 s` for an answer that waited for others, else ""; other times leave it out."""
    value = attempt.perf.get("queued_s") or 0.0
    return f"queued {seconds(value)}" if value >= 0.05 else ""


def loaded_in(attempt: Attempt) -> str:
    """`loaded in 2.31 s` for the answer that its model was loaded for, else ""; other times leave it out."""
    value = attempt.perf.get("load_s") or 0.0
    return f"loaded in {seconds(value)}" if value >= 0.05 else ""
