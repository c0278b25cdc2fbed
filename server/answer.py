"""From a decoded request to an HTTP answer, streamed or whole: what both protocols have in common."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from core.calls.events import Event, Finished, GenerationResult, Loading, Prefill, PromptCount, Queued
from core.calls.generation_checks import check_sight
from core.calls.requests import GenerationRequest
from core.calls.witness import ASKS, FIELD
from core.errors import EngineError, GenerationFailed, InvalidRequest, RequestCancelled
from core.media.fetch import fetch_image
from core.media.images import ImageData
from server.body import to_json_by_pieces, warning_header
from server.decoded import Decoded
from server.errors import SWITCHED_OFF, from_exception
from server.follow import Item, follow, found_while_connected, joined, while_connected
from server.frames import Frame, StreamEncoder
from server.gathering import Gathering
from server.models import find_model
from server.wire import WireCall, WireState

if TYPE_CHECKING:
    from core.calls.generation import Generation
    from core.catalog import ModelInfo
    from core.engine import Engine
    from core.settings import Settings

log = logging.getLogger(__name__)

PATIENCE_S = 4.0
"""How long an answer's first byte waits for the engine, so that what fails early still gets its own status code."""

COUNTING_S = 40.0
"""The same where its prompt is still being counted, as at the first use of a model, or where it has megabytes."""

PING_S = 3.5
"""Silence on a stream after which a ping is due, looked at every PATIENCE_S: no client waits 10 s for a byte."""

MAX_IMAGE_URLS = 16


async def read_request(
    request: Request,
    name: str,
    images: Callable[[], tuple[bool, list[str]]],
    decode: Callable[[Mapping[str, ImageData]], Decoded],
) -> Decoded:
    """What `decode` makes of a body, for the model that `name` means; all of it off the event loop.

    `images` tells whether there are any, and which addresses have to be fetched: that is done once it is known that
    the model is there and sees. Raises as `find_model`, `fetch_images` and `decode` do.
    """
    engine, settings = request.app.state.engine, request.app.state.settings

    def look() -> tuple[ModelInfo, list[str], Decoded | None]:
        some, addresses = images()
        info = find_model(engine, settings, name, images=some)
        if addresses:
            check_sight(info, len(addresses))
        return info, addresses, None if addresses else decode({})

    gathering: Gathering = request.app.state.gathering
    with gathering.coming():
        info, addresses, decoded = await asyncio.to_thread(look)
    if decoded is None:
        fetched = await while_connected(request, fetch_images(addresses, settings))
        decoded = await asyncio.to_thread(decode, fetched)
    return decoded.for_model(info.id)


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


