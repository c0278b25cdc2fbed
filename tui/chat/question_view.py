"""What the person said: text as it was typed, and the images that went with it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message as Posted
from textual.widgets import Static

from core.calls.requests import Message, Role, TextPart, ToolResultPart
from tui.foreign import plain
from tui.widgets.picture import Picture


class QuestionView(Vertical, can_focus=True):
    """A turn of the person's, or a tool's result that they typed."""

    BINDINGS: ClassVar = [
        Binding("e", "edit", "Edit", tooltip="Take the chat back to this message and change it", id="question.edit"),
        Binding("c", "copy", "Copy", tooltip="Copy the message", id="question.copy"),
    ]

    class EditWanted(Posted):
        def __init__(self, view: QuestionView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, message: Message) -> None:
        super().__init__(classes="turn")
        self.message = message

    @property
    def text(self) -> str:
        """The words of the turn."""
        if self.message.role is Role.TOOL:
            results = [part for part in self.message.parts if isinstance(part, ToolResultPart)]
            return "\n".join(item.text for result in results for item in result.content if isinstance(item, TextPart))
        return self.message.plain_text

    def compose(self) -> ComposeResult:
        label = "tool result" if self.message.role is Role.TOOL else "you"
        yield Static(Content.styled(label, "bold $primary"), classes="turn-label")
        if self.message.images:
            with Horizontal(classes="turn-images"):
                for image in self.message.images:
                    with Vertical(classes="turn-image"):
                        yield Picture(image, 24, 8)
                        yield Static(plain(image.name, "$foreground 60%"), markup=False)
        if self.text:
            yield Static(plain(self.text), classes="turn-text", markup=False)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.text)
        self.app.notify("Copied.", timeout=2)

    def action_edit(self) -> None:
        self.post_message(self.EditWanted(self))
