"""The prompt of an answer that is to be scored, as the queue and the prefill stage know it, and the answer's tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import Any

from core.calls.events import Event
from core.calls.generation import Generation
from core.calls.requests import Sampling
from core.calls.scoring import Scoring
from core.errors import ContextOverflow, EngineError, InvalidRequest
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import aside
from core.mlx.models.too_long import maximum
from core.mlx.prompt.inputs import NEIGHBOURHOOD, Inputs


class ScoredPrompt(Generation):
    """One model's part of a request for a score. What ends it ends the request, and nobody reads its events."""

    def __init__(self, scoring: Scoring, model: str) -> None:
        self.scoring = scoring
        self.prompt_sha256 = self.vocabulary_sha256 = ""
        expected = Sampling(max_tokens=len(scoring.request.answer))  # a text has fewer tokens than characters
        super().__init__(replace(scoring.request.prompt, model=model, sampling=expected), _by_its_request)

    @property
    def admitted(self) -> bool:
        return self.scoring.admitted

    @admitted.setter
    def admitted(self, value: bool) -> None:
        self.scoring.admitted = value

    @property
    def done(self) -> bool:
        return self.scoring.done

    def feed(self, event: Event) -> None:
        """Nobody reads it."""

    def fail(self, error: EngineError) -> None:
        self.scoring.fail(error)


def _by_its_request(work: Any) -> None:
    """A part is not cancelled by itself."""


def read_answer(
    prompt: ScoredPrompt, inputs: Inputs, loaded: LoadedWeights
) -> Generator[None, None, tuple[tuple[int, ...], str]]:
    """The ids of the answer's tokens, and a digest of the model's vocabulary; yields as `aside` does.

    Raises InvalidRequest for ids that are none, ContextOverflow when prompt and answer do not fit the window.
    """
    answer, name = prompt.scoring.request.answer, loaded.info.id
    tokens = _tokenized(answer, inputs, loaded) if isinstance(answer, str) else answer
    odd = next((token for token in tokens if not 0 <= token < loaded.vocabulary), None)
    if odd is not None:
        last = loaded.vocabulary - 1
        raise InvalidRequest(f"{odd} is no token of {name}, whose tokens are 0 to {last}.", "answer")
    if not tokens:
        raise InvalidRequest(f"The answer comes to no tokens of {name}: there is nothing to score.", "answer")
    window = loaded.context_length
    if (whole := inputs.length + len(tokens) - 1) > window:  # the last token is not read
        told = f"The prompt has {inputs.length} tokens and the answer {len(tokens)}, and {name} reads at most {window}."
        raise ContextOverflow(f"{told} {maximum(window)} Score a shorter answer.", whole, window, "answer")
    if not loaded.vocabulary_sha256:
        loaded.vocabulary_sha256 = yield from aside(partial(_digest, loaded.tokenizer._tokenizer))
    return tuple(tokens), loaded.vocabulary_sha256


def _tokenized(answer: str, inputs: Inputs, loaded: LoadedWeights) -> list[int]:
    """The tokens of a text where the prompt ends: some tokenizers begin a text of its own with a space."""
    encode = partial(loaded.tokenizer.encode, add_special_tokens=False)
    before = inputs.prompt.text[-NEIGHBOURHOOD:]
    prompt, whole = encode(before), encode(before + answer)
    if whole[: len(prompt)] == prompt and len(whole) > len(prompt):
        return list(whole[len(prompt) :])
    return list(encode(answer))


def _digest(tokenizer: Any) -> str:
    """Of every token with its id; the same for copies of a model whose files were written by different programs."""
    digest = hashlib.sha256()
    for token, number in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]):
        digest.update(f"{number} {token!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
