"""Whatever was asked before, KV that is reused gives what a fresh prefill gives: text, images, sliding windows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.media.images import ImageData
from core.settings import Settings
from tests import pictures
from tests.benchmarks.models import Shape, make_model

MODELS = {
    "text": Shape("text", "qwen3", {"num_hidden_layers": 2}),
    "vision": Shape("vision", "qwen2-vl", {"num_hidden_layers": 2, "vision_config": {"depth": 1}}),
    "windowed": Shape(
        "windowed",
        "gemma3",
        {"text_config": {"sliding_window": 24, "num_hidden_layers": 3}, "vision_config": {"num_hidden_layers": 1}},
    ),
}
CLOSE = 2e-3
"""Natural-log probability: the same sums in other chunks."""

WORDS = ["the river runs", "under seven stones", "and a cat sees light at night", "never"]
IMAGES = [
    pictures.shape("square", (200, 0, 0), (10, 20, 60, 80), 96),
    pictures.shape("square", (0, 0, 200), (10, 20, 60, 80), 96),  # as many tokens as the first
    pictures.shape("circle", (0, 160, 0), (5, 5, 50, 50), 64),
]

Talk = list[tuple[str, list[int], str]]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
turns = st.tuples(texts, st.lists(st.integers(0, len(IMAGES) - 1), max_size=2), texts)
talks = st.lists(turns, min_size=1, max_size=3)


@st.composite
def related_talks(draw: st.DrawFn) -> list[Talk]:
    """Conversations of which each begins as an earlier one does, for some turns, and then departs."""
    told = [draw(talks)]
    for _ in range(draw(st.integers(1, 3))):
        earlier = draw(st.sampled_from(told))
        told.append([*earlier[: draw(st.integers(0, len(earlier)))], *draw(talks)])
    return told


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """One that keeps KV and one that keeps nothing."""
    folder = tmp_path_factory.mktemp("reuse")
    for name in ("models", "cache"):
        (folder / name).mkdir()
    for shape in MODELS.values():
        make_model(shape, folder / "models")
    common = {
        "model_folders": [folder / "models"],
        "hf_cache": folder / "cache",
        "data_dir": folder,
        "prefill_chunk": 16,
        "prefill_ms": 0,
    }
    with Engine(Settings(**common)) as keeping, Engine(Settings(**common, cache_budget_gb=0.0)) as fresh:
        for engine in (keeping, fresh):  # one after the other: transformers is not imported on two threads at once
            for model in MODELS:
                engine.load(model).result()
        yield keeping, fresh


def ask(engine: Engine, model: str, talk: Talk) -> GenerationResult:
    messages: list[Message] = []
    for text, images, answer in talk:
        shown: list[ImageData] = [] if model == "text" else [IMAGES[index] for index in images]
        messages += [Message.text(Role.USER, text, *shown), Message.text(Role.ASSISTANT, answer)]
    sampling = Sampling(temperature=0.0, max_tokens=3, logprobs=0)
    return engine.generate(GenerationRequest(model, tuple(messages[:-1]), sampling=sampling)).result()


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=6, deadline=None)
@given(told=related_talks())
def test_what_is_reused_gives_the_logprobs_of_a_fresh_prefill(
    engines: tuple[Engine, Engine], model: str, told: list[Talk]
) -> None:
    keeping, fresh = engines
    for talk in told:
        reused, expected = ask(keeping, model, talk), ask(fresh, model, talk)
        assert expected.finished is not None
        assert expected.finished.usage.cached_tokens == 0
        assert [item.token_id for item in reused.logprobs] == [item.token_id for item in expected.logprobs]
        for ours, theirs in zip(reused.logprobs, expected.logprobs, strict=True):
            assert ours.logprob == pytest.approx(theirs.logprob, abs=CLOSE)


@pytest.mark.parametrize("model", MODELS)
def test_something_is_reused(engines: tuple[Engine, Engine], model: str) -> None:
    first: Talk = [(" ".join(WORDS * 3), [0], "never")]
    ask(engines[0], model, first)
    again = ask(engines[0], model, [*first, ("and now", [1], "")])
    assert again.finished is not None
    assert again.finished.usage.cached_tokens > 30
