"""One tier's answer to a golden prompt: the text with what matched marked in it, and why it holds or fails."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.golden.baselines.standing import Candidate
from core.golden.baselines.word_diff import word_diff
from core.golden.expressions import describe
from core.golden.results import Attempt, Verdict
from core.golden.suite import Case
from core.golden.verdict import CACHED
from core.tiers import Tier
from tui.figures import first_token, loaded_in, waited
from tui.foreign import clean, plain, short_name, shorten
from tui.golden.board import Cell, Progress
from tui.golden.changes import COLOURS
from tui.golden.pending import marked_words
from tui.golden.verdicts import SIGNS, WORDS
from tui.widgets.redraw import redraw

STYLES = {
    Verdict.PASS: "$success",
    Verdict.FAIL: "$error",
    Verdict.ERROR: "$error",
    Verdict.SKIP: "$dim",
    Verdict.XFAIL: "$dim",
    Verdict.XPASS: "$warning",
    Verdict.INCONCLUSIVE: "$warning",
}
SPELLED_FROM = 40
"""Cells from which on the figures are words."""


def marked_answer(attempt: Attempt) -> Content:
    """The answer with the texts that an expectation found marked where they stand."""
    text = clean(attempt.answer)
    content = Content(text)
    if text == attempt.answer:  # positions count characters of the answer as it came
        for check in attempt.checks:
            for hit in check.hits:
                content = content.stylize("bold $success", hit.start, hit.end)
    return content


def answer_content(
    case: Case, tier: Tier, cell: Cell, spelled: bool = False, since: Candidate | None = None
) -> Content:
    """The answer, why it fails if it does, what was expected and what matched, and what has changed `since` an answer
    was accepted; `spelled` says figures in words."""
    dim = "$dim"
    expected = Content.assemble(("expects  ", dim), plain(describe(case.expected(tier))))
    attempt = cell.attempt
    if attempt is None:
        now = {
            Progress.IDLE: Content.styled("not run yet", dim),
            Progress.WAITING: Content.styled("waiting…", dim),
            Progress.GRADING: Content.assemble(plain(cell.answer), "\n", ("to be graded when all have answered", dim)),
        }.get(cell.progress, Content.assemble(plain(cell.answer), ("▌", "$primary")))
        return Content.assemble(now, "\n\n", expected)
    lines = [plain(f"{number}. {came}", dim) for number, came in enumerate(attempt.earlier, 1)]
    if attempt.answer:
        lines.append(marked_answer(attempt))
    for call in attempt.tool_calls:
        arguments = call.get("arguments")
        if isinstance(arguments, dict):
            arguments = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        lines.append(plain(f"⚒ {call.get('name')}({arguments})", "$secondary"))
    lines += [Content("")] if lines else []
    if attempt.why:
        lines.append(plain(attempt.why, STYLES[attempt.verdict]))
    if cell.control is not None:
        lines.append(plain(f"control {cell.control.control}: {cell.control.why}", "$error"))
    if cell.was is not None:
        lines.append(plain(f"↻ judged anew, before: {SIGNS[cell.was]} {WORDS[cell.was]}", "$secondary"))
    if cell.same:
        lines.append(Content.styled("asked once: this model stands for both tiers", dim))
    lines.append(expected)
    hits = list(dict.fromkeys(attempt.answer[hit.start : hit.end] for check in attempt.checks for hit in check.hits))
    if hits:
        lines.append(Content.assemble(("matched  ", dim), plain(", ".join(hits), "$success")))
    if since is not None and since.accepted is not None:
        said = marked_words(word_diff(since.accepted.said, since.attempt.said))
        lines.append(Content.assemble((f"{since.change.value}  ", COLOURS[since.change]), said))
    ttft = attempt.perf.get("ttft_s")
    if ttft is not None:
        warm = " (prompt cached)" if attempt.perf.get("warmth") == CACHED else ""
        tokens = f"{attempt.usage.get('completion', 0)} tokens"
        figures = (f"{first_token(ttft, spelled)}{warm}", tokens, waited(attempt), loaded_in(attempt))
        lines.append(Content.styled(" · ".join(filter(None, figures)), dim))
    return Content("\n").join(lines)


def verdict_line(cell: Cell) -> Content:
    """Verdict and figures, for the border."""
    attempt = cell.attempt
    if attempt is None:
        return Content("")
    if cell.control is not None and attempt.verdict is Verdict.PASS:
        return Content.styled("✗ its control failed", "$error")
    share = f" · {cell.passes} of {cell.tries}" if cell.tries > 1 else ""
    rate = f" · {cell.rate} tok/s" if cell.rate else ""
    words = f"{SIGNS[attempt.verdict]} {WORDS[attempt.verdict]}{' (graded)' if attempt.by_grades else ''}"
    return Content.assemble((words, STYLES[attempt.verdict]), (share + rate, "$dim"))


class GoldenAnswer(VerticalScroll, can_focus=False):
    """One half of the detail."""

    def __init__(self, tier: Tier) -> None:
        super().__init__(classes=f"golden-answer -{tier}")
        self._tier = tier

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, case: Case, cell: Cell, since: Candidate | None = None) -> None:
        """Show a cell; a running answer is followed to its end. `since` is what is pending of it."""
        name = f" · {shorten(short_name(cell.model), 24)}" if cell.model else ""
        self.border_title = plain(f"{self._tier}{name}")
        self.border_subtitle = verdict_line(cell)
        spelled = self.content_size.width >= SPELLED_FROM
        redraw(self.query_one(Static), answer_content(case, self._tier, cell, spelled, since))
        if cell.progress is Progress.RUNNING:
            self.scroll_end(animate=False)
