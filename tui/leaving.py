"""What is asked before the workbench is left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from tui.chat.settings_screen import ChatSettingsScreen
from tui.figures import counted
from tui.screens.confirm import Confirm
from tui.typed_ahead import caught_up

if TYPE_CHECKING:
    from tui.frame import Frame

WRITTEN_WITHIN_S = 1.0


async def may_leave(app: Frame, typed: Awaitable[None]) -> bool:
    """Ask about settings that are not applied and about downloads that go on; False if the person stays.

    The key that leaves overtakes those before it: what they do comes first, until `typed` ends, or gives up with
    TimeoutError. For a worker.
    """
    with contextlib.suppress(TimeoutError):
        await typed
        async with asyncio.timeout(WRITTEN_WITHIN_S):
            await caught_up(app.focused or app.screen)  # letters are written after they have got through
    if isinstance(app.screen, ChatSettingsScreen) and not await app.screen.settled():
        return False
    now = app.state.downloads
    if now is None:
        return True
    go_on = f"{counted(now.count)} {'goes' if now.count == 1 else 'go'} on"
    question = f"{go_on}. Pause and leave? The next start goes on with what is missing."
    asked: Confirm = Confirm(question, "Pause and leave", "Stay")
    return await app.push_screen_wait(asked)
