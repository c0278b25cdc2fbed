"""Requests that wait for a model on its way: they are told which, and are gone at once when they are cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import httpx
import pytest

from core.calls.events import Finished, FinishReason, Loading
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.engine_life import _left_behind, close_all
from core.errors import EngineClosed, ModelUnloaded
from core.mlx.runtimes import load_steps
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState, Notice
from server.lifecycle import ApiServer

TEXT, VISION, LARGER = "pocket/qwen3", "pocket/qwen2-vl", "pocket/gemma3"


class SlowLoads:
    """Lets a model's two pieces come only when it is told to: the MLX thread is inside them until then."""

    def __init__(self) -> None:
        self.may_begin = threading.Event()
        self.reached = threading.Event()
        self.may_go = threading.Event()
        self.passes = 0

    def steps(self, *arguments: Any) -> Generator[float, None, Any]:
        assert self.may_begin.wait(30)
        yield 0.4
        self.reached.set()
        assert self.may_go.wait(30)
        return (yield from load_steps(*arguments))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowLoads:
    loads = SlowLoads()
    monkeypatch.setattr("core.mlx.loads.load_steps", loads.steps)
    return loads


@pytest.fixture
def own_engine(settings: Settings, slow: SlowLoads) -> Iterator[Engine]:
    with Engine(settings) as engine:
        yield engine
        slow.may_begin.set()
        slow.may_go.set()


def ask(engine: Engine, model: str) -> Generation:
    sampling = Sampling(temperature=0.0, max_tokens=8)
    return engine.generate(GenerationRequest(model, (Message.text(Role.USER, "Hello!"),), sampling=sampling))


def taken(engine: Engine, model: str) -> Generation:
    """A request of which the MLX thread knows: its prompt has been counted before."""
    handle = ask(engine, model)
    give_up = time.monotonic() + 30
    while not handle.accepted:
        assert time.monotonic() < give_up
        time.sleep(0.001)
    return handle


def end(handle: Generation) -> Finished:
    assert handle.wait(10), "it must end although the load goes on"
    finished = handle.result().finished
    assert finished is not None
    return finished


def test_a_request_that_waits_for_a_load_is_cancelled_at_once(own_engine: Engine, slow: SlowLoads) -> None:
    waiting = [taken(own_engine, model) for model in (VISION, VISION, TEXT)]
    slow.may_begin.set()
    assert slow.reached.wait(30)
    loads = [(model.id, model.progress, model.waiting) for model in own_engine.status().loads]
    assert loads == [(VISION, 0.4, 2), (TEXT, 0.0, 1)]
    late = ask(own_engine, LARGER)  # the thread has not even heard of this one
    for handle in (waiting[0], waiting[2], late):
        handle.cancel()
        finished = end(handle)
        assert finished.reason is FinishReason.CANCELLED
        assert finished.timing.total_s == pytest.approx(finished.timing.queued_s)
    assert not slow.may_go.is_set()
    assert not waiting[1].done
    slow.may_go.set()
    assert end(waiting[1]).reason is not FinishReason.CANCELLED
    assert not any(isinstance(event, Loading) for event in late.drain())
    deadline = time.monotonic() + 20
    while own_engine.status().loads and time.monotonic() < deadline:
        own_engine.ready().result(20)
    assert own_engine.status().waiting == own_engine.status().running == 0, "nothing of them is left"
    assert {model.id for model in own_engine.status().models} == {VISION}, "what nobody wants any more is not begun"


def test_a_load_that_has_begun_or_was_asked_for_by_itself_goes_on_without_its_requests(
    own_engine: Engine, slow: SlowLoads
) -> None:
    waiting = [taken(own_engine, VISION), taken(own_engine, TEXT)]
    wanted = own_engine.load(TEXT)
    slow.may_begin.set()
    assert slow.reached.wait(30)
    for handle in waiting:
        handle.cancel()
        end(handle)
    slow.may_go.set()
    wanted.result(30)
    assert {model.id for model in own_engine.status().models} == {VISION, TEXT}


async def test_a_client_that_leaves_ends_its_request_while_its_model_is_read(
    own_engine: Engine, settings: Settings, slow: SlowLoads, tmp_path: Any
) -> None:
    slow.may_begin.set()
    server = ApiServer(own_engine, settings.model_copy(update={"data_dir": tmp_path}))
    url = server.start(0)
    try:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.key}"}) as client:
            body = {"model": TEXT, "messages": [{"role": "user", "content": "Hello!"}]}
            asked = asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=body, timeout=60))
            assert await asyncio.to_thread(slow.reached.wait, 30)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        (asked_for,) = own_engine._open
        assert await asyncio.to_thread(asked_for.wait, 20)
        assert not slow.may_go.is_set()
    finally:
        slow.may_go.set()
        server.stop()


