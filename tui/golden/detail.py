"""The chosen golden prompt: its words and images, and both answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.errors import EngineError
from core.golden.suite import Case, Problem
from core.media.images import ImageData, read_image
from core.tiers import Tier
from tui.background import off_loop
from tui.foreign import plain
from tui.golden.answer import GoldenAnswer
from tui.golden.board import Board
from tui.widgets.picture import Picture
from tui.widgets.redraw import redraw


def told(problem: Problem, case: Case) -> str:
    """A message on a case that is shown: `echo.toml:1: an echo of the prompt would pass`."""
    line = f":{problem.line}" if problem.line else ""
    return f"{problem.file.name}{line}: {problem.message.removeprefix(f'{case.id}: ')}"


def question_content(case: Case, problems: Sequence[Problem]) -> Content:
    """What is asked, and what the linter says of it."""
    parts = [plain(case.prompt)]
    if case.system:
        parts.append(Content.assemble(("system  ", "$dim"), plain(case.system, "$foreground 80%")))
    if case.tools:
        names = ", ".join(tool.name for tool in case.tools)
        parts.append(Content.assemble(("tools   ", "$dim"), plain(names, "$secondary")))
    parts += [Content.assemble(("then    ", "$dim"), plain(turn.text)) for turn in case.turns]
    parts += [plain(f"lint    {told(one, case)}", "$warning" if one.warning else "$error") for one in problems]
    return Content("\n").join(parts)


async def images_of(widget: Widget, case: Case) -> list[ImageData]:
    """The images of a case, read off the event loop; one that cannot be read is a notice."""
    found = []
    for image in case.all_images:
        try:
            found.append(await off_loop(partial(read_image, image.path), "read-image"))
        except EngineError as error:
            widget.notify(error.message, severity="error")
    return found


class GoldenDetail(Vertical):
    """Follows the cursor of the table."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.images: list[ImageData] = []
        self._shown: tuple[Case, Sequence[Problem]] | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="golden-question"):
            yield Horizontal(id="golden-images")
            yield Static(id="golden-prompt", markup=False)
        with Horizontal(id="golden-answers"):
            for tier in Tier:
                yield GoldenAnswer(tier)

    def show(self, board: Board, case_id: str | None) -> None:
        """Show a case as the board has it now."""
        self.display = case_id is not None
        if case_id is None:
            return
        case = board.cases[case_id]
        for tier, answer in zip(Tier, self.query(GoldenAnswer), strict=True):
            answer.show(case, board.cells[case_id, tier], board.pending.get((case_id, tier)))
        problems = board.problems.get(case_id, ())
        if self._shown is not None and (case, problems) == self._shown:
            return
        anew = self._shown is None or self._shown[0] != case
        self._shown = case, problems
        redraw(self.query_one("#golden-prompt", Static), question_content(case, problems))
        if anew:
            self._show_images(case)

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        event.among = list(self.images)

    @work(exclusive=True)
    async def _show_images(self, case: Case) -> None:
        holder = self.query_one("#golden-images", Horizontal)
        self.images = await images_of(self, case)
        await holder.remove_children()
        holder.display = bool(self.images)
        rows = 4 if self.app.size.height < 30 or len(self.images) > 1 else 6
        await holder.mount_all(Picture(image, 3 * rows, rows, classes="golden-image") for image in self.images)
