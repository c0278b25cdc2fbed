"""Several models in one engine: turns, pins, eviction under a budget, idleness, and memory given back."""

from __future__ import annotations

import gc
import threading

import mlx.core as mx
import pytest

from core.calls.events import TextDelta
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.engine import Engine
from core.errors import ModelUnloaded, OutOfMemory
from core.mlx.pool import CONTEXT_FOR_FIT
from core.settings import Settings
from core.status import Notice, NoticeKind

TEXT, QUICK, FULL = "pocket/qwen3", "pocket/qwen2-vl", "pocket/gemma3"


def request(model: str, text: str = "Hello!", max_tokens: int = 8) -> GenerationRequest:
    return GenerationRequest(
        model, (Message.text(Role.USER, text),), thinking=False, sampling=Sampling(temperature=0, max_tokens=max_tokens)
    )


def held() -> int:
    """Bytes that other tests' models take and will go on taking."""
    gc.collect()
    return mx.get_active_memory()


def loaded(engine: Engine) -> set[str]:
    return {model.id for model in engine.status().models}


@pytest.fixture
def tight(settings: Settings, catalog: Catalog) -> Settings:
    """A budget that holds the two larger models together, but not a third."""
    needs = {name: memory.total(CONTEXT_FOR_FIT) for name in (QUICK, FULL) if (memory := catalog.get(name).memory)}
    weights = {name: catalog.get(name).size_bytes for name in (TEXT, QUICK, FULL)}
    budget = max(needs[FULL] + weights[QUICK], needs[QUICK] + weights[FULL]) + 500_000
    return settings.model_copy(update={"memory_budget_gb": (budget + held()) / 1e9, "cache_budget_gb": 0.0})


@pytest.fixture
def only_text(settings: Settings, catalog: Catalog) -> Settings:
    """A budget that holds the text model and no other beside it."""
    memory = catalog.get(TEXT).memory
    assert memory is not None
    budget = memory.total(CONTEXT_FOR_FIT) + 1_000_000
    return settings.model_copy(update={"memory_budget_gb": (budget + held()) / 1e9, "cache_budget_gb": 0.0})


def test_the_least_recently_used_model_makes_room(tight: Settings) -> None:
    with Engine(tight) as engine:
        for model in (QUICK, FULL):
            engine.load(model).result(timeout=60)
        engine.generate(request(QUICK)).result()
        before = engine.status().active_memory
        engine.load(TEXT).result(timeout=60)
        assert loaded(engine) == {QUICK, TEXT}
        assert engine.status().active_memory < before


def test_kv_kept_for_later_gives_way_before_a_model_does(settings: Settings, catalog: Catalog) -> None:
    text, quick = catalog.get(TEXT), catalog.get(QUICK)
    assert quick.memory is not None
    spare = 1_000_000
    budget = held() + text.size_bytes + quick.memory.total(CONTEXT_FOR_FIT) + 2 * spare
    with Engine(settings.model_copy(update={"memory_budget_gb": budget / 1e9})) as engine:
        for word in ("cat", "dog", "cow"):
            engine.generate(request(TEXT, f"{word} " * 500)).result()
        before = engine.status()
        assert before.kept_memory > 3 * spare
        engine.load(QUICK).result(timeout=60)
        after = engine.status()
        assert loaded(engine) == {TEXT, QUICK}
        assert 0 < after.kept_memory < before.kept_memory
        recent = engine.generate(request(TEXT, "cow " * 500)).result().finished
        oldest = engine.generate(request(TEXT, "cat " * 500)).result().finished
        assert recent is not None
        assert oldest is not None
        assert recent.usage.cached_tokens > 400
        assert oldest.usage.cached_tokens < 100


def test_a_pinned_model_stays_and_a_refusal_names_the_numbers(only_text: Settings) -> None:
    with Engine(only_text) as engine:
        engine.load(TEXT, pin=True).result(timeout=60)
        with pytest.raises(OutOfMemory, match=r"needs about \d\d MB; .* of the budget of .*Unload pocket/qwen3"):
            engine.load(FULL).result(timeout=60)
        assert loaded(engine) == {TEXT}
        with pytest.raises(OutOfMemory):
            engine.generate(request(FULL)).result()
        assert engine.generate(request(TEXT)).result().text


def test_a_busy_model_is_not_evicted(only_text: Settings) -> None:
    with Engine(only_text) as engine:
        running = engine.generate(request(TEXT, "Count from 1 to 40.", 200))
        stream = iter(running)
        while not isinstance(next(stream), TextDelta):
            pass
        refused = engine.load(FULL)
        assert isinstance(refused.exception(timeout=60), OutOfMemory)
        assert "40" in "".join(event.text for event in stream if isinstance(event, TextDelta))


def test_an_idle_model_is_unloaded_after_its_time_and_a_pinned_one_is_not(settings: Settings) -> None:
    gone = threading.Event()

    def listen(notice: Notice) -> None:
        if notice.kind is NoticeKind.MODEL_UNLOADED and notice.model == QUICK:
            gone.set()

    impatient = settings.model_copy(update={"idle_unload_minutes": 0.01})
    with Engine(impatient) as engine:
        engine.listen(listen)
        engine.load(TEXT, pin=True).result(timeout=60)
        engine.load(QUICK).result(timeout=60)
        assert gone.wait(30)
        assert loaded(engine) == {TEXT}
        assert engine.generate(request(QUICK)).result().text


def test_a_long_answer_on_one_model_does_not_hold_up_another(engine: Engine) -> None:
    for model in (TEXT, QUICK):
        engine.load(model).result(timeout=60)
    long = engine.generate(request(TEXT, "Count from 1 to 60.", 300))
    stream = iter(long)
    while not isinstance(next(stream), TextDelta):
        pass
    assert engine.generate(request(QUICK)).result().text
    assert not long.done
    long.cancel()


def test_loading_can_be_cancelled(settings: Settings) -> None:
    with Engine(settings) as engine:
        waiting = engine.generate(request(FULL))
        engine.unload(FULL).result(timeout=60)
        with pytest.raises(ModelUnloaded):
            waiting.result()
        assert FULL not in loaded(engine)


def test_memory_is_back_after_many_loads(settings: Settings) -> None:
    with Engine(settings) as engine:
        engine.generate(request(TEXT)).result()
        engine.unload(TEXT).result(timeout=60)
        empty = engine.status().active_memory
        for _ in range(5):
            engine.generate(request(TEXT)).result()
            engine.unload(TEXT).result(timeout=60)
        assert engine.status().active_memory <= empty + 100_000
