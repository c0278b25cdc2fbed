"""The line above a suite's table fits whatever width it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.golden.reading import load_suite
from core.golden.results import Attempt, Status, Verdict
from core.golden.suite import BUILTIN
from core.tiers import Tier
from tui.golden.bar import bar_content
from tui.golden.board import Board, Cell, Progress


@pytest.fixture(scope="module")
def board() -> Board:
    """All passed on both tiers but the last prompt, on the full one."""
    board = Board.of(load_suite(BUILTIN).cases)
    passed = Attempt("a", "k", "c", "", "", "quick", "in-process", 0, Status.OK, Verdict.PASS)
    for key in board.cells:
        board.cells[key] = Cell(Progress.DONE, attempt=passed, controls=(1, 1))
    last = list(board.cases)[-1], Tier.FULL
    board.cells[last] = Cell(Progress.DONE, attempt=replace(passed, verdict=Verdict.FAIL))
    return board


def test_in_a_wide_pane_all_of_it_is_words(board: Board) -> None:
    line = bar_content(board, "built-in", None, 120).plain
    assert line == "suite built-in  11 prompts   quick 11/11   full 10/11   1 disagreement   controls 21/21"


@pytest.mark.parametrize("width", range(36, 120))
def test_the_disagreements_are_whole_at_any_width(board: Board, width: int) -> None:
    line = bar_content(board, "built-in", None, width)
    assert line.cell_length <= width
    assert "quick 11/11  full 10/11" in line.plain.replace("   ", "  ")
    assert "1 ≠" in line.plain or "1 disagreement" in line.plain


def test_what_goes_on_stays_longest(board: Board) -> None:
    line = bar_content(board, "a suite with a name that is long", "running 3/22", 44).plain
    assert line == "running 3/22  quick 11/11  full 10/11  1 ≠"
    assert "quick 11/11" in bar_content(board, "short", "running 3/22", 60).plain
