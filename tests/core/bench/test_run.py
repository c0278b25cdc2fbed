"""A real model measured through a real engine; what ends early keeps what it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.bench.plan import Wanted
from core.bench.prompts import image_of, text_of
from core.bench.run import Bench, ModelResult
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.catalog import Catalog
from core.engine import Engine
from core.errors import ContextOverflow
from core.figures.figure import BENCHMARK, Use
from core.figures.store import read_figures
from core.settings import Settings

SMALL = Wanted(prompts=(32, 300), rows=(1, 3), tokens=20, repeats=2)


@pytest.fixture
def engine(settings: Settings, tmp_path: Path) -> Iterator[Engine]:
    own = settings.model_copy(update={"data_dir": tmp_path / "data", "cache_budget_gb": 0.0})
    with Engine(own, Catalog(own)) as engine:
        yield engine


def test_a_vision_model_is_measured_and_every_counted_run_is_kept(engine: Engine) -> None:
    result, said = ModelResult("pocket/qwen2-vl"), []
    Bench(engine, SMALL, said.append).measure(result)
    assert result.error is None
    assert result.skipped == []
    assert [test.test.name for test in result.tests] == [
        *("32 tokens, 1 row", "32 tokens, 3 rows", "300 tokens, 1 row", "300 tokens, 3 rows"),
        *("an image, 1 row", "an image, 3 rows"),
    ]
    for test in result.tests:
        assert [len(run.ends) for run in test.runs] == [test.test.rows] * 2
        assert {end.usage.completion_tokens for end in test.ends} == {20}, "answers go on to their end"
        assert {end.usage.cached_tokens for end in test.ends} == {0}
        assert test.ttft is not None
        assert test.decode is not None
        assert test.decode.count == 2 * test.test.rows
        assert test.total is not None
        assert test.peak is not None
        assert test.peak > result.memory
        assert test.test.image or abs(test.prompt_tokens - test.test.prompt) <= 6
    assert "pocket/qwen2-vl: 32 tokens, 1 row, warm-up" in said
    assert (result.first_load_s or 0) > 0
    assert len(result.loads_s) == 1
    assert engine.status().models == ()
    engine.close()
    figures = [one.figure for one in read_figures(engine.settings.figures_file)]
    assert {one.source for one in figures} == {BENCHMARK}
    answers = [one for one in figures if one.use not in (Use.LOAD, Use.RELOAD)]
    assert len(answers) == sum(len(test.ends) for test in result.tests), "the warm-up leaves none"
    alone = [one.prefill_tps for one in answers if one.rows == 1 and one.use is Use.TEXT and one.prompt_tokens > 128]
    assert len(alone) == 2
    assert all(alone)


def test_a_model_that_cannot_be_measured_has_its_error(engine: Engine) -> None:
    result = ModelResult("no/model")
    Bench(engine, SMALL, lambda _: None).measure(result)
    assert result.error is not None
    assert "no/model" in result.error.message


def test_what_one_test_is_refused_is_left_out_and_the_others_go_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_all = engine.generate_all

    def refuse_three(requests: Sequence[GenerationRequest]) -> list[Generation]:
        if len(requests) == 3:
            raise ContextOverflow("It is too long.", 5000, 4096)
        return generate_all(requests)

    monkeypatch.setattr(engine, "generate_all", refuse_three)
    result = ModelResult("pocket/qwen3")
    Bench(engine, Wanted(prompts=(32,), rows=(3, 1), tokens=20, repeats=1), lambda _: None).measure(result)
    assert result.error is None
    assert [(one.test.name, one.why) for one in result.skipped] == [("32 tokens, 3 rows", "It is too long.")]
    assert [test.test.name for test in result.tests] == ["32 tokens, 1 row"]


def test_an_interruption_keeps_the_runs_before_it(engine: Engine) -> None:
    result = ModelResult("pocket/qwen3")

    def say(words: str) -> None:
        if "32 tokens, 1 row, run 2" in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Bench(engine, SMALL, say).measure(result)
    (test,) = result.tests
    assert len(test.runs) == 1
    assert test.decode is not None


def test_prompts_are_as_long_as_asked_and_none_begins_as_another(engine: Engine) -> None:
    texts = [text_of(engine, "pocket/qwen3", 200, seed) for seed in ("a", "b")]
    assert text_of(engine, "pocket/qwen3", 200, "a") == texts[0]
    assert texts[0].split()[:3] != texts[1].split()[:3]
    for text in texts:
        counted = engine.count_tokens(GenerationRequest("pocket/qwen3", prompt=text)).result().tokens
        assert abs(counted - 200) <= 4
    assert image_of("a").sha256 != image_of("b").sha256
