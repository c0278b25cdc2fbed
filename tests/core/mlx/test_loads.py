"""Models on their way into memory: in what order, who hears of it, and what is left when one does not come."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest

from core.catalog import Catalog
from core.errors import EngineClosed, EngineError, ModelNotFound, ModelUnloaded, OutOfMemory
from core.mlx.loads import Loads
from core.mlx.pool import Pool, Resident
from core.mlx.ranks.distributed import ALONE
from core.mlx.runtimes import load_steps
from core.settings import Settings
from core.status import NoticeKind

TEXT, VISION = "pocket/qwen3", "pocket/qwen2-vl"


class Heard:
    """What those who wait for a model got, and what everybody was told."""

    def __init__(self) -> None:
        self.found: list[Resident | EngineError] = []
        self.notices: list[tuple[str, str]] = []
        self.evicted: list[str] = []
        self.changes = 0

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def pool(settings: Settings) -> Pool:
    return Pool(settings, ALONE)


@pytest.fixture
def loads(settings: Settings, catalog: Catalog, pool: Pool, heard: Heard) -> Loads:
    return Loads(
        settings,
        catalog,
        pool,
        ALONE,
        mx.default_stream(mx.default_device()),
        heard.evicted.extend,
        lambda notice: heard.notices.append((notice.kind.value, notice.model)),
        heard.changed,
    )


def run(loads: Loads, until: Callable[[], bool]) -> None:
    while not until():
        loads.step((), busy=False)


def test_all_who_asked_get_the_model_and_it_is_in_the_pool(loads: Loads, pool: Pool, heard: Heard) -> None:
    loads.ask(TEXT, heard.found.append)
    loads.ask(TEXT, heard.found.append)
    assert [(model.id, model.waiting) for model in loads.describe()] == [(TEXT, 2)]
    run(loads, lambda: not len(loads))
    resident = pool.residents[TEXT]
    assert heard.found == [resident, resident]
    assert resident.memory_bytes > 100_000
    assert resident.load_s > 0
    assert resident.loads == 1
    assert heard.notices == [(NoticeKind.MODEL_LOADING.value, TEXT), (NoticeKind.MODEL_READY.value, TEXT)]
    resident.runtime.close()


def test_the_first_asked_for_comes_first_unless_it_is_leaving(loads: Loads, pool: Pool, heard: Heard) -> None:
    loads.ask(VISION, heard.found.append)
    loads.ask(TEXT, heard.found.append)
    while TEXT not in pool.residents:
        loads.step({VISION}, busy=True)
    assert loads.names == [VISION]
    run(loads, lambda: not len(loads))
    for resident in pool.residents.values():
        resident.runtime.close()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models whose chat templates are tried as long as they are in the list."""
    names = [VISION]

    def steps(info: Any, *more: Any) -> Generator[float | None, None, Any]:
        while info.id in names:
            yield None
        return (yield from load_steps(info, *more))

    monkeypatch.setattr("core.mlx.loads.load_steps", steps)
    return names


def test_others_do_not_wait_for_a_template_that_is_tried(
    loads: Loads, pool: Pool, heard: Heard, tried: list[str]
) -> None:
    loads.ask(VISION, heard.found.append)
    loads.ask(TEXT, heard.found.append)
    run(loads, lambda: TEXT in pool.residents)
    assert loads.names == [VISION]
    assert pool.residents[TEXT].read_s == 0.0, "not measured, since it was not alone"
    tried.clear()
    run(loads, lambda: not len(loads))
    for resident in pool.residents.values():
        resident.runtime.close()


def test_what_finds_no_room_beside_a_load_comes_after_it(
    loads: Loads, pool: Pool, heard: Heard, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room_for = pool.room_for

    def room(info: Any) -> Any:
        if info.id == TEXT and VISION not in pool.residents:
            raise OutOfMemory("no room")
        return room_for(info)

    monkeypatch.setattr(pool, "room_for", room)
    loads.ask(VISION, heard.found.append)
    loads.ask(TEXT, heard.found.append)
    for _ in range(3):
        loads.step((), busy=False)
    assert loads.names == [VISION, TEXT]
    tried.clear()
    run(loads, lambda: not len(loads))
    assert heard.found == [pool.residents[VISION], pool.residents[TEXT]]
    for resident in pool.residents.values():
        resident.runtime.close()


def test_a_load_is_given_up_between_two_pieces(loads: Loads, pool: Pool, heard: Heard) -> None:
    loads.ask(TEXT, heard.found.append)
    loads.step((), busy=False)
    error = ModelUnloaded("given up")
    assert loads.cancel(TEXT, error)
    assert not loads.cancel(TEXT, error)
    assert heard.found == [error]
    assert pool.residents == {}
    assert heard.notices[-1] == (NoticeKind.MODEL_UNLOADED.value, TEXT)


def test_a_model_that_does_not_exist_is_said_so_to_who_asked(loads: Loads, heard: Heard) -> None:
    loads.ask("nobody/nothing", heard.found.append)
    loads.step((), busy=False)
    assert isinstance(heard.found[0], ModelNotFound)
    assert heard.notices[-1] == (NoticeKind.MODEL_FAILED.value, "nobody/nothing")
    assert len(loads) == 0


def test_what_is_evicted_for_it_is_named(loads: Loads, pool: Pool, heard: Heard) -> None:
    loads.ask(TEXT, heard.found.append)
    run(loads, lambda: not len(loads))
    pool.store = replace(pool.store, memory=mx.get_active_memory() + 1000)
    pool.residents[TEXT].memory_bytes = 10**9  # as if it were large enough to make room
    loads.ask(VISION, heard.found.append)
    loads.step((), busy=True)
    assert heard.evicted == [TEXT]
    loads.close(EngineClosed("over"))
    assert str(heard.found[-1]) == "over"
    pool.residents[TEXT].runtime.close()


def test_a_queued_load_goes_with_the_last_request_for_it(loads: Loads, pool: Pool, heard: Heard) -> None:
    first, second = object(), object()
    for whose in (first, second):
        loads.ask(TEXT, heard.found.append, whose)
    loads.forget(first)
    assert loads.names == [TEXT]
    loads.forget(object())
    assert loads.names == [TEXT]
    loads.forget(second)
    assert loads.names == []
    assert heard.found == []
    assert heard.notices[-1] == (NoticeKind.MODEL_UNLOADED.value, TEXT)


def test_a_load_that_has_begun_goes_on_or_is_given_up_with_its_last_waiter(loads: Loads, heard: Heard) -> None:
    loads.ask(TEXT, heard.found.append, 1)
    loads.ask(TEXT, heard.found.append, 2)
    loads.step((), busy=False)
    loads.forget(1, give_up=True)
    assert loads.names == [TEXT], "someone else waits"
    loads.forget(2)
    assert loads.names == [TEXT], "whoever asks next finds it further on"
    loads.ask(TEXT, heard.found.append, 3)
    loads.forget(3, give_up=True)
    assert loads.names == []
    assert heard.found == []
    assert heard.notices[-1] == (NoticeKind.MODEL_UNLOADED.value, TEXT)
