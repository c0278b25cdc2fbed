"""What is pending, one answer at a time: the words that went and came, the image, and a key for each decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.errors import EngineError
from core.golden.baselines.review import Review
from core.golden.baselines.standing import Candidate
from core.golden.baselines.word_diff import word_diff
from core.golden.suite import Case
from core.media.images import ImageData
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain, shorten
from tui.golden.answer import STYLES
from tui.golden.changes import COLOURS, SIGNS
from tui.golden.detail import images_of
from tui.golden.pending import ASKED_OTHERWISE, label, marked_words, verdicts
from tui.widgets.footer import KeyFooter
from tui.widgets.picture import Picture

HEAD_CELLS = 22
"""Of the head's line, what stands beside the case's name."""
TALL = 30
"""Rows of the terminal from which on an image is given more of them."""


class ReviewScreen(ModalScreen[None]):
    """Goes through a review; every decision is on the disk before the next answer is shown."""

    BINDINGS: ClassVar = bindings("review")

    def __init__(self, review: Review) -> None:
        super().__init__(classes="dialogue")
        self._review = review
        self._said = ""
        """What the last decision came to."""
        self._images: list[ImageData] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="box review-box") as box:
            box.border_title = "Review"
            yield Static(id="review-head", markup=False)
            with VerticalScroll(id="review-question"), Horizontal():
                yield Horizontal(id="review-images")
                yield Static(id="review-prompt", markup=False)
            with VerticalScroll(id="review-diff"):
                yield Static(id="review-words", markup=False)
            yield Static(id="review-verdicts", markup=False)
            yield Static(id="review-said", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#review-diff").focus()
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "undo":
            return self._review.can_undo
        if action == "view_picture":
            return bool(self._images)
        if action == "turn":
            return len(self._review.waiting) > 1
        return action not in ("accept", "reject", "skip") or self._review.shown is not None

    # -- what is shown ------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        one = self._review.shown
        self.query_one("#review-question").display = one is not None
        self.query_one("#review-said", Static).update(plain(self._said, "$dim"))
        if one is None:
            self.query_one("#review-head", Static).update(Content.styled("Nothing more waits for you.", "bold"))
            self.query_one("#review-words", Static).update(plain(self._counted()))
            self.query_one("#review-verdicts", Static).update(Content(""))
            self._images = []
        else:
            self.query_one("#review-head", Static).update(self._head(one))
            self.query_one("#review-words", Static).update(diff_content(one))
            lines = [plain(one_line(line), STYLES[verdict]) for verdict, line in verdicts(one)]
            if one.asked_otherwise:
                lines.append(Content.styled(ASKED_OTHERWISE, "$warning"))
            self.query_one("#review-verdicts", Static).update(Content("\n").join(lines))
            self.query_one("#review-prompt", Static).update(question_content(one))
            self._show_images(one.case)
        for part in ("#review-question", "#review-diff"):
            self.query_one(part).scroll_home(animate=False)
        self.refresh_bindings()

    def _head(self, one: Candidate) -> Content:
        change, count = one.change, len(self._review.waiting)
        place = f"  {self._review.place + 1} of {count}"
        if done := self._review.choices.get(self._review.place):
            place += f" · {done.value}"
        name = plain(shorten(label(one), max(20, self.app.size.width - HEAD_CELLS - len(place))), "bold")
        return Content.assemble((f"{SIGNS[change]} {change.value}  ", COLOURS[change]), name, (place, "$dim"))

    def _counted(self) -> str:
        counts = Counter(self._review.choices.values())
        told = ", ".join(f"{count} {choice.value}" for choice, count in counts.items()) or "nothing was decided"
        return f"{told}. Skipped answers stay pending; u takes the last decision back."

    @work(exclusive=True)
    async def _show_images(self, case: Case) -> None:
        holder = self.query_one("#review-images", Horizontal)
        found = await images_of(self, case)
        if found == self._images and len(holder.children) == len(found):
            return
        self._images = found
        await holder.remove_children()
        holder.display = bool(found)
        rows = self._image_rows
        await holder.mount_all(Picture(image, 3 * rows, rows, classes="golden-image") for image in found)
        self.refresh_bindings()

    @property
    def _image_rows(self) -> int:
        return 4 if self.app.size.height < TALL else 10

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit_images)

    def _fit_images(self) -> None:
        for picture in self.query(Picture):
            picture.fit(3 * self._image_rows, self._image_rows)

    # -- keys ---------------------------------------------------------------------------------------------------------

    async def _decide(self, work: Callable[[], Any], said: Callable[[Any], str]) -> None:
        """Carry a decision out off the event loop; the next key waits for it."""
        try:
            self._said = said(await off_loop(work, "review"))
        except EngineError as error:
            self.notify(error.message, title="Not written", severity="error")
        self._show()

    async def action_accept(self) -> None:
        folder = self._review.suite.path
        await self._decide(self._review.accept, lambda one: f"accepted: {one.path.relative_to(folder)}")

    async def action_reject(self) -> None:
        await self._decide(self._review.reject, lambda _: "rejected: the accepted answer stays.")

    async def action_skip(self) -> None:
        await self._decide(self._review.skip, lambda _: "skipped: it stays pending.")

    async def action_undo(self) -> None:
        await self._decide(self._review.undo, lambda _: "taken back.")

    def action_turn(self, by: int) -> None:
        self._review.turn(by)
        self._said = ""
        self._show()

    def action_view_picture(self) -> None:
        self.app.post_message(Picture.Wanted(self._images[0], self._images))

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        event.among = list(self._images)

    def action_close(self) -> None:
        self.dismiss()


def question_content(one: Candidate) -> Content:
    """The prompt, and the turns with the answers that came between."""
    lines = [plain(one.case.prompt)]
    for turn, came in zip(one.case.turns, one.attempt.turns, strict=False):
        lines += [plain(str(came["answer"]), "$dim"), plain(turn.text)]
    return Content("\n").join(lines)


def diff_content(one: Candidate) -> Content:
    """The accepted answer and this one as one text, [-what went-] and {+what came+}; a first answer as it is."""
    if one.accepted is None:
        return plain(one.attempt.said or "(nothing)", "$success")
    return marked_words(word_diff(one.accepted.said, one.attempt.said))
