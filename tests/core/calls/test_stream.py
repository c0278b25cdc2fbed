"""The handle of a generation, fed by hand: waiting, ending, failing, cancelling, on threads and loops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.calls.events import Finished, FinishReason, TextDelta, Timing, Usage
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.errors import GenerationFailed

END = Finished(FinishReason.STOP, Usage(), Timing())


def make() -> tuple[Generation, list[Generation]]:
    cancelled: list[Generation] = []
    return Generation(GenerationRequest("m"), cancelled.append), cancelled


def test_events_fed_before_the_reader_came_are_kept() -> None:
    handle, _ = make()
    handle.feed(TextDelta("a"))
    handle.feed(END)
    assert [type(event).__name__ for event in handle] == ["TextDelta", "Finished"]


def test_a_reader_waits_for_another_thread() -> None:
    handle, _ = make()
    started = threading.Event()

    def feed() -> None:
        started.wait()
        handle.feed(TextDelta("late"))
        handle.feed(END)

    thread = threading.Thread(target=feed)
    thread.start()
    started.set()
    assert handle.result().text == "late"
    thread.join()


def test_an_error_is_raised_after_the_events_before_it() -> None:
    handle, _ = make()
    handle.feed(TextDelta("half"))
    handle.fail(GenerationFailed("it broke"))
    seen = []
    with pytest.raises(GenerationFailed, match="it broke"):
        for event in handle:
            seen.append(event)
    assert seen == [TextDelta("half")]


def test_nothing_comes_after_the_end() -> None:
    handle, _ = make()
    handle.feed(END)
    handle.feed(TextDelta("ghost"))
    handle.fail(GenerationFailed("ghost"))
    assert list(handle) == [END]
    assert handle.error is None


def test_cancel_tells_the_engine_once() -> None:
    handle, cancelled = make()
    handle.cancel()
    handle.cancel()
    assert cancelled == [handle]


async def test_a_coroutine_reads_what_a_thread_feeds() -> None:
    handle, _ = make()

    def feed() -> None:
        for word in ("a", "b", "c"):
            handle.feed(TextDelta(word))
        handle.feed(END)

    task = asyncio.create_task(handle.aresult())
    await asyncio.sleep(0)
    await asyncio.to_thread(feed)
    assert (await task).text == "abc"


async def test_a_coroutine_that_is_cancelled_while_it_waits_cancels_the_request() -> None:
    awaited, awaited_cancelled = make()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(awaited.aresult(), 0.01)
    assert awaited_cancelled == [awaited]

    iterated, iterated_cancelled = make()
    iterated.feed(TextDelta("a"))

    async def read() -> None:
        async for _ in iterated:
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert iterated_cancelled == [iterated]


async def test_a_coroutine_that_is_cancelled_after_the_end_cancels_no_request() -> None:
    handle, cancelled = make()
    task = asyncio.create_task(handle.aresult())
    await asyncio.sleep(0)
    handle.feed(END)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == []


def test_a_loop_that_is_left_goes_on_with_the_result() -> None:
    handle, cancelled = make()
    handle.feed(TextDelta("a"))
    handle.feed(TextDelta("b"))
    for _ in handle:
        break
    handle.feed(END)
    assert handle.result().text == "b"
    assert cancelled == []


async def test_leaving_the_block_cancels_what_has_not_ended() -> None:
    running, running_cancelled = make()
    with running:
        running.feed(TextDelta("a"))
    assert running_cancelled == [running]

    broken, broken_cancelled = make()
    with pytest.raises(KeyError):
        async with broken:
            raise KeyError
    assert broken_cancelled == [broken]

    ended, ended_cancelled = make()
    async with ended as handle:
        handle.feed(END)
    assert ended_cancelled == []


def test_whoever_asks_for_the_result_gets_all_of_it() -> None:
    handle, _ = make()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(handle.result) for _ in range(4)]
        for word in ("a", "b", "c"):
            handle.feed(TextDelta(word))
        handle.feed(END)
        assert [future.result().text for future in waiting] == ["abc"] * 4
    assert handle.result().finished == END


def test_one_may_wait_for_ever() -> None:
    handle, _ = make()
    handle.feed(END)
    assert handle.wait(float("inf"))


def test_wait_says_whether_it_ended() -> None:
    handle, _ = make()
    assert handle.wait(0.001) is False
    handle.feed(END)
    assert handle.wait() is True
