"""mlx-lm itself beside the engine, on the same folder: what an answer should be."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

SOME = """this call like city name tool weather have answer capital know that function help model small result very word
with number color time what year remember current from need today look before text found"""
WORDS = SOME.split()


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

    def continued(self, prompt: str, answer: Sequence[int]) -> list[tuple[int, float]]:
        """What it would say at each token of `answer` to the prompt, as `answer` does: all of it read at once, which
        takes a tenth of the time."""
        import mlx.core as mx
        import mlx.nn as nn
        from mlx_lm.models.cache import make_prompt_cache

        tokens = [*self.tokenizer.encode(prompt), *answer[:-1]]
        logits = self.model(mx.array([tokens]), cache=make_prompt_cache(self.model))[0, -len(answer) :]
        logits[:, mx.array(list(self.bias))] += mx.array(list(self.bias.values()))
        best = mx.argmax(logits, axis=-1)
        known = mx.take_along_axis(nn.log_softmax(logits, axis=-1), best[:, None], axis=-1)[:, 0]
        return list(zip(best.tolist(), known.tolist(), strict=True))

    @cached_property
    def bias(self) -> dict[int, float]:
        """Answers in words that are tokens, so that the next prompt repeats an answer token by token."""
        ids = self.tokenizer.encode(" " + " ".join(WORDS))
        assert len(ids) == len(WORDS)
        return dict.fromkeys(ids, 30.0)

    def chat(self, *turns: str, system: str | None = None) -> str:
        """The prompt of a conversation in which the user speaks first."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        text: str = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return text


def words(count: int, seed: int) -> str:
    """A text of `count` tokens that begins as no other does."""
    choose = random.Random(seed)
    return "".join(f" {choose.choice(WORDS)}" for _ in range(count))
