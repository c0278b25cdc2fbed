"""Follows running generations for as long as their client is there, and stops them when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from starlette.requests import Request

from core.calls.events import Event, Finished, FinishReason, ToolCallStart
from core.calls.generation import Generation
from core.errors import RequestCancelled

Item = tuple[Event, int] | None
"""An event with the number of its choice, or None for a while in which nothing happened."""

Result = TypeVar("Result")


class ClientLeft(Exception):
    """The connection was closed before the answer was ready: nobody is left to tell."""


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Await `work`, but cancel it as soon as the client leaves; then ClientLeft is raised.

    The body must have been read: all that `receive` can bring then is the disconnect.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def found_while_connected(request: Request, future: Future[Result]) -> Result:
    """What the engine's future finds, for as long as the client waits for it; raises as `while_connected` does."""

    async def found() -> Result:
        return await asyncio.wrap_future(future)

    return await while_connected(request, found())


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def follow(
    generations: Sequence[Generation], idle_s: float, *, one_call: bool = False
) -> AsyncGenerator[Item, None]:
    """The events of all generations as they come, and None after each `idle_s` seconds of silence.

    With `one_call`, a choice ends before its second tool call.

    Raises the first EngineError that ends one of them, and RequestCancelled when one was stopped on this side.
    However the iteration ends, so do the generations: closing it cancels what still runs.
    """
    streams = [aiter(generation) for generation in generations]
    cut: set[int] = set()
    steps = {asyncio.ensure_future(_step(stream)): choice for choice, stream in enumerate(streams)}
    try:
        while steps:
            done, _ = await asyncio.wait(steps, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                yield None
            for step in done:
                choice = steps.pop(step)
                first = step.result()
                if first is None:
                    continue
                for event in (first, *generations[choice].drain()):
                    if one_call and isinstance(event, ToolCallStart) and event.index > 0:
                        cut.add(choice)
                        generations[choice].cancel()
                    if choice in cut:
                        if not isinstance(event, Finished):
                            continue
                        event = replace(event, reason=FinishReason.TOOL_CALLS)
                    elif isinstance(event, Finished) and event.reason is FinishReason.CANCELLED:
                        raise RequestCancelled("The request was stopped on the server's side before it had finished.")
                    yield event, choice
                steps[asyncio.ensure_future(_step(streams[choice]))] = choice
    finally:
        for generation in generations:
            if not generation.done:
                generation.cancel()
        for step in steps:
            step.cancel()
        await asyncio.gather(*steps, return_exceptions=True)


async def _step(stream: AsyncIterator[Event]) -> Event | None:
    return await anext(stream, None)
