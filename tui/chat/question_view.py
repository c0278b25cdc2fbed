"""What the person said: text as it was typed, and the images that went with it."""

from __future__ import annotations

from itertools import groupby

from rich.cells import cell_len
from textual.content import Content

from core.calls.requests import Message, Role, TextPart, ToolResultPart
from core.chats.tree import Node
from tui.chat.answer_markdown import estimated_lines
from tui.chat.lines import Line, text_lines
from tui.chat.turn_view import Thumbnail, nobody, versions
from tui.foreign import plain, shorten
from tui.widgets.look import Look
from tui.widgets.picture import box_of

COLUMNS, ROWS = 24, 8
BETWEEN = 2


class QuestionView:
    """A turn of the person's, or a tool's result that they typed."""

    def __init__(self, message: Message, node: Node | None = None, put_off: bool = False, who: str = "you") -> None:
        self.message = message
        self.who = who
        self.node = node
        self.put_off = put_off
        """Whether another wording of it has been written and not sent."""
        self.refused = False
        self.changed = nobody
        self.thumbnails: list[Thumbnail] = []

    @property
    def text(self) -> str:
        """The words of the turn. One result may stand for several calls."""
        if self.message.role is Role.TOOL:
            results = [part for part in self.message.parts if isinstance(part, ToolResultPart)]
            texts = [item.text for result in results for item in result.content if isinstance(item, TextPart)]
            return "\n".join(dict.fromkeys(texts))
        return self.message.plain_text

    @property
    def copied(self) -> tuple[str, str]:
        return self.text, ""

    def refuse(self) -> None:
        """It goes back to the composer."""
        self.refused, self.node = True, None
        self.changed()

    def estimate(self, width: int) -> int:
        images = (ROWS + 2) * -(-len(self.message.images) // max(1, width // COLUMNS))
        return 1 + images + estimated_lines(self.text, width)

    def forget(self) -> None:
        """Nothing is kept: laying out takes no time."""

    def lines(self, width: int, look: Look) -> list[Line]:
        dim = "$dim"
        label = "tool result" if self.message.role is Role.TOOL else self.who
        draft = Content.styled("  draft", "not bold $warning") if self.put_off else ""
        head = Content.assemble(label, versions(self.node), draft)
        lines = text_lines(
            head,
            width,
            look,
            f"bold {dim}" if self.refused else "bold $primary",
        )
        lines += self._images(width, look, len(lines))
        if self.text:
            lines += text_lines(plain(self.text), width, look, dim if self.refused else "")
        return lines

    def _images(self, width: int, look: Look, row: int) -> list[Line]:
        """Room for the images, as many beside each other as there is, and their names under them."""
        places: list[tuple[int, int, Thumbnail]] = []
        line, column = 0, 0
        boxes = [box_of(image, COLUMNS, ROWS) for image in self.message.images]
        taken = [
            max(columns, min(cell_len(image.name), COLUMNS))
            for image, (columns, _) in zip(self.message.images, boxes, strict=True)
        ]
        for number, image in enumerate(self.message.images):
            if column and column + taken[number] > width:
                line, column = line + 1, 0
            places.append((line, number, Thumbnail(image, 0, column)))
            column += taken[number] + BETWEEN
        self.thumbnails = []
        lines: list[Line] = []
        for _, group in groupby(places, key=lambda place: place[0]):
            names = Content("")
            height = 0
            for _, number, place in group:
                self.thumbnails.append(Thumbnail(place.image, row + len(lines), place.column))
                height = max(height, boxes[number][1])
                names = names.pad_right(place.column - names.cell_length) + plain(shorten(place.image.name, COLUMNS))
            lines += [Line(look.blank(0))] * height
            lines += [Line(look.strip(names, "$dim")), Line(look.blank(0))]
        return lines
