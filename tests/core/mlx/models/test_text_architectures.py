"""Each architecture through the engine, alone, in company and over several turns: the tokens of bare mlx-lm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from core.calls.events import GenerationResult, TextDelta
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.calls.scoring import Conditions, Score, ScoreRequest
from core.catalog import Catalog, ModelKind
from core.engine import Engine
from core.settings import Settings
from tests.core.mlx.models.bare import Bare, words
from tests.tiny.text_shapes import ARCHITECTURES
from tests.tiny.texts import make_text_model

CHUNK = 32
TOLERANCE = 2e-3
QUANTISED = "qwen3-4bit"
ONE_BY_ONE = {"afm7", "deepseek_v41", "gemma2", "llama4", "longcat_flash_ngram"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    (folder / "cache").mkdir()
    (folder / "models").mkdir()
    settings = Settings(
        model_folders=[folder / "models"],
        hf_cache=folder / "cache",
        data_dir=folder,
        prefill_chunk=CHUNK,
        prefill_ms=0,
        max_batch=6,
        cache_budget_gb=0.5,
    )
    with Engine(settings) as engine:
        engine.ready().result()
        yield engine


WIDE = frozenset(
    [
        "baichuan_m1",
        "cohere2",
        "exaone4",
        "falcon_h1",
        "gemma2",
        "glm4_moe_lite",
        "jamba",
        "phi3",
        "mistral",
        "ministral3",
        "mixtral",
        "qwen2",
        "qwen3_moe",
        "glm4",
        "glm4_moe",
        "granite",
        "granitemoehybrid",
        "olmo3",
        "olmoe",
        "smollm3",
        "ernie4_5",
        "hunyuan_v1_dense",
        "seed_oss",
        "afm7",
        "afmoe",
        "iquestloopcoder",
        "mimo_v2_flash",
        "step3p5",
        "bailing_hybrid",
        "lfm2_moe",
        "glm_moe_dsa",
        "longcat_flash_ngram",
        "deepseek_v32",
        "minimax",
        "plamo2",
        "olmo_hybrid",
    ]
)
"""Whose layers and caches are of a kind that another one has: `uv run pytest -m wide` asks them as well."""


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.wide] * (name in WIDE)) for name in (*ARCHITECTURES, QUANTISED)]
)
def name(request: pytest.FixtureRequest, engine: Engine, folder: Path) -> Iterator[str]:
    name: str = request.param
    architecture, _, bits = name.partition("-")
    if not (folder / "models" / name).exists():  # the test of all of them may have come here first
        make_text_model(architecture, folder / "models" / name, 4 if bits else None)
    engine.catalog.refresh()
    yield name
    engine.unload(name).result()


def agree(result: GenerationResult, expected: Sequence[tuple[int, float]], label: str) -> None:
    ours = [(entry.token_id, entry.logprob) for entry in result.logprobs]
    assert [token for token, _ in ours] == [token for token, _ in expected], label
    for (_, got), (_, wanted) in zip(ours, expected, strict=True):
        assert got == pytest.approx(wanted, abs=TOLERANCE), label


def goes_on(result: GenerationResult, bare: Bare, prompt: str, tokens: int, label: str) -> None:
    """The answer is what the library says token by token, when it reads all of it at once."""
    assert len(result.logprobs) == tokens, label
    agree(result, bare.continued(prompt, [entry.token_id for entry in result.logprobs]), label)


def cached(result: GenerationResult) -> int:
    assert result.finished is not None
    return result.finished.usage.cached_tokens


def until_text(generation: Generation) -> GenerationResult:
    """Read until the first text has come."""
    read = GenerationResult()
    for event in generation:
        read.add(event)
        if isinstance(event, TextDelta):
            break
    return read


def rest(generation: Generation, read: GenerationResult) -> GenerationResult:
    for event in generation:
        read.add(event)
    return read


def test_an_architecture_answers_as_mlx_lm_does(name: str, engine: Engine, folder: Path) -> None:
    from mlx_lm import load

    bare = Bare(*load(str(folder / "models" / name))[:2])

    def ask(prompt: str, tokens: int = 5) -> Generation:
        sampling = Sampling(temperature=0.0, max_tokens=tokens, logprobs=0, logit_bias=bare.bias)
        return engine.generate(GenerationRequest(name, prompt=prompt, sampling=sampling))

    # Alone, then on from there: the whole of it is reused.
    opening = words(70, 1)
    alone = ask(opening, 16)
    expected = bare.answer(opening, 16)
    agree(first := alone.result(), expected, "alone")
    later = f"{opening} {first.text.strip()}{words(9, 2)}"
    onward = ask(later).result()
    assert cached(onward) >= 70 + 15
    goes_on(onward, bare, later, 5, "follow-up")

    # The same answer given, and scored: at once as token by token, beside itself, and beside longer and shorter ones.
    ids, asked = tuple(token for token, _ in expected), GenerationRequest(name, prompt=opening)

    def scored(count: int = 24, **conditions: Any) -> Future[Score]:
        return engine.score(ScoreRequest(asked, ids[:count], conditions=Conditions(**conditions)))

    wanted = [token.logprob for token in scored(rows=1, kept=False, pace=1).result().tokens]
    given = [(24, scored(rows=1)), (24, scored(rows=3)), *((count, scored(count)) for count in (24, 5, 17))]
    for count, future in given:
        told = [token.logprob for token in future.result().tokens]
        assert told == pytest.approx(wanted[:count], abs=TOLERANCE), "scored"

    # Five that share a batch, if the model can: three join while two are decoded.
    prompts = [words(count, 10 + count) for count in (5, 100, 33, 1, 64)]
    early = [ask(prompt, 8) for prompt in prompts[:2]]
    read = until_text(early[0])
    late = [ask(prompt, 8) for prompt in prompts[2:]]
    results = [rest(early[0], read), *[generation.result() for generation in (*early[1:], *late)]]
    for prompt, result in zip(prompts, results, strict=True):
        goes_on(result, bare, prompt, 8, f"one of five, {len(prompt.split())} tokens")
    together = max(result.finished.timing.batch_size for result in results if result.finished)
    assert together == 1 if name in ONE_BY_ONE else together > 1

    # A request that is cancelled, and asked again.
    prompt = words(75, 3)
    dropped = ask(prompt, 200)
    until_text(dropped)
    dropped.cancel()
    again = ask(prompt)
    goes_on(again.result(), bare, prompt, 5, "retry")

    # Two at once whose prompts begin alike.
    pair = [words(80, 4) + words(count, 5 + count) for count in (7, 12)]
    handles = [ask(prompt) for prompt in pair]
    for handle, prompt in zip(handles, pair, strict=True):
        goes_on(handle.result(), bare, prompt, 5, "shared prefix")

    # A conversation, whose second turn departs before the answer's first token.
    sampling = Sampling(temperature=0.0, max_tokens=6, logprobs=0, logit_bias=bare.bias)
    turns = (words(60, 6), "An answer in other words.", words(5, 7))
    for count in (1, 3):
        messages = [Message.text((Role.USER, Role.ASSISTANT)[i % 2], text) for i, text in enumerate(turns[:count])]
        result = engine.generate(GenerationRequest(name, tuple(messages), sampling=sampling)).result()
        goes_on(result, bare, bare.chat(*turns[:count]), 6, f"turn of {count} messages")
    assert cached(result) >= 60


@pytest.mark.parametrize("architecture", ["qwen3_next", "gpt_oss", "nemotron_h", "llama4", "qwen3"])
def test_a_system_prompt_is_prefilled_once_for_all_conversations(
    architecture: str, engine: Engine, folder: Path
) -> None:
    """Windows and recurrent states cannot be cut back to it, so a copy is left there."""
    from mlx_lm import load

    name = f"{architecture}-system"
    bare = Bare(*load(str(make_text_model(architecture, folder / "models" / name)))[:2])
    engine.catalog.refresh()
    system = words(90, 8)
    sampling = Sampling(temperature=0.0, max_tokens=6, logprobs=0, logit_bias=bare.bias)

    def ask(question: str) -> Generation:
        messages = (Message.text(Role.SYSTEM, system), Message.text(Role.USER, question))
        return engine.generate(GenerationRequest(name, messages, sampling=sampling))

    questions = [words(count, count) for count in (110, 45, 50)]
    asked = [ask(question) for question in (*questions, questions[0])]  # the last two find others at it
    results = [generation.result() for generation in asked]
    for question, result in zip((*questions, questions[0]), results, strict=True):
        goes_on(result, bare, bare.chat(question, system=system), 6, question)
    assert cached(results[0]) == 0
    assert all(cached(result) >= 90 for result in results[1:])
    assert cached(results[-1]) >= 200
    engine.unload(name).result()


def test_the_catalog_tells_their_kind_and_memory(folder: Path) -> None:
    settings = Settings(model_folders=[folder / "models"], hf_cache=folder / "cache", data_dir=folder)
    for name in ARCHITECTURES:
        if not (folder / "models" / name).exists():
            make_text_model(name, folder / "models" / name)
    for info in Catalog(settings).list(all=True):
        if info.source == "pocket":
            continue
        assert info.kind is ModelKind.TEXT, info.id
        assert info.problem is None, info.id
        assert info.memory is not None, info.id
        assert info.memory.weights > 0
