"""The conversation on the screen, with what keys and the mouse do to it."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from core.media.images import ImageData
from tui.actions import bindings
from tui.chat.answer_view import AnswerView
from tui.chat.lines import Line, text_lines, text_of
from tui.chat.question_view import QuestionView
from tui.chat.turn_view import TurnView
from tui.chat.turn_window import GUTTER, TurnWindow
from tui.foreign import clean
from tui.widgets.picture import Picture

SPAN = 1 << 20
"""A position of the selection is turn * SPAN + row: it stays where it is when turns above turn out higher."""


class Transcript(TurnWindow, can_focus=True):
    """All turns of a chat. One of them is the current one: the keys are for it while the transcript has the focus."""

    BINDINGS: ClassVar = bindings("message")

    class EditWanted(Message):
        """The person wants to change a question."""

        def __init__(self, view: QuestionView) -> None:
            super().__init__()
            self.view = view

    class VersionWanted(Message):
        """The person wants to see another version of a turn: the next one, or with `by` -1 the one before."""

        def __init__(self, view: TurnView, by: int) -> None:
            super().__init__()
            self.view = view
            self.by = by

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._greeting: Content | None = None
        self._current: TurnView | None = None
        self._pointed: tuple[int, int] = (0, 0)

    def clear(self) -> None:
        """Drop everything, the greeting as well."""
        self._greeting = None
        super().clear()

    def keep(self, turns: list[TurnView]) -> None:
        """Keep only some turns; what was selected or had the focus may be gone."""
        if turns == self._turns:
            return
        super().keep(turns)
        if self._current is not None and self._current not in turns:
            self._choose(None)
        if self.has_focus and not turns:
            self.screen.focus_next()
        self.screen.clear_selection()

    def fold(self, folded: bool) -> None:
        """Fold or unfold what models thought, in all answers."""
        answers = self.views(AnswerView)
        for answer in answers:
            answer.folded = folded
        self.redraw(*answers)

    def greet(self) -> None:
        """An empty chat says what can be done with it."""
        dim = "$dim"
        self._greeting = Content.assemble(
            ("\nAsk the model something.\n\n", "bold"),
            ("@", "$primary"),
            (" and a path attaches an image; so does dropping a file here or pasting one.\n", dim),
            ("F7", "$primary"),
            (" chooses the model. ", dim),
            ("^s", "$primary"),
            (" sets the system prompt and sampling. ", dim),
            ("F1", "$primary"),
            (" shows every key.", dim),
        )
        self.refresh()

    # -- drawing ------------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        if self._turns or self._greeting is None:
            return super().render_line(y)
        lines = text_lines(self._greeting, self.size.width - 2 * GUTTER, self._look)
        base = self._look.base.rich_style
        if y >= len(lines):
            return Strip.blank(self.size.width, base)
        return Strip.join([self._look.blank(GUTTER), lines[y].strip]).adjust_cell_length(self.size.width, base)

    def bar(self, index: int) -> str:
        return "█ " if self.current is self._turns[index] else "  "

    def placed(self, strip: Strip, index: int, row: int) -> Strip:
        return strip.apply_offsets(-GUTTER, index * SPAN + row)

    def marked(self, strip: Strip, index: int, row: int) -> Strip:
        selection = self.text_selection
        span = selection.get_span(index * SPAN + row) if selection is not None else None
        if span is None:
            return strip
        length = len(strip.text)
        start, end = max(0, min(span[0], length)), length if span[1] == -1 else max(0, min(span[1], length))
        if end <= start:
            return strip
        style = Style.from_styles(self.screen.get_component_styles("screen--selection")).rich_style
        cuts = [strip.index_to_cell_position(start), strip.index_to_cell_position(end), strip.cell_length]
        before, marked, after = strip.divide(cuts)
        marked = Strip([Segment(text, (own or style) + style) for text, own, _ in marked], marked.cell_length)
        return Strip.join([before, marked, after])

    # -- the turn that has the focus ----------------------------------------------------------------------------------

    def allow_focus(self) -> bool:
        return super().allow_focus() and bool(self._turns)

    @property
    def current(self) -> TurnView | None:
        """The turn that the keys are for."""
        return self._current if self.has_focus else None

    def focus_turn(self, turn: TurnView) -> None:
        """Give a turn the focus, and show it."""
        self._choose(turn)
        self.screen.set_focus(self, scroll_visible=False)
        self._bring_into_view(turn)

    def _choose(self, turn: TurnView | None) -> None:
        self._current = turn
        self.refresh_bindings()
        self.refresh()

    def _bring_into_view(self, turn: TurnView) -> None:
        """Scroll as far as it takes to see the turn, or the beginning of one that is higher than the window."""
        index = self._turns.index(turn)
        self._lines(index)
        window, top = self.scrollable_content_region.height, self._column.top(index)
        height = self._column.height_of(index) - 1
        if top < self.scroll_y or height > window:
            self.scroll_to(y=top, animate=False)
        elif top + height > self.scroll_y + window:
            self.scroll_to(y=top + height - window, animate=False)

    def on_focus(self, event: events.Focus) -> None:
        """Reached from elsewhere: the newest turn in the window."""
        window = self.in_window()
        if self._turns and (self._current is None or self._turns.index(self._current) not in window):
            self._choose(self._turns[window[-1]])
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "edit":
            return isinstance(self._current, QuestionView) and not self._current.refused
        if action == "view_pictures":
            return isinstance(self._current, QuestionView) and bool(self._current.message.images)
        if action == "version":
            node = self._current.node if self._current is not None else None
            return node is not None and node.sibling(int(str(parameters[0]))) is not None
        return action != "fold" or (isinstance(self._current, AnswerView) and self._current.thinks)

    def action_move(self, by: int) -> None:
        """To the next turn; from the last one to what comes after the transcript."""
        index = self._turns.index(self._current) + by if self._current is not None else -1
        if 0 <= index < len(self._turns):
            self.focus_turn(self._turns[index])
        else:
            self._choose(None)
            (self.screen.focus_next if by > 0 else self.screen.focus_previous)()

    def action_copy(self) -> None:
        if self._current is None:
            return
        text, what = self._current.copied
        if text:
            self.app.copy_to_clipboard(text)
            self.app.notify(f"Copied {what}: the answer has no text." if what else "Copied.", timeout=4 if what else 2)
        else:
            self.app.notify("There is no text here: nothing is copied.")

    def action_edit(self) -> None:
        if isinstance(self._current, QuestionView):
            self.post_message(self.EditWanted(self._current))
            self._choose(None)  # back from the composer, it is the newest turn again

    def action_version(self, by: int) -> None:
        if self._current is not None:
            self.post_message(self.VersionWanted(self._current, by))

    def action_fold(self) -> None:
        if isinstance(self._current, AnswerView):
            self._current.folded = not self._current.folded
            self.redraw(self._current)

    def action_view_pictures(self) -> None:
        if isinstance(self._current, QuestionView):
            self.post_message(Picture.Wanted(self._current.message.images[0], self._images))

    @property
    def _images(self) -> list[ImageData]:
        """Every image of the chat, oldest first."""
        return [image for view in self.views(QuestionView) for image in view.message.images]

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        event.among = self._images

    # -- the mouse ----------------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The turn under the mouse gets the focus."""
        if place := self.line_at(event.y):
            self._pointed = place
            self._choose(self._turns[place[0]])

    def action_copy_link(self, href: str) -> None:
        """A link is shown, never opened: a click copies the address."""
        self.app.copy_to_clipboard(href)
        self.app.notify(f"Copied {clean(href)}", markup=False)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text; lines that were broken to fit are whole again."""
        end = (len(self._turns) - 1, SPAN - 1, SPAN)
        first, first_row, start_x = (
            (*divmod(selection.start.y, SPAN), selection.start.x) if selection.start else (0, 0, 0)
        )
        last, last_row, end_x = (*divmod(selection.end.y, SPAN), selection.end.x) if selection.end else end
        texts: list[str] = []
        for index in range(first, min(last + 1, len(self._turns))):
            if first < index < last and self._turns[index] not in self._laid:
                texts.append(self._turns[index].text)
                continue
            lines = list(self._lines(index))
            if index == last and last_row < len(lines):
                lines[last_row] = _cut(lines[last_row], 0, max(0, end_x))
                del lines[last_row + 1 :]
            if index == first and first_row < len(lines):
                lines[first_row] = _cut(lines[first_row], max(0, start_x), None)
                del lines[:first_row]
            texts.append(text_of(lines))
        return "\n\n".join(texts), "\n"

    @property
    def select_container(self) -> Widget:
        return self

    def text_select_all(self) -> None:
        """Two clicks select the block under the mouse."""
        index, row = self._pointed
        if index >= len(self._turns):
            return
        lines = self._lines(index)
        if row >= len(lines):
            return
        first = last = row
        while first > 0 and lines[first - 1].strip.text.strip():
            first -= 1
        while last + 1 < len(lines) and lines[last + 1].strip.text.strip():
            last += 1
        ends = Offset(0, index * SPAN + first), Offset(len(lines[last].strip.text), index * SPAN + last)
        self.screen.selections = {self: Selection(*ends)}


def _cut(line: Line, start: int, end: int | None) -> Line:
    """The characters of a line from `start` to `end`."""
    strip = line.strip
    first = strip.index_to_cell_position(min(start, len(strip.text)))
    last = None if end is None else strip.index_to_cell_position(min(end, len(strip.text)))
    return Line(strip.crop(first, last), None if start else line.joint, 0 if start else line.lead)
