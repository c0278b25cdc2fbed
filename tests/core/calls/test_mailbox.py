"""Items between threads and loops: who is woken by what, and what is left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from core.calls.mailbox import Bell, Mailbox
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


async def test_many_items_wake_a_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    wakings: list[object] = []
    wake = loop.call_soon_threadsafe

    def counted(callback: Callable[..., object], *of_callback: Any) -> object:
        wakings.append(callback)
        return wake(callback, *of_callback)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    boxes: list[Mailbox[int]] = [Mailbox() for _ in range(8)]
    reading = [asyncio.create_task(box.atake()) for box in boxes]
    await asyncio.sleep(0)

    def send() -> None:
        for box in boxes:
            box.put(1)
            box.put(2, last=True)

    sender = threading.Thread(target=send)
    sender.start()
    sender.join()  # the loop stands meanwhile
    assert len(wakings) == 1
    assert await asyncio.gather(*reading) == [1] * 8


async def test_a_bell_is_rung_for_what_came_before_and_while_it_is_waited_for() -> None:
    boxes: list[Mailbox[int]] = [Mailbox(), Mailbox()]
    bell = Bell(60)
    for box in boxes:
        box.bells = (bell,)
    boxes[1].put(1)
    boxes[1].put(2)
    assert await bell.rung()
    assert boxes[1].drain() == [1, 2]
    waiting = asyncio.create_task(bell.rung())
    await asyncio.sleep(0)
    threading.Thread(target=boxes[0].fail, args=(GenerationFailed("broken"),)).start()
    assert await waiting
    assert boxes[0].over
    bell.close()


async def test_a_bell_s_silence_begins_with_each_wait() -> None:
    """One timer goes on from wait to wait; it must not end one that began later."""
    box: Mailbox[int] = Mailbox()
    bell = Bell(0.05)
    box.bells = (bell,)
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(bell.rung())
    await asyncio.sleep(0)
    box.put(1)
    assert await waiting
    await asyncio.sleep(0.03)
    began = loop.time()
    assert not await bell.rung()
    assert loop.time() - began >= 0.05
    bell.close()


async def test_what_flows_is_heard_at_its_pace_and_the_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.calls.mailbox.PACE_S", 3600)
    box, other = Mailbox[int](), Mailbox[int]()
    bell, others = Bell(60), Bell(60)
    box.bells, other.bells = (bell,), (others,)
    box.put(1)
    assert await bell.rung()
    bell.flows = True
    box.put(2)
    assert await bell.rung()
    waiting = asyncio.create_task(bell.rung())
    for number in (3, 4):
        box.put(number)
    other.put(1)
    assert await others.rung(), "what does not flow waits for nobody"
    assert await waiting, "and takes along what waits, since the loop is awake"
    assert box.drain() == [1, 2, 3, 4]
    waiting = asyncio.create_task(bell.rung())
    box.put(5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    box.put(6, last=True)
    assert await waiting
    assert box.drain() == [5, 6]
    for one in (bell, others):
        one.close()


async def test_what_flows_comes_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.calls.mailbox.PACE_S", 0.02)
    box: Mailbox[int] = Mailbox()
    bell = Bell(60)
    box.bells, bell.flows = (bell,), True
    loop, heard = asyncio.get_running_loop(), []
    for number in range(3):
        box.put(number)
        assert await bell.rung()
        heard.append((box.drain(), loop.time()))
    assert [items for items, _ in heard] == [[0], [1], [2]]
    assert all(later - earlier >= 0.019 for (_, earlier), (_, later) in pairwise(heard))
    bell.close()


async def test_a_loop_with_much_to_do_hears_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What flows waits in proportion to the processor's time that the last of it took, within the two paces."""
    monkeypatch.setattr("core.calls.mailbox.PACE_S", 0.01)
    monkeypatch.setattr("core.calls.mailbox.SLOW_PACE_S", 5.0)
    monkeypatch.setattr("core.calls.mailbox.SHARE", 0.5)
    spent = iter((0.0, 0.0, 0.1, 1000.0))
    monkeypatch.setattr("core.calls.mailbox.time.thread_time", lambda: next(spent))
    loop = asyncio.get_running_loop()
    waits: list[float] = []
    call_later = loop.call_later

    def noted(delay: float, *call: Any) -> asyncio.TimerHandle:
        waits.append(delay)
        return call_later(0, *call)

    monkeypatch.setattr(loop, "call_later", noted)
    box: Mailbox[int] = Mailbox()
    bell = Bell(60)
    box.bells, bell.flows = (bell,), True
    for number in range(4):
        box.put(number)
        assert await bell.rung()
    assert waits == [0.01, 0.01, 0.2, 5.0]
    bell.close()
