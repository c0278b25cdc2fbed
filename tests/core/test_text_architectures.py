"""Each architecture through the engine, alone, in company and over several turns: the tokens of bare mlx-lm."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.catalog import Catalog, ModelKind
from core.engine import Engine
from core.events import GenerationResult, TextDelta
from core.generation import Generation
from core.requests import GenerationRequest, Message, Role, Sampling
from core.settings import Settings
from tests.core.tiny_texts import ARCHITECTURES, make_text_model

CHUNK = 32
SOME = """this call like city name tool weather have answer capital know that function help model small result very word
with number color time what year remember current from need today look before text found"""
WORDS = SOME.split()
TOLERANCE = 2e-3
QUANTISED = "qwen3-4bit"
ONE_BY_ONE = {"afm7", "deepseek_v41", "gemma2", "llama4", "longcat_flash_ngram"}


@dataclass
class Bare:
    """mlx-lm itself, on the same folder."""

    model: Any
    tokenizer: Any

    def answer(self, prompt: str, tokens: int) -> list[tuple[int, float]]:
        """Token ids and their log-probabilities."""
        from mlx_lm import stream_generate
        from mlx_lm.sample_utils import make_logits_processors

        found = stream_generate(
            self.model,
            self.tokenizer,
            self.tokenizer.encode(prompt),
            max_tokens=tokens,
            logits_processors=make_logits_processors(self.bias),
        )
        return [(response.token, float(response.logprobs[response.token])) for response in found]

    @property
    def bias(self) -> dict[int, float]:
        """Answers in words that are tokens, so that the next prompt repeats an answer token by token."""
        ids = self.tokenizer.encode(" " + " ".join(WORDS))
        assert len(ids) == len(WORDS)
        return dict.fromkeys(ids, 30.0)

    def chat(self, *turns: str) -> str:
        """The prompt of a conversation in which the user speaks first."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
        text: str = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return text


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
        max_batch=6,
        cache_budget_gb=0.5,
    )
    with Engine(settings) as engine:
        engine.ready().result()
        yield engine


@pytest.fixture(params=[*ARCHITECTURES, QUANTISED])
def name(request: pytest.FixtureRequest, engine: Engine, folder: Path) -> Iterator[str]:
    name: str = request.param
    architecture, _, bits = name.partition("-")
    make_text_model(architecture, folder / "models" / name, 4 if bits else None)
    engine.catalog.refresh()
    yield name
    engine.unload(name).result()


def words(count: int, seed: int) -> str:
    """A text of `count` tokens that begins as no other does."""
    choose = random.Random(seed)
    return "".join(f" {choose.choice(WORDS)}" for _ in range(count))


def agree(result: GenerationResult, expected: Sequence[tuple[int, float]], label: str) -> None:
    ours = [(entry.token_id, entry.logprob) for entry in result.logprobs]
    assert [token for token, _ in ours] == [token for token, _ in expected], label
    for (_, got), (_, wanted) in zip(ours, expected, strict=True):
        assert got == pytest.approx(wanted, abs=TOLERANCE), label


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

    def ask(prompt: str, tokens: int = 8) -> Generation:
        sampling = Sampling(temperature=0.0, max_tokens=tokens, logprobs=0, logit_bias=bare.bias)
        return engine.generate(GenerationRequest(name, prompt=prompt, sampling=sampling))

    # Alone, then on from there: the whole of it is reused.
    opening = words(70, 1)
    alone = ask(opening, 32)
    expected = bare.answer(opening, 32)
    agree(first := alone.result(), expected, "alone")
    later = f"{opening} {first.text.strip()}{words(9, 2)}"
    onward = ask(later).result()
    assert cached(onward) >= 70 + 31
    agree(onward, bare.answer(later, 8), "follow-up")

    # Five that share a batch, if the model can: three join while two are decoded.
    prompts = [words(count, 10 + count) for count in (5, 100, 33, 1, 64)]
    early = [ask(prompt, 14) for prompt in prompts[:2]]
    read = until_text(early[0])
    late = [ask(prompt, 14) for prompt in prompts[2:]]
    answers = [bare.answer(prompt, 14) for prompt in prompts]
    results = [rest(early[0], read), *[generation.result() for generation in (*early[1:], *late)]]
    for prompt, result, answer in zip(prompts, results, answers, strict=True):
        agree(result, answer, f"one of five, {len(prompt.split())} tokens")
    together = max(result.finished.timing.batch_size for result in results if result.finished)
    assert together == 1 if name in ONE_BY_ONE else together > 1

    # A request that is cancelled, and asked again.
    prompt = words(75, 3)
    dropped = ask(prompt, 200)
    until_text(dropped)
    dropped.cancel()
    again = ask(prompt)
    agree(again.result(), bare.answer(prompt, 8), "retry")

    # Two at once whose prompts begin alike.
    pair = [words(80, 4) + words(count, 5 + count) for count in (7, 12)]
    handles = [ask(prompt) for prompt in pair]
    for handle, answer in zip(handles, [bare.answer(prompt, 8) for prompt in pair], strict=True):
        agree(handle.result(), answer, "shared prefix")

    # A conversation, whose second turn departs before the answer's first token.
    sampling = Sampling(temperature=0.0, max_tokens=6, logprobs=0, logit_bias=bare.bias)
    turns = (words(60, 6), "An answer in other words.", words(5, 7))
    for count in (1, 3):
        messages = [Message.text((Role.USER, Role.ASSISTANT)[i % 2], text) for i, text in enumerate(turns[:count])]
        result = engine.generate(GenerationRequest(name, tuple(messages), sampling=sampling)).result()
        agree(result, bare.answer(bare.chat(*turns[:count]), 6), f"turn of {count} messages")
    assert cached(result) >= 60


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
