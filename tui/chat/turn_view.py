"""What every turn of the transcript can do: be laid out, copied, and refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.media.images import ImageData
from tui.chat.lines import Line, Look


@dataclass(frozen=True)
class Thumbnail:
    """An image of a turn, and where in its lines: row and column of its upper left corner."""

    image: ImageData
    row: int
    column: int


class TurnView(Protocol):
    """One turn as lines. It is no widget: a chat may have thousands."""

    refused: bool
    """It was shown, but is no part of the conversation."""

    thumbnails: list[Thumbnail]
    """Of the lines that were laid out last."""

    changed: Callable[[], None]
    """To be called when the lines are others than before."""

    @property
    def text(self) -> str:
        """What copying the turn gives."""

    def estimate(self, width: int) -> int:
        """About how many lines it takes, from the length of its text alone."""

    def lines(self, width: int, look: Look) -> list[Line]:
        """The turn in `width` cells. Cheap when nothing has changed since it was last asked."""

    def forget(self) -> None:
        """Let go of what was laid out: it is far from the window."""


def nobody() -> None:
    """Nobody shows the turn yet."""
