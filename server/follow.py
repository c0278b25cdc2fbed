"""Follows running generations for as long as their client is there, and stops them when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

from starlette.requests import Request

from core.calls.events import Event, Finished, FinishReason, TextDelta, ThinkingDelta, ToolCallDelta, ToolCallStart
from core.calls.generation import Generation
from core.calls.mailbox import Bell
from core.errors import RequestCancelled
from server.wire import STOPPED, WireCall

Item = tuple[Event, int]
"""An event with the number of its choice."""

AT_ONCE = 16
"""Events that are passed on together: of a reader that is slow thousands may wait, and others wait for the loop."""

FLOWING = (TextDelta, ThinkingDelta, ToolCallDelta)
"""Events of which many follow one another: once there is one, all are passed on at the bell's pace."""

Result = TypeVar("Result")


class ClientLeft(Exception):
    """The connection was closed before the answer was ready: nobody is left to tell."""


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Await `work`, but cancel it as soon as the client leaves; then ClientLeft is raised. RequestCancelled is where
    the request is stopped on this side before it generates.

    The body must have been read: all that `receive` can bring then is the disconnect.
    """
    call: WireCall | None = getattr(request.state, "call", None)
    if call is not None and call.stopped and not call.begun:
        work.close()
        raise RequestCancelled(STOPPED)
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(request))
    ends = [leaving] if call is None or call.begun else [leaving, asyncio.ensure_future(call.killed())]
    try:
        await asyncio.wait((working, *ends), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft if leaving.done() else RequestCancelled(STOPPED)
        return working.result()
    finally:
        for task in (working, *ends):
            task.cancel()
        await asyncio.gather(working, *ends, return_exceptions=True)


async def found_while_connected(request: Request, future: Future[Result]) -> Result:
    """What the engine's future finds, for as long as the client waits for it; raises as `while_connected` does."""

    async def found() -> Result:
        return await asyncio.wrap_future(future)

    try:
        return await while_connected(request, found())
    except BaseException:
        future.cancel()  # which has no effect where it was heard, or has ended
        raise


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def follow(
    generations: Sequence[Generation], idle_s: float, *, one_call: bool = False
) -> AsyncGenerator[list[Item], None]:
    """The events of all generations as they come, up to AT_ONCE that came together in one list; an empty one after
    each `idle_s` seconds of silence.

    With `one_call`, a choice ends before its second tool call.

    Raises the first EngineError that ends one of them, and RequestCancelled when one was stopped on this side.
    However the iteration ends, so do the generations: closing it cancels what still runs.
    """
    running = dict(enumerate(generations))
    cut: set[int] = set()
    bell = Bell(idle_s)
    with ExitStack() as at_the_end:
        at_the_end.callback(bell.close)
        for generation in generations:
            at_the_end.callback(_end, generation)
            at_the_end.enter_context(generation.rings(bell))
        while running:
            came: list[Item] = []
            failed: Exception | None = None
            for choice, generation in list(running.items()):
                over = generation.done  # asked first: nothing comes after it
                events = generation.drain()
                if over:
                    del running[choice]
                    failed = failed or generation.error
                for event in events:
                    if one_call and isinstance(event, ToolCallStart) and event.index > 0:
                        cut.add(choice)
                        generation.cancel()
                    if choice in cut:
                        if not isinstance(event, Finished):
                            continue
                        event = replace(event, reason=FinishReason.TOOL_CALLS)
                    elif isinstance(event, Finished) and event.reason is FinishReason.CANCELLED:
                        failed = failed or RequestCancelled(STOPPED)
                        continue
                    came.append((event, choice))
            bell.flows = bell.flows or any(isinstance(event, FLOWING) for event, _ in came)
            for first in range(0, len(came), AT_ONCE):
                yield came[first : first + AT_ONCE]
            if failed is not None:
                raise failed
            if running and not await bell.rung():
                yield []


def joined(came: Iterable[Item]) -> list[Item]:
    """The same with each choice's texts of one kind that follow one another as one."""
    made: list[Item] = []
    latest: dict[int, int] = {}
    """Where each choice's last event is in `made`."""
    for event, choice in came:
        place = latest.get(choice)
        both = None if place is None else _one(made[place][0], event)
        if both is None or place is None:
            latest[choice] = len(made)
            made.append((event, choice))
        else:
            made[place] = (both, choice)
    return made


def _one(first: Event, second: Event) -> Event | None:
    """Both as one event, made when the first was; None for what is no more of the same."""
    if isinstance(first, TextDelta) and isinstance(second, TextDelta):
        return TextDelta(first.text + second.text, first.logprobs + second.logprobs, first.at)
    if isinstance(first, ThinkingDelta) and isinstance(second, ThinkingDelta):
        return ThinkingDelta(first.text + second.text, first.logprobs + second.logprobs, first.at)
    if isinstance(first, ToolCallDelta) and isinstance(second, ToolCallDelta) and first.index == second.index:
        return ToolCallDelta(first.index, first.arguments + second.arguments, first.at)
    return None


def _end(generation: Generation) -> None:
    if not generation.done:
        generation.cancel()
