"""Items between threads and loops: who is woken by what, and what is left behind."""

from __future__ import annotations

import asyncio
import threading

import pytest

from core.calls.mailbox import Mailbox
from core.errors import GenerationFailed


def test_items_come_in_order_and_then_the_end() -> None:
    box: Mailbox[str] = Mailbox()
    box.put("a")
    box.put("b", last=True)
    box.put("late")
    assert box.over
    assert [box.take(), box.take(), box.take()] == ["a", "b", None]
    assert box.drain() == []


def test_the_error_comes_behind_the_items_whoever_reads() -> None:
    box: Mailbox[str] = Mailbox()
    box.put("a")
    box.fail(GenerationFailed("broken"))
    box.fail(GenerationFailed("later"))
    assert box.take() == "a"
    for _ in range(2):
        with pytest.raises(GenerationFailed, match="broken"):
            box.take()
    folded: list[str] = []
    with pytest.raises(GenerationFailed, match="broken"):
        box.fold(folded.append)


def test_several_readers_get_each_item_once() -> None:
    box: Mailbox[int] = Mailbox()
    found: list[int] = []

    def read() -> None:
        while (item := box.take()) is not None:
            found.append(item)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for item in range(1, 301):
        box.put(item, last=item == 300)
    for reader in readers:
        reader.join()
    assert sorted(found) == list(range(1, 301))


async def test_a_coroutine_that_is_cancelled_leaves_no_waker() -> None:
    box: Mailbox[str] = Mailbox()
    for waiting, wakers in ((box.await_end(), box._farewells), (box.atake(), box._wakers)):
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        assert len(wakers) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert wakers == []


async def test_who_waits_for_the_end_is_not_woken_for_every_item() -> None:
    box: Mailbox[str] = Mailbox()
    task = asyncio.create_task(box.await_end())
    await asyncio.sleep(0)
    box.put("a")
    assert len(box._farewells) == 1
    box.put("b", last=True)
    await task
    assert box.drain() == ["a", "b"]


def test_a_loop_that_has_closed_is_not_missed() -> None:
    """A reader whose loop ends while it waits cannot be woken any more: that is no concern of the sender's."""
    box: Mailbox[str] = Mailbox()
    loop = asyncio.new_event_loop()
    task = loop.create_task(box.atake())
    loop.run_until_complete(asyncio.sleep(0))
    waker = box._wakers[0]
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    box._wakers.append(waker)
    box.put("a", last=True)
    assert box.take() == "a"
