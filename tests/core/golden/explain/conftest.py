"""A case with a picture, and answers to it as a run keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.calls.scoring import Score, ScoreRequest
from core.engine import Engine
from core.golden.conversation import Conversation
from core.golden.explain.asking import Ask, Trace, trace
from core.golden.plan import Planned
from core.golden.reading import load_suite
from core.golden.record import Circumstances, answered
from core.golden.results import Attempt
from core.golden.run import request_for
from core.golden.suite import Suite
from core.media.images import read_image
from core.tiers import Tier
from tests.core.golden.conftest import WriteSuite

FULL, COPY = "pocket/gemma3", "tiny/gemma3-4bit"
QUESTION = "What shape and color do you see?"


@pytest.fixture
def ask(quantised_engine: Engine) -> Ask:
    def ask(request: ScoreRequest) -> Score:
        return quantised_engine.score(request).result(120)

    return ask


@pytest.fixture
def suite(write_suite: WriteSuite) -> Suite:
    files = {
        "shape.txt": QUESTION,
        "shape.toml": 'images = "red_square.png"\nexpect = "red"\ntemperature = 0.0\n',
        "red_square.png": "red_square.png",
        "plain.txt": "Hello!",
    }
    return load_suite(write_suite(files))


@pytest.fixture
def attempt(suite: Suite, quantised_engine: Engine) -> Callable[..., Attempt]:
    """The record of a real answer."""

    def attempt(model: str, case: str = "shape", tier: Tier = Tier.FULL, **sampling: object) -> Attempt:
        found = next(one for one in suite.cases if one.id == case)
        asked = replace(found, sampling=replace(found.sampling, **sampling))  # type: ignore[arg-type]
        planned = Planned(0, asked, tier, "in-process", 0, 5, quantised_engine.catalog.get(model))
        messages = planned.messages(*(read_image(image.path) for image in planned.images))
        result = quantised_engine.generate(request_for(planned, messages)).result()
        return answered(planned, "run", Conversation.of(messages, result), Circumstances())

    return attempt


@pytest.fixture
def traced(suite: Suite, quantised_engine: Engine) -> Callable[[Attempt], Trace]:
    return lambda attempt: trace(suite, attempt, quantised_engine.catalog.on_disk)


@pytest.fixture
def picture(suite: Suite) -> Path:
    return suite.path / "red_square.png"
