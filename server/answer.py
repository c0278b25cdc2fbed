"""From a decoded request to an HTTP answer, streamed or whole: what both protocols have in common."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from core.calls.events import Finished, GenerationResult, Loading, Prefill, PromptCount, Queued
from core.calls.requests import GenerationRequest
from core.calls.witness import ASKS, FIELD
from core.errors import EngineError, GenerationFailed, InvalidRequest, RequestCancelled
from core.media.fetch import fetch_image
from core.media.images import ImageData
from server.body import to_json, warning_header
from server.decoded import Decoded
from server.errors import from_exception
from server.follow import Item, follow, while_connected
from server.frames import Frame, StreamEncoder
from server.wire import WireCall, WireState

if TYPE_CHECKING:
    from core.calls.generation import Generation
    from core.engine import Engine
    from core.settings import Settings

log = logging.getLogger(__name__)

PATIENCE_S = 4.0
"""How long an answer's first byte waits for the engine, so that what fails early still gets its own status code."""

PING_S = 3.5
"""Silence on a stream after which a ping is due, looked at every PATIENCE_S: no client waits 10 s for a byte."""

STALL_S = 60.0
"""How long a client may leave a full buffer unread before it is given up."""

MAX_IMAGE_URLS = 16


async def fetch_images(urls: Sequence[str], settings: Settings) -> dict[str, ImageData]:
    """The images behind the addresses of a request. Raises InvalidRequest for too many, and what fetching raises."""
    if len(urls) > MAX_IMAGE_URLS:
        raise InvalidRequest(
            f"The request names {len(urls)} image addresses; at most {MAX_IMAGE_URLS} are fetched. "
            "Send some as data URIs.",
            "messages",
        )
    tasks = [asyncio.ensure_future(fetch_image(url, settings)) for url in urls]
    try:
        return dict(zip(urls, await asyncio.gather(*tasks), strict=True))
    finally:
        for task in tasks:
            task.cancel()


def submit(engine: Engine, request: GenerationRequest, choices: int) -> list[Generation]:
    """Queue one generation for each choice: the same request with seeds that follow one another."""
    seed = request.sampling.seed
    requests: list[GenerationRequest] = []
    for choice in range(choices):
        sampling = request.sampling if seed is None else replace(request.sampling, seed=seed + choice)
        requests.append(replace(request, id=uuid.uuid4().hex, sampling=sampling))
    return engine.generate_all(requests)


async def answer(
    request: Request,
    engine: Engine,
    decoded: Decoded,
    *,
    encoder: StreamEncoder | None,
    whole: Callable[[list[GenerationResult]], dict[str, Any]],
    collector: Callable[[], GenerationResult] = GenerationResult,
    choices: int = 1,
) -> Response:
    """Generate, and answer with `encoder`'s stream, or with the `whole` body when there is no encoder.

    The whole body is made of results that `collector` began, one for each choice.

    Raises EngineError for what fails before the first byte.
    """
    call: WireCall = request.state.call
    generations = submit(engine, decoded.request, choices)

    def kill() -> None:
        for generation in generations:
            if not generation.done:
                generation.cancel()

    async def stop() -> None:
        await events.aclose()
        kill()  # what was closed before its first step has cancelled nothing

    def headers() -> dict[str, str]:
        return warning_header([*decoded.warnings, *(note for one in generations for note in one.notes)])

    witnessed = ASKS in request.headers
    call.begin(decoded.request.model, encoder is not None, kill)
    events = follow(generations, PATIENCE_S, one_call=decoded.one_call)
    try:
        if encoder is None:
            results = await while_connected(request, _collect(events, [collector() for _ in range(choices)], call))
            body = whole(results)
            if witnessed:
                body |= _witnesses([result.finished for result in results])
            return Response(to_json(body), headers=headers(), media_type="application/json")
        begun = await while_connected(request, _opening(events, call))
    except BaseException:
        await stop()
        raise
    frames = _frames(begun, events, encoder, call, choices if witnessed else 0)
    return _EventStream(frames, stop, {"cache-control": "no-cache", **headers()})


