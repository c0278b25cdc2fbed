"""Sliding windows: a turn that has slid past its window is still reused, whatever became of its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.settings import Settings
from tests.benchmarks.models import Shape, make_model
from tests.pictures import png

WINDOW = 48
MODEL = Shape("windowed", "gemma3", {"text_config": {"sliding_window": WINDOW}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windowed")
    for name in ("models", "cache"):
        (folder / name).mkdir()
    make_model(MODEL, folder / "models")
    return folder


def engine(folder: Path, cache_budget_gb: float) -> Engine:
    settings = Settings(
        model_folders=[folder / "models"],
        hf_cache=folder / "cache",
        data_dir=folder,
        prefill_chunk=32,
        prefill_ms=0,
        cache_budget_gb=cache_budget_gb,
    )
    return Engine(settings)


def ask(engine: Engine, *turns: Message) -> GenerationResult:
    sampling = Sampling(temperature=0.0, max_tokens=6, logprobs=0)
    return engine.generate(GenerationRequest(MODEL.name, turns, sampling=sampling)).result()


@pytest.mark.parametrize("with_image", [False, True])
def test_a_follow_up_to_an_edited_answer_prefills_only_what_is_new(folder: Path, with_image: bool) -> None:
    images = [png("red")] if with_image else []
    first = Message.text(Role.USER, "the cat walks over the small red house and sees a tree " * 6, *images)
    turns = (first, Message.text(Role.ASSISTANT, "an answer in other words"), Message.text(Role.USER, "and then?"))
    with engine(folder, 1.0) as reusing:
        opened = ask(reusing, first).finished
        reused = ask(reusing, *turns)
    with engine(folder, 0.0) as forgetful:
        fresh = ask(forgetful, *turns)
    assert opened is not None
    assert reused.finished is not None
    assert opened.usage.prompt_tokens > 2 * WINDOW
    assert reused.finished.usage.cached_tokens >= opened.usage.prompt_tokens - 1
    assert [entry.token_id for entry in reused.logprobs] == [entry.token_id for entry in fresh.logprobs]
    for ours, theirs in zip(reused.logprobs, fresh.logprobs, strict=True):
        assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-4)
