"""Keys and pastes that come before there is anything to take them: they wait, in their order, and none is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual import events

from tui.background import off_loop
from tui.pasted import cleaned

if TYPE_CHECKING:
    from core.settings import Settings

BREAKS = ("enter", "ctrl+j", "shift+enter")
EDITING = frozenset({"backspace", "delete", "left", "right", "home", "end", "space"})


class TypedAhead:
    """Holds everything back at first, then all but text while only the composer is there, at last nothing."""

    def __init__(self) -> None:
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._closed = True
        self._text_only = True

    @property
    def waiting(self) -> bool:
        """Whether something has come that nobody has taken."""
        return bool(self._waiting)

    @property
    def text(self) -> str:
        """What waits, as text: up to the first key that is neither text nor breaks a line."""
        text = ""
        for event in self._waiting:
            if isinstance(event, events.Paste):
                text += cleaned(event.text).text
            elif event.key in BREAKS:
                text += "\n"
            elif event.key == "backspace":
                text = text[:-1]
            elif event.is_printable and event.character is not None:
                text += event.character
            else:
                break
        return text

    def holds(self, event: events.Event, leaves: str) -> bool:
        """Keep an event for later if its time has not come; the key that `leaves` the program never waits."""
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            return False
        if isinstance(event, events.Key) and event.key == leaves:
            return False
        if not (self._closed or self._waiting) and (not self._text_only or _is_text(event)):
            return False
        self._closed = self._closed or (self._text_only and not _is_text(event))
        self._waiting.append(event)
        return True

    async def let_through(self, take: Callable[[events.Event], Awaitable[None]], text_only: bool = False) -> None:
        """Give what has waited to `take`; with `text_only`, up to the first key that is none."""
        self._closed, self._text_only = False, text_only
        while self._waiting and not self._closed:
            if text_only and not _is_text(self._waiting[0]):
                self._closed = True
                break
            await take(self._waiting[0])
            self._waiting.popleft()  # only now: what comes meanwhile waits behind it


async def keep_as_draft(text: str, settings: Callable[[], Awaitable[Settings]]) -> None:
    """Write down what no part of the chat has taken, as what is written for a new chat; one that is there becomes a
    chat of its own. Raises EngineError and OSError."""
    if not text.strip():
        return
    from core.chats.history import FILE, Draft, History

    file = (await settings()).data_dir / FILE

    def keep() -> None:
        with History(file) as history:
            history.set_new_draft(Draft(text.strip()), None)

    await off_loop(keep, "keep")


def _is_text(event: events.Event) -> bool:
    return isinstance(event, events.Paste) or (
        isinstance(event, events.Key) and (event.is_printable or event.key in EDITING)
    )