async def _submitted(
    gathering: Gathering, engine: Engine, request: GenerationRequest, choices: int
) -> list[Generation]:
    """`submit`, on a thread: that is where schemas are looked through. What nobody waits for any more is cancelled."""

    def forget(submitting: asyncio.Future[list[Generation]]) -> None:
        if not submitting.cancelled() and submitting.exception() is None:
            for generation in submitting.result():
                generation.cancel()

    submitting = gathering.hand_on(partial(submit, engine, request, choices))
    try:
        return await asyncio.shield(submitting)
    except asyncio.CancelledError:
        submitting.add_done_callback(forget)
        raise


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

    The whole body is made, on a thread, of results that `collector` began, one for each choice.

    Raises EngineError for what fails before the first byte.
    """
    call: WireCall = request.state.call
    generations = await _submitted(request.app.state.gathering, engine, decoded.request, choices)

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
    call.begin(decoded.request.model, encoder is not None, kill, decoded.request, choices)
    events = follow(generations, PATIENCE_S, one_call=decoded.one_call)
    try:
        if encoder is None:
            results = await while_connected(request, _collect(events, [collector() for _ in range(choices)], call))

            def written() -> bytes:
                told = _witnesses([result.finished for result in results]) if witnessed else {}
                return to_json_by_pieces(whole(results) | told)

            return Response(await asyncio.to_thread(written), headers=headers(), media_type="application/json")
        begun = await while_connected(request, _opening(events, generations, call))
    except BaseException:
        await stop()
        raise
    frames = _frames(begun, events, encoder, call, choices if witnessed else 0)

    def last_words() -> bytes:
        if call.entry.state.over:
            return b""
        call.end(WireState.CANCELLED, error=SWITCHED_OFF.message)
        return _encoded(encoder.fail(SWITCHED_OFF))

    return _EventStream(frames, stop, last_words, {"cache-control": "no-cache", **headers()})


def _witnesses(ends: Sequence[Finished | None]) -> dict[str, Any]:
    told = [end.witness.to_json() if end is not None and end.witness is not None else None for end in ends]
    return {FIELD: told}


async def count(request: Request, engine: Engine, decoded: Decoded) -> PromptCount:
    """The tokens of a prompt, for as long as the client waits for them. Raises EngineError."""
    return await found_while_connected(request, await asyncio.to_thread(engine.count_tokens, decoded.request))


async def _collect(
    events: AsyncGenerator[list[Item], None], results: list[GenerationResult], call: WireCall
) -> list[GenerationResult]:
    async for came in events:
        for event, choice in came:
            call.event(event, choice)
            results[choice].add(event)
    if any(result.finished is None for result in results):
        raise GenerationFailed("The engine ended the request without finishing it.")
    return results


async def _opening(
    events: AsyncGenerator[list[Item], None], generations: Sequence[Generation], call: WireCall
) -> list[list[Item]]:
    """What comes up to the first sign of progress, or until patience ends: much that can fail has not failed then.

    A prompt that is being counted is waited for longer: if it is too long, that has a status code.
    """
    begun: list[list[Item]] = []
    last = time.monotonic() + COUNTING_S
    async for came in events:
        if not came and time.monotonic() < last and not all(one.accepted for one in generations):
            continue
        begun.append(came)
        for item in came:
            call.event(*item)
        if not came or any(_is_progress(event) for event, _ in came):
            break
    return begun


def _is_progress(event: Event) -> bool:
    return not isinstance(event, Queued | Loading) and not (isinstance(event, Prefill) and event.done <= event.cached)


async def _frames(
    begun: Iterable[list[Item]],
    events: AsyncGenerator[list[Item], None],
    encoder: StreamEncoder,
    call: WireCall,
    witnesses: int,
) -> AsyncGenerator[bytes, None]:
    """The stream's bytes, of what came together in one piece, and in company in one event. An error becomes the
    protocol's error event; a ping fills long silence.

    `witnesses` is of how many choices an event of our own tells before the end.
    """
    sent_at = time.monotonic()
    unfinished = True
    ends: dict[int, Finished] = {}

    def encode(came: list[Item]) -> list[Frame]:
        frames: list[Frame] = []
        for event, choice in came:
            if isinstance(event, Finished):
                ends[choice] = event
            frames += encoder.feed(event, choice)
        return frames

    try:
        for came in begun:
            frames = encode(came) if came else encoder.ping()
            if frames:
                yield _encoded(frames)
        async for came in events:
            for item in came:
                call.event(*item)
            frames = encode(joined(came) if call.in_company else came)
            if not frames and time.monotonic() - sent_at >= PING_S:
                frames = encoder.ping()
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
            log.exception("The stream of %s failed.", call.entry.id)
        failure = from_exception(error, call.entry.id)
        state = WireState.CANCELLED if isinstance(error, RequestCancelled) else WireState.FAILED
        call.end(state, error=failure.details or failure.message)
        if unfinished:
            yield _encoded(encoder.fail(failure))


def _encoded(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)


class _EventStream(EventSourceResponse):
    """A stream that ends its generations however it ends.

    `last_words` are what is said to the client of a stream that is cancelled; nothing where the end has been said.
    """

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        stop: Callable[[], Awaitable[None]],
        last_words: Callable[[], bytes],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(content, headers=headers)
        self._content = content
        self._stop = stop
        self._last_words = last_words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            await send(message)
            started = True

        try:
            await super().__call__(scope, receive, send_on)
        except asyncio.CancelledError:  # by the server's end, which waits no longer for the engine
            if started:
                await send({"type": "http.response.body", "body": self._last_words(), "more_body": False})
            raise
        finally:
            # Starlette cancels the task that sends: a generator that is not running then would stay open.
            await self._content.aclose()
            await self._stop()
