"""What is asked before the workbench is left: about settings and downloads, and when something cannot be saved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import HistoryError
from tui.chat.not_saved import ask_to_leave
from tui.chat.settings_screen import ChatSettingsScreen
from tui.figures import counted
from tui.screens.confirm import Confirm
from tui.state import Phase
from tui.typed_ahead import caught_up

if TYPE_CHECKING:
    from tui.chat.pane import ChatPane
    from tui.frame import Frame

WRITTEN_WITHIN_S = 1.0
SAVED_WITHIN_S = 7.0
"""Longer than another program may keep the file locked before that is an error."""


async def may_leave(app: Frame, typed: Awaitable[None]) -> bool:
    """Ask about settings that are not applied, downloads that go on, what cannot be saved; False if the person stays.

    The key that leaves overtakes those before it: what they do comes first, until `typed` ends, or gives up with
    TimeoutError. For a worker.
    """
    with contextlib.suppress(TimeoutError):
        await typed
        async with asyncio.timeout(WRITTEN_WITHIN_S):
            await caught_up(app.focused or app.screen)  # letters are written after they have got through
    if isinstance(app.screen, ChatSettingsScreen) and not await app.screen.settled():
        return False
    if not await _may_pause(app):
        return False
    chat = app.chat_if_there
    if chat is None or not chat.not_saved or not (why := await _unsaved(chat)):
        return True
    return await _may_lose(app, why)


async def _may_pause(app: Frame) -> bool:
    now = app.state.downloads
    if now is None:
        return True
    go_on = f"{counted(now.count)} {'goes' if now.count == 1 else 'go'} on"
    question = f"{go_on}. Pause and leave? The next start goes on with what is missing."
    asked: Confirm = Confirm(question, "Pause and leave", "Stay")
    return await app.push_screen_wait(asked)


async def _may_lose(app: Frame, why: str) -> bool:
    """Ask because something cannot be saved; False if the person stays."""
    app.gives_up_unsaved = await app.push_screen_wait(ask_to_leave(why))
    return app.gives_up_unsaved


async def may_close(app: Frame, before: Phase) -> bool:
    """Ask at the very end if something cannot be saved, unless that was done; False if the person stays.

    `before` is the phase that the workbench goes back to then. Nobody can stay with an engine that has not come up:
    what is lost is said after the screen is given back.
    """
    chat = app.chat_if_there
    if chat is None or app.gives_up_unsaved or not (why := await _unsaved(chat)):
        return True
    if before is Phase.STARTING:
        app.failure = HistoryError(f"Not all that was written is saved. {why}")
        return True
    app.state = replace(app.state, phase=before)
    leaves = await _may_lose(app, why)
    if leaves:
        app.state = replace(app.state, phase=Phase.CLOSING)
    return leaves


async def _unsaved(chat: ChatPane) -> str:
    """Have everything saved; returns why something is not, "" if all is."""
    try:
        async with asyncio.timeout(SAVED_WITHIN_S):
            return await chat.unsaved()
    except TimeoutError:
        return f"The disk has not taken it within {SAVED_WITHIN_S:.0f} s."
