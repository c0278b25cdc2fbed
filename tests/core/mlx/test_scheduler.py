"""The scheduler by itself, on the test's thread: turns, leaving models, idle ones, and what is said of it all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import mlx.core as mx
import pytest

from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.errors import EngineClosed, ModelNotFound, ModelUnloaded
from core.mlx.scheduler import Scheduler
from core.settings import Settings
from core.status import EngineStatus, ModelState, NoticeKind

TEXT, VISION = "pocket/qwen3", "pocket/gemma3"


class Bench:
    """A scheduler, and all that it has published."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.notices: list[tuple[NoticeKind, str | None]] = []
        self.published: list[EngineStatus] = []
        self.scheduler = Scheduler(
            settings,
            catalog,
            lambda notice: self.notices.append((notice.kind, notice.model)),
            self.published.append,
        )

    @property
    def status(self) -> EngineStatus:
        return self.published[-1]

    def run(self) -> None:
        while self.scheduler.busy:
            self.scheduler.step()

    def ask(self, model: str = TEXT, max_tokens: int = 6) -> Generation:
        turns = (Message.text(Role.USER, "Count from 1 to 20."),)
        sampling = Sampling(temperature=0.0, max_tokens=max_tokens)
        request = GenerationRequest(model, turns, thinking=False, sampling=sampling)
        handle = Generation(request, lambda work: self.scheduler.cancel(work))
        self.scheduler.submit(handle, 0.0)
        return handle

    def load(self, model: str, pin: bool = False) -> Any:
        future: Future[Any] = Future()
        self.scheduler.load(model, pin, future, 0)
        self.run()
        return future.result(0)


@pytest.fixture
def bench(settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(mx, "clear_streams", lambda: None)  # this thread goes on with other tests
    monkeypatch.setattr("core.mlx.scheduler.stay_offline", lambda: None)  # and they may reach the network
    made = Bench(settings.model_copy(update={"idle_unload_minutes": 1.0}), catalog)
    yield made
    made.scheduler.close(EngineClosed("over"))
    assert not made.status.alive


def test_a_request_loads_its_model_and_is_answered(bench: Bench) -> None:
    handle = bench.ask()
    bench.run()
    assert handle.result().text
    assert [kind for kind, _ in bench.notices if kind is not NoticeKind.STATUS] == [
        NoticeKind.MODEL_LOADING,
        NoticeKind.MODEL_READY,
    ]
    (model,) = bench.status.models
    assert (model.id, model.state, model.loads, model.running) == (TEXT, ModelState.READY, 1, 0)
    assert model.memory_bytes > 0


def test_two_models_take_turns(bench: Bench) -> None:
    bench.load(TEXT)
    bench.load(VISION)
    one, two = bench.ask(TEXT, 40), bench.ask(VISION, 40)
    begun: set[str] = set()
    while not (one.done or two.done):
        bench.scheduler.step()
        begun |= {handle.request.model for handle in (one, two) if handle.drain()}
    assert begun == {TEXT, VISION}
    bench.run()


def test_a_model_leaves_once_its_requests_have_ended(bench: Bench) -> None:
    handle = bench.ask(max_tokens=12)
    while not handle.admitted:
        bench.scheduler.step()
    gone: Future[None] = Future()
    bench.scheduler.unload(TEXT, False, gone)
    assert bench.status.models[0].state is ModelState.UNLOADING
    again = bench.ask()
    bench.run()
    assert gone.done()
    assert handle.result().finished is not None
    assert again.result().text, "asked for while it left, it is loaded once more"
    assert bench.status.models[0].loads == 2


def test_unloading_at_once_ends_its_requests(bench: Bench) -> None:
    handle = bench.ask(max_tokens=100)
    while not handle.admitted:
        bench.scheduler.step()
    bench.scheduler.unload(TEXT, True, Future())
    assert isinstance(handle.error, ModelUnloaded)
    assert bench.status.models == ()
    unknown: Future[None] = Future()
    bench.scheduler.unload("nobody/nothing", False, unknown)
    assert isinstance(unknown.exception(0), ModelNotFound)


def test_idle_models_expire_unless_pinned_or_used_meanwhile(bench: Bench) -> None:
    bench.load(TEXT)
    bench.load(VISION, pin=True)
    assert 0 < (bench.scheduler.until_idle() or 0) <= 60
    assert bench.scheduler.expired() == ()
    for resident in bench.scheduler._pool.residents.values():
        resident.runtime.last_used -= 61
    assert bench.scheduler.until_idle() == 0
    assert bench.scheduler.expired() == (TEXT,)
    handle = bench.ask()
    bench.scheduler.unload_idle((TEXT,))
    assert [model.id for model in bench.status.models] == [TEXT, VISION]
    bench.run()
    assert handle.result().text
    bench.scheduler.unload_idle((TEXT, VISION))
    assert [model.id for model in bench.status.models] == [VISION]
    bench.scheduler.unpin(VISION, Future())
    bench.scheduler.unload_idle((VISION,))
    assert bench.status.models == ()


def test_ranks_in_step_agree_on_a_number(bench: Bench) -> None:
    before = bench.scheduler.position()
    handle = bench.ask()
    during = bench.scheduler.position()
    assert during == bench.scheduler.position() != before
    bench.run()
    assert handle.done
    assert bench.scheduler.position() != during
