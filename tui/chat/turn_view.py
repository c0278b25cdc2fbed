"""What every turn of the transcript can do: be laid out, copied, and refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from textual.content import Content

from core.chats.tree import Node
from core.media.images import ImageData
from tui.chat.lines import Line
from tui.widgets.look import Look


@dataclass(frozen=True)
class Thumbnail:
    """An image of a turn, and where in its lines: row and column of its upper left corner."""

    image: ImageData
    row: int
    column: int


class TurnView(Protocol):
    """One turn as lines. It is no widget: a chat may have thousands."""

    node: Node | None
    """Its place in the chat; None as long as it has none, and for what was refused."""

    refused: bool
    """It was shown, but is no part of the conversation."""

    thumbnails: list[Thumbnail]
    """Of the lines that were laid out last."""

    changed: Callable[[], None]
    """To be called when the lines are others than before."""

    @property
    def text(self) -> str:
        """What was said, without thinking and calls."""

    @property
    def copied(self) -> tuple[str, str]:
        """What copying the turn gives, and what that is if it is not its text; "" where there is nothing."""

    def estimate(self, width: int) -> int:
        """About how many lines it takes, from the length of its text alone."""

    def lines(self, width: int, look: Look) -> list[Line]:
        """The turn in `width` cells. Cheap when nothing has changed since it was last asked."""

    def refuse(self) -> None:
        """It is no part of the conversation."""

    def forget(self) -> None:
        """Let go of what was laid out: it is far from the window."""


def versions(node: Node | None) -> Content:
    """Which of how many versions of a turn is shown; nothing where there is one."""
    if node is None or len(node.parent.children) < 2:
        return Content("")
    return Content.styled(f"  ‹ {node.number}/{len(node.parent.children)} ›", "not bold $accent")


def nobody() -> None:
    """Nobody shows the turn yet."""
