"""Why two answers to a case differ: the first token at which they part, and how likely models find the answer."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.calls.scoring import Score, ScoreRequest
from core.engine import Engine
from core.errors import EngineError
from core.golden.explain.explanation import Explanation, explain
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain
from tui.golden.earlier import Traces
from tui.widgets.footer import KeyFooter

EDGES = 7
"""Cells of the box that are no text."""


class ExplainScreen(ModalScreen[None]):
    """Asks the models as soon as it is open, and no more once it is closed. `prepare` finds the answers; it may raise
    EngineError, and is called off the event loop."""

    BINDINGS: ClassVar = bindings("explanation")

    def __init__(self, engine: Engine, case: str, prepare: Callable[[], Traces]) -> None:
        super().__init__(classes="dialogue")
        self._engine, self._case, self._prepare = engine, case, prepare
        self._found: Explanation | None = None
        self._asked = 0
        self._scoring: Future[Score] | None = None
        self._left = threading.Event()

    def compose(self) -> ComposeResult:
        with Vertical(classes="box explain-box") as box:
            box.border_title = plain(f"Why {one_line(self._case)} differs")
            with VerticalScroll(id="explain-scroll"):
                yield Static(Content.styled("Reading the answers…", "$dim"), id="explain-text", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#explain-scroll").focus()
        self._explain()

    def on_unmount(self) -> None:
        self._left.set()
        if self._scoring is not None:
            self._scoring.cancel()

    @work(exclusive=True)
    async def _explain(self) -> None:
        timer = self.set_interval(0.2, self._say_what_goes_on)
        try:
            self._found = await off_loop(self._work, "golden-explain")
        except EngineError as error:
            self.query_one("#explain-text", Static).update(plain(error.message, "$error"))
            return
        except CancelledError:
            return
        finally:
            timer.stop()
        self._draw()

    def _work(self) -> Explanation:
        left, right = self._prepare()
        return explain(self._ask, left, right)

    def _ask(self, request: ScoreRequest) -> Score:
        if self._left.is_set():
            raise CancelledError
        self._asked += 1
        self._scoring = self._engine.score(request)
        return self._scoring.result()

    def _say_what_goes_on(self) -> None:
        if self._asked:
            words = f"Models score the answers ({self._asked}); the noise floor is measured meanwhile…"
            self.query_one("#explain-text", Static).update(Content.styled(words, "$dim"))

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """As the command draws it, in the width that there is."""
        if self._found is not None and self.is_mounted:
            width = max(40, self.query_one(".explain-box").size.width - EDGES)
            self.query_one("#explain-text", Static).update(drawn(self._found, width))

    def action_close(self) -> None:
        self.dismiss()


def drawn(found: Explanation, width: int) -> Content:
    """What `assay golden explain` prints on a terminal of `width` cells."""
    from rich.console import Console
    from rich.text import Text

    from tui.cli.golden_explained import print_explanation

    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=True, color_system="standard", highlight=False, markup=False, emoji=False
    )
    print_explanation(console, found)
    return Content.from_rich_text(Text.from_ansi(out.getvalue().rstrip()))
