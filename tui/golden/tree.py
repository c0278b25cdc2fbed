"""A suite's cases as a tree: a folder that is folded is one row, its key ends with a slash; and what a filter finds."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from core.tiers import Tier
from tui.golden.board import Board
from tui.golden.verdicts import WORDS


def folder_of(row: str) -> str:
    """The folder in which a case or a folder lies, with a slash at its end; "" for the suite's own."""
    above, slash, _ = row.rstrip("/").rpartition("/")
    return above + slash


def rows(case_ids: Iterable[str], folded: Collection[str]) -> list[str]:
    """The rows of these cases in their order, with one for each folder that is folded."""
    return list(dict.fromkeys(_row(case_id, folded) for case_id in case_ids))


def _row(case_id: str, folded: Collection[str]) -> str:
    row, above = case_id, folder_of(case_id)
    while above:
        row = above if above in folded else row
        above = folder_of(above)
    return row


def inside(row: str | None, case_ids: Iterable[str]) -> list[str]:
    """The cases that a row stands for."""
    if row is None:
        return []
    return [one for one in case_ids if one == row or (row.endswith("/") and one.startswith(row))]


def matches(board: Board, case_id: str, words: Iterable[str]) -> bool:
    """Whether each word stands in what a row tells, or in the prompt."""
    told = [case_id, board.cases[case_id].prompt, *(["marked"] if case_id in board.marked else [])]
    for tier in Tier:
        attempt = board.cells[case_id, tier].attempt
        told.append(f"{tier} {WORDS[attempt.verdict]}" if attempt else "not run")
    if change := board.changes.get(case_id):
        told.append(f"pending {change}")
    if board.differs(case_id):
        told.append("disagreement")
    cells = [board.cells[case_id, tier] for tier in Tier]
    told += ["graded"] * any(cell.graded for cell in cells) + ["judged anew"] * any(cell.was for cell in cells)
    text = " ".join(told).lower()
    return all(word in text for word in words)


def failed(board: Board) -> list[str]:
    """The cases that failed or did not come about on a tier, or whose control failed."""
    found = []
    for case_id in board.cases:
        cells = [board.cells[case_id, tier] for tier in Tier]
        if any(cell.attempt and (not cell.held or cell.control) and cell.attempt.verdict != "skip" for cell in cells):
            found.append(case_id)
    return found
