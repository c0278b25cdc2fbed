"""A model's answer: what it thought, what it said, the tools it called, and the figures."""

from __future__ import annotations

from textual.content import Content
from textual.style import Style

from core.calls.events import GenerationResult, ToolCall
from core.chats.tree import Node
from tui.chat.answer_markdown import AnswerMarkdown, estimated_lines
from tui.chat.lines import Line, indented, text_lines
from tui.chat.live_answer import WAITS, LiveAnswer, final_figures
from tui.chat.turn_view import Thumbnail, nobody, versions
from tui.foreign import plain
from tui.widgets.look import Look

THINKING_LINES = 4
DIM = "$dim"


def thinking_content(text: str, folded: bool, thinking_now: bool) -> Content:
    """The thinking block: its last lines while it grows, one line when it is folded, all of it otherwise."""
    lines = text.strip().splitlines() or [""]
    if thinking_now and folded:
        return Content.assemble(("thinking…\n", DIM), plain("\n".join(lines[-THINKING_LINES:]), f"italic {DIM}"))
    if folded:
        return Content.styled(f"▸ thought for {len(text.split())} words", DIM)
    return Content.assemble(("▾ thinking\n", DIM), plain("\n".join(lines), f"italic {DIM}"))


def call_content(call: ToolCall) -> Content:
    """One call as name(arguments)."""
    parsed = call.parsed
    if parsed is None:
        arguments = plain(call.arguments, "$warning")
    else:
        shown = ", ".join(f"{name}={value!r}" for name, value in parsed.items())
        arguments = plain(shown)
    return Content.assemble(plain(call.name, "bold $secondary"), "(", arguments, ")")


class AnswerView:
    """Grows with `show`; `finish`, or `set` where nothing has grown, renders it for good.

    `calls` is said of calls of tools that have no results.
    """

    def __init__(
        self, label: str, tier: str, folded: bool = True, node: Node | None = None, calls: str = WAITS
    ) -> None:
        self.node = node
        self.refused = False
        self.changed = nobody
        self.thumbnails: list[Thumbnail] = []
        self.body = AnswerMarkdown()
        self.folded = folded
        """Whether what the model thought is one line."""
        self.answered = False
        """Whether a turn follows, so that tools that were called have given their results."""
        self._label, self._calls = label, calls
        self._tier = tier
        self._result = GenerationResult()
        self._growing = True
        self._figures = Content("")
        self._problem = ""

    @property
    def text(self) -> str:
        """The answer without its thinking."""
        return self._result.text

    @property
    def copied(self) -> tuple[str, str]:
        """The text; of an answer that has none its calls, or else its thinking."""
        result = self._result
        if result.text:
            return result.text, ""
        if result.tool_calls:
            return "\n".join(call_content(call).plain for call in result.tool_calls), "the calls of tools"
        return result.thinking.strip(), "the thinking"

    @property
    def thinks(self) -> bool:
        """Whether there is thinking to fold."""
        return bool(self._result.thinking)

    async def show(self, live: LiveAnswer, load: str = "") -> None:
        """Show what has come so far; `load` is what a request waits for that has not begun."""
        self._result = live.result
        await self.body.grow(live.result.text)
        self._figures = Content.assemble(("▌", "$primary"), plain(live.figures_behind(load)))
        self.changed()

    async def finish(self, result: GenerationResult, figures: str, problem: str = "") -> None:
        """Show the end: the text rendered once as a whole, the final figures, and what went wrong if anything did."""
        await self.body.finish(result.text)
        self._end(result, figures, problem)

    def set(self, result: GenerationResult, figures: str, problem: str = "", growing: bool = False) -> None:
        """The same for an answer that is there at once, or as far as it has come."""
        self.body.set(result.text)
        self._end(result, figures, problem, growing)

    def _end(self, result: GenerationResult, figures: str, problem: str, growing: bool = False) -> None:
        self._result, self._growing, self._problem = result, growing, problem
        self._figures = plain(figures)
        self.changed()

    def refuse(self) -> None:
        """It is no part of the conversation."""
        self.refused, self.node = True, None
        self.changed()

    def estimate(self, width: int) -> int:
        thinking = self._result.thinking
        thought = estimated_lines(thinking, width) if thinking and not self.folded else 0
        return 3 + (thought + 2 if thinking else 0) + len(self._result.tool_calls) + self.body.estimate(width)

    def forget(self) -> None:
        if not self._growing:
            self.body.forget()

    def lines(self, width: int, look: Look) -> list[Line]:
        tier = f"${self._tier}" if self._tier in ("quick", "full") else "$secondary"
        dim = f"bold {'$dim' if self.refused else tier}"
        lines = text_lines(Content.assemble(plain(self._label), versions(self.node)), width, look, dim)
        if self._result.thinking:
            lines += [*self._thinking(width, look), Line(look.blank(0))]
        body = self.body.lines(width, look)
        lines += body
        if body and (self._result.tool_calls or self._problem or self._figures):
            lines.append(Line(look.blank(0)))
        for call in self._result.tool_calls:
            lines += text_lines(Content.assemble(("⚒ ", "$secondary"), call_content(call)), width, look)
        if self._problem:
            lines += text_lines(plain(self._problem), width, look, "$error")
        if self._figures:
            lines += text_lines(self._told(width), width, look, "$dim")
        return lines

    def _told(self, width: int) -> Content:
        """The figures, in words where they fit into a line."""
        finished = self._result.finished
        if self._growing or finished is None:
            return self._figures
        words, short = (
            plain(final_figures(finished, spelled, self.answered, self._calls)) for spelled in (True, False)
        )
        return words if words.cell_length <= width else short

    def _thinking(self, width: int, look: Look) -> list[Line]:
        """What the model thought; a click folds or unfolds it."""
        now = self._growing and not self._result.text and not self._result.tool_calls
        content = thinking_content(self._result.thinking, self.folded, now)
        content = content.stylize(Style.from_meta({"@click": ("fold", ())}))
        bar = look.mark("│ ", "$border-blurred")
        return indented(text_lines(content, width - 2, look), bar, bar)
