"""Keys and pastes that come before there is anything to take them, or while the key before them may move the focus:
they wait, in their order, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TypeGuard

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

from tui.pasted import cleaned

BREAKS = ("enter", "ctrl+j", "shift+enter")
SCROLLING = frozenset({"up", "down", "pageup", "pagedown"})
EDITING = frozenset({"backspace", "delete", "left", "right", "home", "end", "space"})


class TypedAhead:
    """Holds everything back at first, then all but text while only the composer is there, at last only what comes while
    the key before it is at work."""

    def __init__(self) -> None:
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._closed = True
        self._text_only = True
        self._passing = asyncio.Lock()
        self._one_through = asyncio.Event()
        self._given = False
        """Whether the first of what waits has been given on, and is waited for."""

    @property
    def waiting(self) -> bool:
        """Whether something has come that nobody has taken."""
        return bool(self._waiting)

    def as_edit(self) -> tuple[int, str]:
        """Wait no longer, and return what waited as an edit of the text before it: how many letters it takes away, and
        the text that it adds.

        Letters up to the first key that gives them another meaning, and every paste; not a key that has been given on.
        """
        taken, text, typing = 0, "", True
        for event in islice(self._waiting, int(self._given), None):
            if isinstance(event, events.Paste):
                text += cleaned(event.text).text
            elif not typing:
                continue
            elif event.key in BREAKS:
                text += "\n"
            elif event.key == "backspace":
                taken += not text
                text = text[:-1]
            elif event.is_printable and event.character is not None:
                text += event.character
            else:
                typing = event.key in SCROLLING | EDITING
        self._waiting.clear()
        return taken, text

    @property
    def repeated(self) -> bool:
        """Whether the first of what waits is a key that scrolls or moves a cursor, and comes once more behind it."""
        keys = [event.key if isinstance(event, events.Key) else "" for event in islice(self._waiting, 2)]
        return len(keys) == 2 and keys[0] == keys[1] and keys[0] in SCROLLING

    def holds(self, event: events.Event, leaves: str) -> bool:
        """Keep an event for later if its time has not come; the key that `leaves` the program never waits."""
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            return False
        if isinstance(event, events.Key) and event.key == leaves:
            return False
        if not (self._closed or self._waiting) and (not self._text_only or _is_text(event)):
            return False
        self._closed = self._closed or (self._text_only and not _is_text(event))
        self.hold(event)
        return True

    def hold(self, event: events.Key | events.Paste) -> None:
        """Keep an event for later, with what comes behind it."""
        self._waiting.append(event)

    def given(self) -> None:
        """The first of what waits has been given to the one that it is for."""
        self._given = bool(self._waiting)

    async def let_through(self, take: Callable[[events.Event], Awaitable[None]], text_only: bool = False) -> None:
        """Give what has waited to `take`; with `text_only`, up to the first key that is none."""
        async with self._passing:
            self._text_only = text_only
            await self._pass(take)

    async def go_on(self, take: Callable[[events.Event], Awaitable[None]]) -> None:
        """The same as far as was let through before."""
        async with self._passing:
            await self._pass(take)

    async def through(self, within_s: float) -> None:
        """Wait until nothing waits any more. Raises TimeoutError when for so long nothing gets through."""
        while self._waiting:
            self._one_through.clear()
            async with asyncio.timeout(within_s):
                await self._one_through.wait()

    async def _pass(self, take: Callable[[events.Event], Awaitable[None]]) -> None:
        self._closed = False
        while self._waiting and not self._closed:
            if self._text_only and not _is_text(self._waiting[0]):
                self._closed = True
                break
            event = self._waiting[0]
            await take(event)
            if self._waiting and self._waiting[0] is event:
                self._waiting.popleft()  # only now: what comes meanwhile waits behind it
            self._given = False
            self._one_through.set()


def _is_text(event: events.Event) -> bool:
    return isinstance(event, events.Paste) or (
        isinstance(event, events.Key) and (event.is_printable or event.key in EDITING)
    )


TURNS_THE_PAGE = "saved-chats"
"""The group of the workers that put another chat in the place of the one that shows: keys wait for them."""
HANDLED_WITHIN_S = 2.0
LOOK_EVERY_S = 0.005


async def take_and_wait(event: events.Event, take: Callable[[events.Event], Awaitable[None]], app: App[None]) -> None:
    """Give an event to `take`; for one that may move the focus, when text before it has been written, and wait until it
    has been everywhere, with what it set going.

    Textual gives a key to what has the focus when it comes. Actions, changes of the focus and screens that open follow
    later, as messages: from the widget up to the app, and once more for what those bring about. The keys of the whole
    program are tried first, before the widget has seen to the letters that it has.
    """
    if not moves(event, app):
        await take(event)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANDLED_WITHIN_S):
            await caught_up(app.focused or app.screen)
    await take(event)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANDLED_WITHIN_S):
            for _ in range(2):
                for node in (app.focused or app.screen).ancestors_with_self:
                    await caught_up(node)
            # To wait for a worker would cancel it when the time is over.
            while len(app.screen_stack) == 1 and any(  # noqa: ASYNC110
                worker.group == TURNS_THE_PAGE for worker in app.workers
            ):
                await asyncio.sleep(LOOK_EVERY_S)


def moves(event: events.Event, app: App[None]) -> TypeGuard[events.Key | events.Paste]:
    """Whether an event may move the focus: a key or a paste that no text field takes as text."""
    if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
        return False
    character = event.character if isinstance(event, events.Key) else "a"
    return app.focused is None or not app.focused.check_consume_key("", character)


async def caught_up(node: MessagePump) -> None:
    """Wait until a widget has seen to the messages that it has now."""
    reached = asyncio.Event()
    # Not by call_later, which has Textual read the callback's signature anew each time: this is asked for each key.
    if node.is_running and node.post_message(events.Callback(callback=reached.set)):
        await reached.wait()
