"""Hundreds of mixed requests with cancels, unloads and faults: every handle ends, and everything is given back."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import mlx.core as mx
import pytest

from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool
from core.engine import Engine
from core.errors import ContextOverflow, EngineError, GenerationFailed, InvalidRequest, ModelUnloaded
from core.settings import Settings
from tests import pictures

TEXT, QUICK = "pocket/qwen3", "pocket/qwen2-vl"
REQUESTS = 250
EXPECTED = (ContextOverflow, GenerationFailed, InvalidRequest, ModelUnloaded)
TOOL = Tool("get_weather", "Get the weather", {"type": "object", "properties": {"location": {"type": "string"}}})
IMAGES = [pictures.shape("square", colour, (20, 20, 120, 120)) for colour in ("green", "black", "orange")]


def some_request(dice: random.Random) -> GenerationRequest:
    kind = dice.random()
    sampling = Sampling(
        temperature=dice.choice([0.0, 0.8]),
        seed=dice.randrange(1000),
        max_tokens=dice.randint(1, 12),
        stop=dice.choice([(), ("a",), ("1, 2",)]),
        logprobs=dice.choice([None, None, 2]),
        repetition_penalty=dice.choice([None, 1.2]),
    )
    if kind < 0.08:
        message = Message.text(Role.USER, "What is this?", dice.choice(IMAGES))
        return GenerationRequest(QUICK, (message,), sampling=sampling)
    if kind < 0.12:
        return GenerationRequest(TEXT, (Message.text(Role.USER, "word " * 5000),), sampling=sampling)
    if kind < 0.15:
        broken = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}
        return GenerationRequest(TEXT, (Message.text(Role.USER, "Hi"),), json_schema=broken, sampling=sampling)
    text = dice.choice(["Hello!", "Count from 1 to 20.", "What is the capital of Peru?", "Weather in Oslo? " * 9])
    tools = (TOOL,) if dice.random() < 0.3 else ()
    return GenerationRequest(
        TEXT, (Message.text(Role.USER, text),), tools=tools, thinking=dice.random() < 0.3, sampling=sampling
    )


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Every 90th call of the text model raises, as an exhausted device would."""
    from mlx_lm.models.qwen3 import Model

    calls: Counter[str] = Counter()
    real = Model.__call__

    def sometimes(self: Any, *args: Any, **options: Any) -> mx.array:
        calls["all"] += 1
        if calls["all"] % 90 == 0:
            calls["raised"] += 1
            raise RuntimeError("no memory left on the device")
        return real(self, *args, **options)

    monkeypatch.setattr(Model, "__call__", sometimes)
    return calls


def test_hundreds_of_mixed_requests(settings: Settings, faults: Counter[str]) -> None:
    dice = random.Random(7)
    threads = set(threading.enumerate())
    roomy = settings.model_copy(update={"max_queue": REQUESTS, "cache_budget_gb": 0.01})
    with Engine(roomy) as engine:
        engine.load(TEXT).result(timeout=60)
        engine.unload(TEXT).result(timeout=60)
        empty = engine.status().active_memory
        handles: list[Generation] = []
        unloads = []
        for number in range(REQUESTS):
            handles.append(engine.generate(some_request(dice)))
            if dice.random() < 0.2:
                dice.choice(handles).cancel()
            if number % 40 == 39:
                handles[number - 20].wait(60)
            if number % 60 == 59:
                unloads.append(engine.unload(dice.choice([TEXT, QUICK]), cancel=dice.random() < 0.5))
        ends: Counter[str] = Counter()
        for handle in handles:
            try:
                finished = handle.result().finished
                assert finished is not None
                ends[finished.reason.value] += 1
            except EngineError as error:
                if not isinstance(error, EXPECTED):
                    raise
                ends[error.code] += 1
        for future in unloads:
            future.result(timeout=60)
        assert sum(ends.values()) == REQUESTS
        assert faults["raised"] > 0
        assert ends["generation_failed"] > 0
        assert ends["cancelled"] > 0
        assert ends["context_length_exceeded"] > 0
        assert ends["invalid_request"] > 0
        assert ends["stop"] + ends["length"] + ends["tool_calls"] > REQUESTS // 3
        give_up = time.monotonic() + 30  # a handle ends before the status that tells of it
        while (status := engine.status()).running or status.waiting:
            assert time.monotonic() < give_up, status
            time.sleep(0.01)
        assert status.alive
        for model in status.models:
            engine.unload(model.id).result(timeout=60)
        assert engine.status().active_memory <= empty + 1_000_000
    assert set(threading.enumerate()) <= threads