def test_a_model_that_waits_for_its_last_requests_to_end_holds_up_no_load() -> None:
    again, leaving = (LoadedModel(TEXT, state) for state in (ModelState.LOADING, ModelState.UNLOADING))
    other = LoadedModel(VISION, ModelState.LOADING)
    status = EngineStatus(True, "cpu", (leaving, again, other))
    assert status.loads == (other, again)


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> SlowLoads:
    """Holds the first forward pass of what is tried with a model's rows; `passes` counts them."""
    held = SlowLoads()

    def compute(cache: list[Any]) -> Iterator[float]:
        held.passes += 1
        held.reached.set()
        assert held.may_go.wait(30)
        yield 1.0

    monkeypatch.setattr("core.mlx.decoding.batch_support._compute", compute)
    return held


def test_a_load_is_given_up_in_the_middle_of_what_is_tried_with_the_model(
    settings: Settings, trial: SlowLoads, tmp_path: Path
) -> None:
    with Engine(settings.model_copy(update={"cache_dir": tmp_path})) as engine:
        loaded = engine.load(TEXT)
        assert trial.reached.wait(30)
        unloaded = engine.unload(TEXT)
        trial.may_go.set()
        unloaded.result(30)
        with pytest.raises(ModelUnloaded, match="cancelled"):
            loaded.result(30)
        assert trial.passes == 1


def test_a_load_that_is_to_be_given_up_is_said_to_stop_at_once(own_engine: Engine, slow: SlowLoads) -> None:
    heard: list[Notice] = []
    loaded, behind = own_engine.load(VISION), own_engine.load(TEXT)
    slow.may_begin.set()
    assert slow.reached.wait(30)
    end_listening = own_engine.listen(heard.append)
    unloaded = own_engine.unload(VISION)
    assert [(load.id, load.state) for load in own_engine.status().loads] == [
        (VISION, ModelState.STOPPING),
        (TEXT, ModelState.LOADING),
    ]
    assert heard, "whoever shows it is told"
    end_listening()
    again = own_engine.load(VISION)
    slow.may_go.set()
    unloaded.result(30)
    assert ModelState.STOPPING not in {load.state for load in own_engine.status().loads}
    with pytest.raises(ModelUnloaded):
        loaded.result(0)
    behind.result(30)
    again.result(30)


def test_an_engine_that_closes_in_a_long_piece_is_left_behind(
    settings: Settings, slow: SlowLoads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.engine_life.CLOSE_WITHIN_S", 0.05)
    tripped: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", tripped.append)
    monkeypatch.setattr("core.engine_life._started", WeakSet())  # not the engine of other tests
    engine = Engine(settings).start()
    loaded = engine.load(TEXT)
    slow.may_begin.set()
    assert slow.reached.wait(30)
    engine.close()
    with pytest.raises(EngineClosed):
        loaded.result(0)
    assert not close_all(), "its thread is at work"
    slow.may_go.set()
    assert all(thread.join(30) for thread in _left_behind)
    assert close_all()
    assert not tripped, "what it would have answered has been answered"


def test_an_engine_closes_in_the_middle_of_what_is_tried_with_a_model(
    settings: Settings, trial: SlowLoads, tmp_path: Path
) -> None:
    engine = Engine(settings.model_copy(update={"cache_dir": tmp_path})).start()
    loaded = engine.load(TEXT)
    assert trial.reached.wait(30)
    closing = threading.Thread(target=engine.close)
    closing.start()
    while engine._thread is not None and not engine._thread._closing:
        closing.join(0.001)
    trial.may_go.set()
    closing.join(30)
    with pytest.raises(EngineClosed):
        loaded.result(0)
    assert trial.passes == 1


def test_a_load_whose_future_is_cancelled_is_given_up_unless_others_wait_for_it(
    own_engine: Engine, slow: SlowLoads
) -> None:
    alone, queued, shared = (own_engine.load(model) for model in (VISION, LARGER, TEXT))
    request = ask(own_engine, TEXT)
    slow.may_begin.set()
    assert slow.reached.wait(30)
    for future in (alone, queued, shared):
        assert future.cancel()
    slow.may_go.set()
    request.result()
    assert [model.id for model in own_engine.status().models] == [TEXT]
