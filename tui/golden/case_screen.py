"""One golden prompt in full: all its images and words, and below them every answer of both tiers with its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, ItemGrid, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.golden.results import Attempt, Verdict
from core.golden.suite import Case
from core.media.images import ImageData
from core.tiers import Tier
from tui.actions import bindings
from tui.foreign import one_line, plain, short_name
from tui.golden.answer import STYLES, answer_content
from tui.golden.board import Board, Cell
from tui.golden.detail import images_of, question_content
from tui.golden.verdicts import SIGNS, WORDS
from tui.widgets.footer import KeyFooter
from tui.widgets.picture import Picture, box_of
from tui.widgets.redraw import redraw

REDRAW_S = 0.5
"""How often it is looked whether a run has said more."""
ROWS, FEW_ROWS, TALL = 10, 5, 30
"""Rows of an image at most, on a terminal from so many rows on, and on one with fewer."""


class CaseScreen(ModalScreen[str]):
    """Dismissed with the case that is shown last. `order` are those that can be gone to; `why` explains where the
    answers of both tiers to one part."""

    BINDINGS: ClassVar = bindings("case")

    def __init__(self, board: Board, order: Sequence[str], case_id: str, why: Callable[[str], None]) -> None:
        super().__init__(classes="dialogue")
        self._why = why
        self._board, self._order, self._shown = board, list(order), case_id
        self._images: list[ImageData] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="box case-box"), VerticalScroll(id="case-scroll"):
            yield ItemGrid(id="case-images")
            yield Static(id="case-prompt", markup=False)
            with Horizontal(id="case-answers"):
                for tier in Tier:
                    yield Static(id=f"case-{tier}", classes=f"case-answer -{tier}", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#case-scroll").focus()
        self._show_case()
        self.set_interval(REDRAW_S, self._show_answers)

    @property
    def _case(self) -> Case:
        return self._board.cases[self._shown]

    def _show_case(self) -> None:
        place = f"{self._order.index(self._shown) + 1} of {len(self._order)}"
        box = self.query_one(".case-box", Vertical)
        box.border_title, box.border_subtitle = plain(one_line(self._shown)), place
        problems = self._board.problems.get(self._shown, ())
        redraw(self.query_one("#case-prompt", Static), question_content(self._case, problems))
        self._show_answers()
        self.query_one("#case-scroll").scroll_home(animate=False)
        self.refresh_bindings()
        self._show_images(self._case)

    def _show_answers(self) -> None:
        for tier in Tier:
            side = self.query_one(f"#case-{tier}", Static)
            cell = self._board.cells[self._shown, tier]
            side.border_title = plain(f"{tier} · {short_name(cell.model)}" if cell.model else tier.value)
            redraw(side, Content("\n\n").join(answers(self._board, self._case, tier)))

    @work(exclusive=True)
    async def _show_images(self, case: Case) -> None:
        holder = self.query_one("#case-images", ItemGrid)
        self._images = await images_of(self, case)
        await holder.remove_children()
        holder.display = bool(self._images)
        rows = ROWS if self.app.size.height >= TALL else FEW_ROWS
        holder.min_column_width = max((box_of(image, 3 * rows, rows)[0] for image in self._images), default=1)
        await holder.mount_all(Picture(image, 3 * rows, rows) for image in self._images)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "view_picture":
            return bool(self._images)
        if action == "why":
            return any(self._board.cells[self._shown, tier].attempt for tier in Tier)
        return action != "turn" or len(self._order) > 1

    def action_turn(self, by: int) -> None:
        """To another prompt, round in a circle."""
        self._shown = self._order[(self._order.index(self._shown) + by) % len(self._order)]
        self._show_case()

    def action_why(self) -> None:
        self._why(self._shown)

    def action_view_picture(self) -> None:
        self.app.post_message(Picture.Wanted(self._images[0], self._images))

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        event.among = list(self._images)

    def action_close(self) -> None:
        self.dismiss(self._shown)


def answers(board: Board, case: Case, tier: Tier) -> Iterator[Content]:
    """Each answer of a tier with its checks: repeats, routes and controls, one below the other."""
    cell = board.cells[case.id, tier]
    mine = [one for one in board.attempts.values() if (one.case, one.tier) == (case.id, tier)]
    if not mine:
        yield answer_content(case, tier, cell, spelled=True)
        return
    several = any(one.repeat for one in mine)
    for one in sorted(mine, key=lambda one: (one.control or "", one.repeat)):
        shown = Cell(model=one.model_id, attempt=one, was=board.judged.get(one.key), same=one.same_as is not None)
        since = board.pending.get((case.id, tier)) if one is cell.attempt else None
        yield Content("\n").join(
            [_head(one, several), answer_content(case, tier, shown, True, since), *_checks(one), *_grades(one)]
        )


def _head(one: Attempt, several: bool) -> Content:
    """`repeat 2 ✗ fails`."""
    name = f"control: {one.control}" if one.control else f"repeat {one.repeat + 1}" if several else ""
    route = "" if one.route == "in-process" else one.route
    words = f"{SIGNS[one.verdict]} {WORDS[one.verdict]}{' (graded)' if one.by_grades else ''}"
    left = " ".join(filter(None, (name, route)))
    return Content.assemble((f"{left} " if left else "", "bold"), (words, STYLES[one.verdict]))


def _checks(one: Attempt) -> Iterator[Content]:
    """`✓ expect: red at 12`, for each check."""
    for check in one.checks:
        verdict = Verdict.PASS if check.passed else Verdict.FAIL
        hits = ", ".join(f"{hit.text} at {hit.start}" for hit in check.hits)
        why = one_line("; ".join(check.failed) or hits)
        graded = " (graded)" if check.graded else ""
        yield plain(f"{SIGNS[verdict]} {check.name}{graded}{f': {why}' if why else ''}", STYLES[verdict])


def _grades(one: Attempt) -> Iterator[Content]:
    """What was said of it for a graded check, where there are words for it."""
    for grade in one.graded:
        if why := one_line(str(grade.get("why") or "")):
            yield plain(f"  {why}", "$dim")
