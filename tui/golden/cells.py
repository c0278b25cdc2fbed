"""What stands in the cells of a suite's table: verdicts and which tier did better, in words where they fit."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content

from core.golden.results import Verdict
from core.tiers import Tier
from tui.foreign import plain, shorten
from tui.golden.answer import STYLES
from tui.golden.board import ONE, Board, Cell, Progress
from tui.golden.changes import COLOURS
from tui.golden.changes import SIGNS as CHANGE_SIGNS
from tui.golden.tree import inside
from tui.golden.verdicts import SIGNS, WORDS
from tui.widgets.row_table import Column

ROOMY = 84
"""The width of the table from which on verdicts are words."""
COLUMNS = (
    Column("case", "prompt"),
    Column("quick", "quick", 6, roomy=Column("quick", "quick", 19, ROOMY)),
    Column("full", "full", 6, roomy=Column("full", "full", 19, ROOMY)),
    Column("difference", "better", 9, roomy=Column("difference", "which is better", 15, ROOMY)),
)
GRADED, ANEW = " (graded)", "↻"
"""Behind a verdict that rests on a grade, and behind one on a kept answer that is judged by what is expected now."""
SOME = "◐ "
"""Before a folder of which some cases are marked."""
DIFFERENCES = {"=": "same", "quick": "quick is better", "full": "full is better", ONE: "one model"}
PROGRESS = {
    Progress.IDLE: ("·", "not run yet", "$dim"),
    Progress.WAITING: ("…", "waiting", "$dim"),
    Progress.RUNNING: ("▸", "running", "$warning"),
    Progress.GRADING: ("∴", "to be graded", "$warning"),
}


def cell_content(board: Board, case_id: str, column: Column, cells: int) -> Content:
    """What a row says in a column of `cells` cells. `case_id` may be a folder's, with a slash at its end."""
    if case_id not in board.cases:
        return _folder_content(board, case_id, column.key, cells)
    match column.key:
        case "case":
            signs = _signs(board, case_id)
            rest = cells - signs.cell_length
            fits = all(cell_len(one) <= rest for one in board.cases)
            return Content.assemble(signs, plain(shorten(case_id if fits else case_id.rsplit("/", 1)[-1], rest)))
        case "difference":
            difference = board.difference(case_id)
            style = {"quick": "$quick", "full": "$full"}.get(difference, "$dim")
            words = DIFFERENCES.get(difference, "")
            return Content.styled(words if len(words) <= cells else difference, style)
        case tier:
            return verdict_content(board.cells[case_id, Tier(tier)], cells)


def _folder_content(board: Board, folder: str, column: str, cells: int) -> Content:
    """A folded folder: how many cases it has, how many of them hold, and on how many the tiers differ."""
    held = inside(folder, board.cases)
    match column:
        case "case":
            count = f"  {len(held)}"
            marks = sum(case_id in board.marked for case_id in held)
            sign = "● " if marks == len(held) else SOME if marks else "  "
            signs = Content.styled(sign if board.marked else "", "$primary")
            rest = cells - signs.cell_length - len(count)
            return Content.assemble(signs, plain(shorten(f"▸ {folder}", rest)), (count, "$dim"))
        case "difference":
            differ = sum(map(board.differs, held))
            return Content.styled(f"{differ} ≠" if differ else "", "$warning")
        case tier:
            known = [board.cells[case_id, Tier(tier)].held for case_id in held]
            judged = sum(one is not None for one in known)
            passed = sum(one is True for one in known)
            style = "$success" if passed == judged else "$warning"
            return Content.styled(f"{passed}/{judged}" if judged else "", style)


def widest_name(board: Board) -> int:
    """Cells of the longest name with its signs."""
    return max((cell_len(case_id) for case_id in board.cases), default=0) + 2 * (
        bool(board.marked) + bool(board.changes)
    )


def _signs(board: Board, case_id: str) -> Content:
    """What stands before a name: a mark, and what has become of its accepted answer; as wide for every case."""
    marked = ("● " if case_id in board.marked else "  ", "$primary") if board.marked else ("", "")
    change = board.changes.get(case_id)
    sign = (f"{CHANGE_SIGNS[change]} ", COLOURS[change]) if change else ("  " if board.changes else "", "")
    return Content.assemble(marked, sign)


def verdict_content(cell: Cell, cells: int) -> Content:
    """A cell of the table: the verdict and tokens per second, in words where they fit into `cells`."""
    attempt = cell.attempt
    if attempt is None:
        glyph, words, style = PROGRESS.get(cell.progress, ("", "", ""))
        return Content.styled(words if len(words) <= cells else glyph, style)
    if cell.control is not None and cell.held:
        words = "its control fails"
        return Content.assemble(
            (f"{SIGNS[Verdict.PASS]} ", "$success"), (words if len(words) + 2 <= cells else "ctl✗", "$error")
        )
    sign, words = SIGNS[attempt.verdict], WORDS[attempt.verdict]
    anew = ANEW if cell.was else ""
    in_words = [f"{sign} {words}{graded}{anew and ' '}{anew}" for graded in ((GRADED, " g") if cell.graded else ("",))]
    short = f"{sign}{'g' * cell.graded}{anew}"
    told = next((one for one in in_words if len(one) <= cells), short)
    rate = f"{cell.rate:>{max(0, 4 - len(told))}}" if told == short else f"{cell.rate} tok/s"
    fits = cell.rate and len(told) + 1 + len(rate) <= cells
    return Content.assemble((told, STYLES[attempt.verdict]), (f" {rate}" if fits else "", "$dim"))
