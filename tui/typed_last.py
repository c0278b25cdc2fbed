"""What was typed last, just before the program ends: it reaches the chat, or becomes a draft."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tui.background import off_loop
from tui.typed_ahead import TypedAhead, caught_up

if TYPE_CHECKING:
    from core.settings import Settings
    from tui.chat.pane import ChatPane

log = logging.getLogger(__name__)

SENT_WITHIN_S = 1.0
TYPED_WITHIN_S = 4.0


async def keep_what_was_typed(
    typed_ahead: TypedAhead, chat: Callable[[], ChatPane | None], settings: Callable[[], Awaitable[Settings]]
) -> None:
    """Let what was typed reach the chat, and the chat's file be open for it, be the engine up or not.

    `chat` gives the pane once it is there. Raises EngineError and OSError.
    """
    try:
        await typed_ahead.through(TYPED_WITHIN_S)
        async with asyncio.timeout(TYPED_WITHIN_S):
            if (pane := chat()) is not None:
                await _take_what_was_sent(pane)
                await pane.prepare_to_end(settings)
    except TimeoutError:
        log.warning("What was typed has not reached the chat in %.0f s: it becomes a draft.", TYPED_WITHIN_S)
        if (pane := chat()) is None:
            await _keep_as_draft(typed_ahead.as_edit()[1].rstrip(), settings)
            return
        composer = pane.input.composer
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SENT_WITHIN_S):
                await caught_up(composer)
        taken, text = typed_ahead.as_edit()
        for _ in range(taken):
            composer.action_delete_left()
        composer.insert(text.rstrip())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TYPED_WITHIN_S):
                await pane.prepare_to_end(settings)


async def _take_what_was_sent(chat: ChatPane) -> None:
    """The key that leaves overtakes those before it: let a message that was sent reach the chat and the disk."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SENT_WITHIN_S):
            for widget in (chat.input.composer, chat.input, chat):
                await caught_up(widget)


async def _keep_as_draft(text: str, settings: Callable[[], Awaitable[Settings]]) -> None:
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