def _witnesses(ends: Sequence[Finished | None]) -> dict[str, Any]:
    told = [end.witness.to_json() if end is not None and end.witness is not None else None for end in ends]
    return {FIELD: told}


async def count(request: Request, engine: Engine, decoded: Decoded) -> PromptCount:
    """The tokens of a prompt, for as long as the client waits for them. Raises EngineError."""
    counting = engine.count_tokens(decoded.request)

    async def counted() -> PromptCount:
        # Shielded: the engine will answer its future, and must not find it cancelled.
        return await asyncio.shield(asyncio.wrap_future(counting))

    return await while_connected(request, counted())


async def _collect(
    events: AsyncGenerator[Item, None], results: list[GenerationResult], call: WireCall
) -> list[GenerationResult]:
    async for item in events:
        if item is not None:
            event, choice = item
            call.event(event, choice)
            results[choice].add(event)
    if any(result.finished is None for result in results):
        raise GenerationFailed("The engine ended the request without finishing it.")
    return results


async def _opening(events: AsyncGenerator[Item, None], call: WireCall) -> list[Item]:
    """What comes up to the first sign of progress, or until patience ends: much that can fail has not failed then."""
    begun: list[Item] = []
    async for item in events:
        begun.append(item)
        if item is None:
            break
        call.event(*item)
        event = item[0]
        if not isinstance(event, Queued | Loading) and not (isinstance(event, Prefill) and event.done <= event.cached):
            break
    return begun


async def _frames(
    begun: Iterable[Item],
    events: AsyncGenerator[Item, None],
    encoder: StreamEncoder,
    call: WireCall,
    witnesses: int,
) -> AsyncGenerator[bytes, None]:
    """The stream's bytes. An error becomes the protocol's error event; a ping fills long silence.

    `witnesses` is of how many choices an event of our own tells before the end.
    """
    sent_at = time.monotonic()
    unfinished = True
    ends: dict[int, Finished] = {}

    def encode(item: Item) -> list[Frame]:
        if item is None:
            return []
        event, choice = item
        if isinstance(event, Finished):
            ends[choice] = event
        return encoder.feed(event, choice)

    try:
        for item in begun:
            frames = [encoder.ping()] if item is None else encode(item)
            if frames:
                yield _encoded(frames)
        async for item in events:
            if item is not None:
                call.event(*item)
            frames = encode(item)
            if not frames and time.monotonic() - sent_at >= PING_S:
                frames = [encoder.ping()]
            if frames:
                yield _encoded(frames)
                sent_at = time.monotonic()
        frames = encoder.close()
        if witnesses:
            told = _witnesses([ends.get(choice) for choice in range(witnesses)])
            frames = [Frame({"type": FIELD, **told}, FIELD), *frames]
        unfinished = False
        call.end(WireState.DONE)
        if frames:
            yield _encoded(frames)
    except Exception as error:
        if not isinstance(error, EngineError):
            log.exception("A stream failed.")
        failure = from_exception(error)
        state = WireState.CANCELLED if isinstance(error, RequestCancelled) else WireState.FAILED
        call.end(state, error=failure.message)
        if unfinished:
            yield _encoded(encoder.fail(failure))


def _encoded(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)


class _EventStream(EventSourceResponse):
    """A stream that ends its generations however it ends, and gives up a client that no longer reads."""

    def __init__(
        self, content: AsyncGenerator[bytes, None], stop: Callable[[], Awaitable[None]], headers: Mapping[str, str]
    ) -> None:
        super().__init__(content, headers=headers)
        self._content = content
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(STALL_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except* TimeoutError:
            log.warning("A client left its stream unread for %.0f s and was given up.", STALL_S)
        finally:
            # Starlette cancels the task that sends: a generator that is not running then would stay open.
            await self._content.aclose()
            await self._stop()
