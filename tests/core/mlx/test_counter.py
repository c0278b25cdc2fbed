"""Prompts are counted without the MLX thread and without weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.calls.events import Loading
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool
from core.engine import Engine
from core.errors import ContextOverflow, EngineClosed, InvalidRequest
from core.mlx.models.lexicon import lexicons
from core.mlx.prompt import token_counts
from core.settings import Settings
from core.status import Notice, NoticeKind
from tests.pictures import png

TEXT, VISION = "pocket/qwen3", "pocket/gemma3"


def request(text: str, model: str = TEXT) -> GenerationRequest:
    asked = (Message.text(Role.USER, text),)
    return GenerationRequest(model, asked, sampling=Sampling(temperature=0, max_tokens=4))


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """One that has loaded nothing."""
    with Engine(settings) as engine:
        yield engine


@pytest.mark.parametrize("model", [TEXT, VISION])
def test_a_model_on_disk_counts_and_refuses_without_being_loaded(engine: Engine, model: str) -> None:
    notices: list[Notice] = []
    engine.listen(notices.append)
    counted = engine.count_tokens(request("word " * 24_001, model)).result(60).tokens
    assert counted > 24_001
    with pytest.raises(ContextOverflow, match=f"has {counted} tokens"):
        engine.generate(request("word " * 24_001, model)).result()
    assert engine.status().models == ()
    assert not [notice for notice in notices if notice.kind is NoticeKind.MODEL_LOADING]


@pytest.mark.parametrize("images", [1, 3])
def test_images_are_counted_by_their_sizes_and_without_weights(engine: Engine, images: int) -> None:
    pictures = [png("red", (300, 40 + 200 * place)) for place in range(images)]
    asked = GenerationRequest(VISION, (Message.text(Role.USER, "What is this?", *pictures),))
    counted = engine.count_tokens(asked).result(60).tokens
    assert engine.status().models == ()
    answer = engine.generate(replace(asked, sampling=Sampling(temperature=0, max_tokens=1))).result()
    assert answer.finished is not None
    assert answer.finished.usage.prompt_tokens == counted


def test_images_that_overflow_are_told_with_their_number_before_the_model_is_loaded(engine: Engine) -> None:
    window = engine.catalog.get(VISION).context_length
    assert window is not None
    few = GenerationRequest(VISION, (Message.text(Role.USER, "word " * (window - 99), png("red")),))
    many = GenerationRequest(VISION, (Message.text(Role.USER, "Hi", *[png("red")] * 1_000),))
    counted = engine.count_tokens(few).result(60).tokens
    for asked, told in ((few, f"has {counted} tokens"), (many, "has at least")):
        with pytest.raises(ContextOverflow, match=told):
            engine.generate(asked).result()
    assert engine.status().models == ()


def test_what_cannot_be_read_is_told_before_the_model_is_loaded(engine: Engine) -> None:
    for wrong in (GenerationRequest(TEXT, prompt=""), GenerationRequest(TEXT)):
        with pytest.raises(InvalidRequest, match="empty"):
            engine.generate(wrong).result()
    assert engine.status().models == ()


def test_an_answer_has_as_many_tokens_as_were_counted_before(engine: Engine) -> None:
    for model in (TEXT, VISION):
        counted = engine.count_tokens(request("Hello!", model)).result(60).tokens
        finished = engine.generate(request("Hello!", model)).result().finished
        assert finished is not None
        assert finished.usage.prompt_tokens == counted
        assert engine.count_tokens(request("Hello!", model)).result(60).tokens == counted


def test_counting_waits_for_nothing_that_the_mlx_thread_does(engine: Engine) -> None:
    engine.count_tokens(request("Hi")).result(60)
    held, go_on = threading.Event(), threading.Event()

    def hold(notice: Notice) -> None:
        held.set()
        go_on.wait(60)

    end = engine.listen(hold)
    engine.load(TEXT)
    assert held.wait(60)
    try:
        assert engine.count_tokens(request("word " * 62_000)).result(60).tokens > 62_000
    finally:
        end()
        go_on.set()


def test_prompts_of_a_model_that_is_not_loaded_keep_their_order(engine: Engine) -> None:
    answers = [engine.generate(request("word " * 3_000)), *(engine.generate(request("Hi")) for _ in range(20))]
    assert isinstance(next(iter(answers[0])), Loading)
    answers[0].cancel()
    assert all(answer.result().finished is not None for answer in answers)


def test_a_prompt_that_hardly_fits_holds_up_no_other_of_its_model(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold(*args: object) -> None:
        held.set()
        assert go_on.wait(60)

    monkeypatch.setattr(token_counts, "refuse_vast", lambda asked, lexicon: hold() if asked.tools else None)
    tool = Tool("f", "word " * 20_000)
    long = engine.generate(GenerationRequest(TEXT, (Message.text(Role.USER, "Hi"),), tools=(tool,)))
    assert held.wait(60)
    try:
        for _ in range(2):
            assert engine.generate(request("Hi")).result().finished is not None
            assert not long.done
    finally:
        go_on.set()
    with pytest.raises(ContextOverflow):
        long.result()


def test_an_engine_that_closes_answers_who_waits_for_a_count(engine: Engine) -> None:
    counts = [engine.count_tokens(request("word " * 400_000)) for _ in range(4)]
    answer = engine.generate(request("word " * 400_000))
    engine.close()
    for ends in (answer.result, *(count.result for count in counts)):
        with pytest.raises(EngineClosed):
            ends()
    with pytest.raises(EngineClosed):
        engine.count_tokens(request("Hi"))


def test_the_tokenizer_of_a_count_is_the_loaded_models(engine: Engine) -> None:
    info = engine.catalog.get(TEXT)
    engine.count_tokens(request("Hi")).result(60)
    found = lexicons.take(info, allow_code=False)
    assert found is not None
    assert lexicons.take(info, allow_code=False) is found
    vision = engine.catalog.get(VISION)
    engine.count_tokens(request("Hi", VISION)).result(60)
    with lexicons.using(vision, allow_code=False):
        assert lexicons.take(vision, allow_code=False) is None
    assert lexicons.take(vision, allow_code=False) is not None
    assert lexicons.take(vision, allow_code=False) is None
