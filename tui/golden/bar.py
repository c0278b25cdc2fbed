"""The line above a suite's table: what the suite is, what came of it, what goes on. What matters least gives way."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from core.tiers import Tier
from tui.foreign import plain, shorten
from tui.golden.board import Board

GAP, LEAST_GAP = 3, 2
NAME_CELLS, LEAST_NAME_CELLS = 24, 12


@dataclass(frozen=True)
class Part:
    """One thing to say, in words and in short. Those of a higher `rank` give way first."""

    rank: int
    words: Content
    short: Content


def bar_content(board: Board, suite: str, running: str | None, width: int) -> Content:
    """The line in `width` cells: words where all of them fit, else short, else without what matters least.

    `running` is what a run is at, None while none goes on.
    """
    parts = _parts(board, suite, running)
    shown = {part: part.words for part in parts}
    least_first = sorted(parts, key=lambda part: -part.rank)
    for part in least_first:
        if (line := _joined(shown, GAP)).cell_length <= width:
            return line
        shown[part] = part.short
    for part in least_first:
        if (line := _joined(shown, LEAST_GAP)).cell_length <= width:
            return line
        del shown[part]
    return _joined(shown, LEAST_GAP)


def _joined(shown: dict[Part, Content], gap: int) -> Content:
    return Content(" " * gap).join(shown.values())


def _parts(board: Board, suite: str, running: str | None) -> list[Part]:
    name = plain(shorten(suite, NAME_CELLS), "bold")
    words = Content.assemble(("suite ", "$dim"), name, (f"  {len(board.cases)} prompts", "$dim"))
    parts = [Part(3, words, plain(shorten(suite, LEAST_NAME_CELLS), "bold"))]
    if running is not None:
        parts.append(_same(0, plain(running, "$warning")))
    for tier in Tier:
        held, judged = board.held(tier)
        if judged:
            style = "$success" if held == judged else "$warning"
            parts.append(_same(1, Content.assemble((tier.value, f"${tier}"), " ", (f"{held}/{judged}", style))))
    if differ := len(board.disagreements()):
        differing = f"{differ} disagreement{'s' * (differ != 1)}"
        parts.append(Part(2, Content.styled(differing, "$warning"), Content.styled(f"{differ} ≠", "$warning")))
    passed, told = board.controls()
    if told:
        parts.append(_same(5, Content.styled(f"controls {passed}/{told}", "$dim" if passed == told else "$error")))
    if graded := board.graded:
        short = Content.styled(f"{graded} graded", "$dim")
        parts.append(Part(4, Content.styled(f"{graded} by graded checks", "$dim"), short))
    if anew := board.judged_anew:
        parts.append(
            Part(4, Content.styled(f"{anew} judged anew", "$secondary"), Content.styled(f"{anew} ↻", "$secondary"))
        )
    if one_model := board.one_model:
        short = Content.styled(f"{one_model} by one model", "$dim")
        parts.append(Part(6, Content.styled(f"{one_model} answered by one model", "$dim"), short))
    if running is None and board.cases and not any(cell.attempt for cell in board.cells.values()):
        parts.append(_same(4, Content.assemble(("R", "$primary"), (" runs them all", "$dim"))))
    return parts


def _same(rank: int, content: Content) -> Part:
    """What is as short as it gets."""
    return Part(rank, content, content)
