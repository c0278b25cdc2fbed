"""How downloads stand, in words and bars."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from core.hub.progress import Progress, Stage
from tui.figures import counted, seconds, size
from tui.foreign import one_line
from tui.hub.queue import moving

EIGHTHS = " ▏▎▍▌▋▊▉"
LONGEST_S = 99 * 3600.0


def bar(done: int, total: int, cells: int, style: str = "$primary") -> Content:
    """A bar of so many cells; one that has no end yet is empty."""
    eighths = min(max(done, 0) * cells * 8 // total, cells * 8) if total > 0 else 0
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (EIGHTHS[rest] if rest else "")
    return Content.assemble((filled.ljust(cells), f"{style} on $panel"))


def share(done: int, total: int) -> str:
    """Per cent, rounded down."""
    return f"{min(100 * max(done, 0) // total, 100)} %" if total > 0 else ""


def left(value: float | None) -> str:
    """Time left: 12 s, 2:05, 1 h 20."""
    if value is None or value > LONGEST_S:
        return ""
    if value < 99.5:
        return f"{value:.0f} s"
    if value < 3600:
        return seconds(value)
    hours, rest = divmod(round(value / 60), 60)
    return f"{hours} h {rest:02d}"


def state(progress: Progress) -> tuple[str, str]:
    """What a download does at present, in a word or two, and its colour."""
    match progress.stage:
        case _ if progress.waiting:
            return "waits", "$warning"
        case Stage.RUNNING:
            rest = left(progress.left_s)
            return f"{rest} left" if rest else "", ""
        case Stage.LOOKING:
            return "asking", "$dim"
        case Stage.FAILED:
            return "stopped", "$error"
        case stage:
            return stage.value, "$dim"


def notes(downloads: Iterable[Progress]) -> list[str]:
    """A sentence for each download that stopped by itself or waits; what is true of several is said once."""
    told: dict[str, None] = {}
    for one in downloads:
        if one.stage is Stage.FAILED and one.problem:
            told[one_line(one.problem)] = None
        elif one.waiting:
            told[f"{one.id}: {one_line(one.waiting)}"] = None
    return list(told)


def left_of_all(downloads: tuple[Progress, ...]) -> float | None:
    """Seconds until all that moves is there: what one of them takes at its own speed at least; None if not known."""
    speed = sum(one.speed for one in downloads)
    if not speed:
        return None
    missing = sum(one.total - one.done for one in downloads if one.stage.moves)
    return max(missing / speed, *(one.left_s or 0.0 for one in downloads))


def summary(downloads: tuple[Progress, ...]) -> str:
    """All of them in a line: `2 downloads, 43 %, 3:10 left, 1 paused`."""
    parts = []
    if (now := moving(downloads)) is not None:
        parts.append(counted(now.count))
        parts += [f"{now.percent} %"] if now.percent is not None else []
        rest = left(left_of_all(downloads))
        parts += [f"{rest} left"] if rest else []
    for stage, word in ((Stage.PAUSED, "paused"), (Stage.FAILED, "stopped")):
        if count := sum(one.stage is stage for one in downloads):
            parts.append(f"{count} {word}" if parts else f"{counted(count)} {word}")
    return ", ".join(parts)


def sizes(progress: Progress) -> str:
    """What is there, of what."""
    return f"{size(progress.done)}/{size(progress.total)}" if progress.total else ""
