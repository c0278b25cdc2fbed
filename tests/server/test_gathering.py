"""Requests that come together are handed on together, and one that comes alone at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from core.errors import InvalidRequest
from server import gathering
from server.gathering import Gathering


async def test_one_that_is_alone_is_handed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 3600)
    hall = Gathering()
    with hall.coming():
        pass
    assert await hall.hand_on(lambda: threading.current_thread() is threading.main_thread()) is False


async def test_those_on_their_way_are_waited_for_and_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 3600)
    hall = Gathering()
    done: list[tuple[str, int]] = []

    def work(name: str) -> str:
        done.append((name, threading.get_ident()))
        return name

    async def comes(name: str, decoded: asyncio.Event) -> str:
        with hall.coming():
            await decoded.wait()
        return await hall.hand_on(lambda: work(name))

    events = [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.create_task(comes(name, event)) for name, event in zip("abc", events, strict=True)]
    await asyncio.sleep(0)
    for event in events:
        assert not done, "none goes while others are on their way"
        event.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    assert [name for name, _ in done] == ["a", "b", "c"]
    assert len({thread for _, thread in done}) == 1


async def test_one_that_does_not_come_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 0.01)
    hall = Gathering()
    with hall.coming():
        assert await hall.hand_on(lambda: 1) == 1
        assert await hall.hand_on(lambda: 2) == 2, "each time anew"


async def test_an_error_is_its_own_request_s_and_what_nobody_waits_for_is_not_begun() -> None:
    hall = Gathering()
    begun: list[str] = []

    def fails() -> None:
        raise InvalidRequest("no")

    with hall.coming():
        bad, good = hall.hand_on(fails), hall.hand_on(lambda: "good")
        gone = hall.hand_on(lambda: begun.append("gone"))
        gone.cancel()
        await asyncio.sleep(0)
    with pytest.raises(InvalidRequest, match="no"):
        await bad
    assert await good == "good"
    assert not begun
