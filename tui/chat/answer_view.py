"""A model's answer: what it thought, what it said, the tools it called, and the figures."""

from __future__ import annotations

from typing import ClassVar

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from core.calls.events import GenerationResult, ToolCall
from tui.chat.answer_markdown import AnswerMarkdown
from tui.chat.live_answer import LiveAnswer
from tui.foreign import plain
from tui.widgets.redraw import redraw

THINKING_LINES = 4


def thinking_content(text: str, folded: bool, thinking_now: bool) -> Content:
    """The thinking block: its last lines while it grows, one line when it is folded, all of it otherwise."""
    lines = text.strip().splitlines() or [""]
    dim = "italic $foreground 60%"
    if thinking_now and folded:
        return Content.assemble(("thinking…\n", "$foreground 60%"), plain("\n".join(lines[-THINKING_LINES:]), dim))
    if folded:
        return Content.styled(f"▸ thought for {len(text.split())} words", "$foreground 60%")
    return Content.assemble(("▾ thinking\n", "$foreground 60%"), plain("\n".join(lines), dim))


def call_content(call: ToolCall) -> Content:
    """One call as name(arguments)."""
    parsed = call.parsed
    if parsed is None:
        arguments = plain(call.arguments, "$warning")
    else:
        shown = ", ".join(f"{name}={value!r}" for name, value in parsed.items())
        arguments = plain(shown)
    return Content.assemble(("⚒ ", "$secondary"), plain(call.name, "bold $secondary"), "(", arguments, ")")


class ThinkingFold(Static):
    """A click folds or unfolds."""

    def on_click(self) -> None:
        view = self.query_ancestor(AnswerView)
        view.folded = not view.folded


class AnswerView(Vertical, can_focus=True):
    """Grows with `show`; `finish` renders it for good."""

    BINDINGS: ClassVar = [
        Binding("c", "copy", "Copy", tooltip="Copy the answer", id="answer.copy"),
        Binding("t", "fold", "Thinking", tooltip="Fold or unfold what the model thought", id="answer.fold"),
    ]

    folded: reactive[bool] = reactive(True)

    body = getters.query_one(AnswerMarkdown)

    def __init__(self, label: str, tier: str, folded: bool = True) -> None:
        super().__init__(classes="turn answer")
        self.set_reactive(AnswerView.folded, folded)
        self._label = label
        self._tier = tier
        self._result = GenerationResult()
        self._growing = True

    def compose(self) -> ComposeResult:
        style = f"bold ${self._tier}" if self._tier in ("quick", "full") else "bold $secondary"
        yield Static(plain(self._label, style), classes="turn-label", markup=False)
        yield ThinkingFold(classes="turn-thinking", markup=False)
        yield AnswerMarkdown()
        yield Static(classes="turn-calls", markup=False)
        yield Static(classes="turn-problem", markup=False)
        yield Static(classes="turn-figures", markup=False)

    @property
    def text(self) -> str:
        """The answer without its thinking."""
        return self._result.text

    async def show(self, live: LiveAnswer) -> None:
        """Show what has come so far."""
        self._result = live.result
        self._draw_parts()
        await self.body.grow(live.result.text)
        redraw(self.query_one(".turn-figures", Static), Content.assemble(("▌", "$primary"), plain(live.figures)))

    async def finish(self, result: GenerationResult, figures: str, problem: str = "") -> None:
        """Show the end: the text rendered once as a whole, the final figures, and what went wrong if anything did."""
        self._result, self._growing = result, False
        self._draw_parts()
        await self.body.finish(result.text)
        problem_line = self.query_one(".turn-problem", Static)
        problem_line.update(plain(problem))
        problem_line.display = bool(problem)
        figures_line = self.query_one(".turn-figures", Static)
        figures_line.update(plain(figures))
        figures_line.display = bool(figures)

    def _draw_parts(self) -> None:
        thinking = self.query_one(ThinkingFold)
        thinking.display = bool(self._result.thinking)
        if self._result.thinking:
            now = self._growing and not self._result.text and not self._result.tool_calls
            redraw(thinking, thinking_content(self._result.thinking, self.folded, now))
        calls = self.query_one(".turn-calls", Static)
        calls.display = bool(self._result.tool_calls)
        if self._result.tool_calls:
            redraw(calls, Content("\n").join(call_content(call) for call in self._result.tool_calls))

    def watch_folded(self) -> None:
        if self.is_mounted:
            self._draw_parts()

    def action_fold(self) -> None:
        self.folded = not self.folded

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.text)
        self.app.notify("Copied.", timeout=2)
