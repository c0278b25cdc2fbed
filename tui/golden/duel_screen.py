"""Two answers to a golden prompt side by side, judged by the person; the names come with the last pair."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.errors import EngineError
from core.golden.duel.pairs import Pair
from core.golden.duel.standings import standings
from core.golden.duel.votes import Choice, Duel
from core.golden.history.joined import joined
from core.golden.reading import load_suite
from core.golden.suite import BUILTIN, Case
from core.media.images import ImageData, read_image
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain
from tui.golden.duel_words import answer_text, match_table, nothing_to_judge, ranking_table, standing_lines
from tui.widgets.footer import KeyFooter
from tui.widgets.picture import Picture
from tui.widgets.redraw import redraw

SAID = {Choice.LEFT: "the first is better", Choice.RIGHT: "the second is better", Choice.TIE: "a tie"}
ASKED = "Which answer is better?"
TALL = 30
"""Rows of the terminal from which on an image is given more of them."""


class DuelScreen(ModalScreen[None]):
    """A run's pairs, one after the other. Nothing on it says whose an answer is until the last is judged."""

    BINDINGS: ClassVar = bindings("duel")

    box = getters.query_one(".duel-box", Vertical)

    def __init__(self, runs: Path, run: str) -> None:
        super().__init__(classes="dialogue")
        self._runs, self._run = runs, run
        self._duel: Duel | None = None
        self._cases: dict[str, Case] = {}
        self._ahead: list[Pair] = []
        """The pairs that are not judged, the one that is shown first."""
        self._images: list[ImageData] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="box duel-box") as box:
            box.border_title = ASKED
            with VerticalScroll(id="duel-question"):
                yield Static(id="duel-prompt", markup=False)
            yield Horizontal(id="duel-images")
            with Horizontal(id="duel-answers") as answers:
                answers.display = False
                for name in ("1", "2"):
                    with VerticalScroll(id=f"duel-{name}", classes="duel-answer") as side:
                        side.border_title = name
                        yield Static(markup=False)
            with VerticalScroll(id="duel-results"):
                yield Static("Reading the run…", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self._open()

    @work(exclusive=True, group="duel")
    async def _open(self) -> None:
        def read() -> tuple[Duel, dict[str, Case]]:
            run = joined(self._runs, self._run)
            suite = load_suite(run.suite or BUILTIN)
            return Duel.of(run, suite), {case.id: case for case in suite.cases}

        try:
            duel, self._cases = await off_loop(read, "duel")
        except EngineError as error:
            self._say(plain(error.message, "$error"))
            return
        self._duel, self._ahead = duel, duel.waiting
        await self._show()

    # -- what is shown ------------------------------------------------------------------------------------------------

    async def _show(self, said: str = "") -> None:
        """The first pair that is ahead, or what all votes come to."""
        duel = self._duel
        if duel is None:
            return
        total, done = len(duel.pairs.shown), len(duel.votes)
        place = f"{done + 1} of {total}" if self._ahead else f"{done} of {total} judged" if total else ""
        self.box.border_subtitle = plain(" · ".join(filter(None, (said, place))))
        self.box.border_title = ASKED if self._ahead else "What was preferred"
        self.query_one("#duel-answers").display = bool(self._ahead)
        self.query_one("#duel-question").display = bool(self._ahead)
        self.query_one("#duel-results").display = not self._ahead
        if self._ahead:
            await self._show_pair(self._ahead[0])
        else:
            await self._show_images([])
            self._show_results(duel)
        self.refresh_bindings()

    async def _show_pair(self, pair: Pair) -> None:
        case = self._cases[pair.case]
        parts = [Content.assemble((one_line(pair.case), "bold"))]
        if case.system:
            parts.append(Content.assemble(("system  ", "$dim"), plain(case.system, "$foreground 80%")))
        parts.append(plain(case.prompt))
        parts += [Content.assemble(("then    ", "$dim"), plain(turn.text)) for turn in case.turns]
        redraw(self.query_one("#duel-prompt", Static), Content("\n").join(parts))
        self.query_one("#duel-question").scroll_home(animate=False)
        for name, attempt in (("1", pair.left), ("2", pair.right)):
            side = self.query_one(f"#duel-{name}", VerticalScroll)
            redraw(side.query_one(Static), plain(answer_text(attempt)))
            side.scroll_home(animate=False)
        await self._show_images([image.path for image in case.all_images])
        if self.focused is None or not self.focused.has_class("duel-answer"):
            self.query_one("#duel-1").focus()

    async def _show_images(self, paths: Sequence[Path]) -> None:
        self._images = []
        for path in paths:
            try:
                self._images.append(await off_loop(partial(read_image, path), "read-image"))
            except EngineError as error:
                self.notify(error.message, severity="error")
        holder = self.query_one("#duel-images", Horizontal)
        await holder.remove_children()
        holder.display = bool(self._images)
        rows = self._image_rows
        await holder.mount_all(Picture(image, 3 * rows, rows) for image in self._images)

    @property
    def _image_rows(self) -> int:
        return self.app.size.height // 3 if self.app.size.height >= TALL else 5

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit_images)

    def _fit_images(self) -> None:
        for picture in self.query(Picture):
            picture.fit(3 * self._image_rows, self._image_rows)

    def _show_results(self, duel: Duel) -> None:
        if not duel.pairs.shown:
            self._say(plain(nothing_to_judge(duel.run.id, duel.pairs)))
            return
        found = standings(duel.votes)
        tables = [match_table([*found.tiers, *found.matches])]
        if found.ranking:
            tables.append(ranking_table(found.ranking))
        lines = Text("\n".join(one_line(line) for line in standing_lines(found)))
        self._say(Group(*tables, lines))

    def _say(self, said: Content | Group) -> None:
        self.query_one("#duel-results Static", Static).update(said)

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        event.among = list(self._images)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        match action:
            case "vote":
                return bool(self._ahead)
            case "skip":
                return len(self._ahead) > 1
            case "undo":
                return self._duel is not None and bool(self._duel.votes)
            case "view":
                return bool(self._images)
            case _:
                return True

    async def action_vote(self, choice: str) -> None:
        """Keep what was said of the pair that is shown, and go on to the next."""
        if self._duel is None or not self._ahead:
            return
        meant = Choice(choice)
        try:
            await off_loop(partial(self._duel.vote, self._ahead[0], meant), "duel-vote")
        except EngineError as error:
            self.notify(error.message, severity="error")
            return
        del self._ahead[0]
        await self._show(f"kept: {SAID[meant]}")

    async def action_skip(self) -> None:
        """The pair comes again after the others."""
        self._ahead.append(self._ahead.pop(0))
        await self._show("skipped")

    async def action_undo(self) -> None:
        """Take the last vote back, and show its pair again."""
        if self._duel is None:
            return
        try:
            pair = await off_loop(self._duel.undo, "duel-vote")
        except EngineError as error:
            self.notify(error.message, severity="error")
            return
        if pair is not None:
            self._ahead = [pair, *(one for one in self._ahead if one.id != pair.id)]
            await self._show("taken back")

    def action_view(self) -> None:
        self.post_message(Picture.Wanted(self._images[0], self._images))

    def action_close(self) -> None:
        self.dismiss()
