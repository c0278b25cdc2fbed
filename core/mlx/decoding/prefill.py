"""Prompts on their way into the batch: how they are prefilled a chunk at a time, and whose turn it is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from core.mlx.decoding.row import Row
from core.mlx.decoding.scratch import release_scratch
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.prompt.inputs import Inputs, as_array

OLDEST_EVERY = 4
"""Of so many chunks, one goes to the oldest prompt and the others to the one with the least left: a short prompt
overtakes a long one, and no stream of short ones keeps a long one waiting for ever."""


class TextPrefill:
    """The language model over one prompt without images; `cache` holds its first `done` tokens.

    `done` starts at `reused` when `cache` came from another row.
    """

    together = 0
    """As of `VisionPrefill`: no token of text sees later ones."""

    def __init__(self, decoder: Any, inputs: Inputs, cache: list[Any] | None, reused: int) -> None:
        self.cache: list[Any] = cache if cache is not None else make_prompt_cache(decoder)
        self.done = reused
        self._decoder = decoder
        self._tokens = as_array(inputs.tokens)

    def step(self, chunk: int, boundary: int = 0) -> bool:
        """Process `chunk` tokens, not beyond `boundary`, so that the cache can be copied there; True when only the
        prompt's last token is left."""
        last = self._tokens.shape[1] - 1
        end = min(self.done + chunk, last)
        if self.done < boundary < end:
            end = boundary
        self._decoder(self._tokens[:, self.done : end], cache=self.cache)
        mx.eval([layer.state for layer in self.cache])
        self.done = end
        release_scratch()
        return self.done == last


@dataclass(eq=False)
class Entrant:
    """An admitted row that is not in the batch yet; `work` is None while the prefill of another row is awaited."""

    row: Row
    inputs: Inputs
    work: TextPrefill | VisionPrefill | None = None
    recall: Generator[None, None, None] | None = None
    """Reads what is on disk of the prompt, before `work` begins."""
    finished: bool = False
    """Nothing is left for `work` to do."""

    @property
    def left(self) -> int:
        """Prompt tokens still to be prefilled, without the last, which is the batch's to read."""
        return self.inputs.length - 1 - (self.work.done if self.work else 0)

    def may_join(self, chunk: int) -> bool:
        """Whether BatchGenerator can do the rest, without going over a chunk."""
        return self.finished or (isinstance(self.work, TextPrefill) and self.left <= chunk)


def next_group(entrants: Sequence[Entrant], chunk: int, rows: int) -> list[Entrant]:
    """The first entrants, `rows` at most, whose rests fit one chunk together, each padded to the longest of them."""
    group: list[Entrant] = []
    widest = 1
    for entrant in entrants:
        if len(group) == rows or not entrant.may_join(chunk):
            continue
        width = max(widest, entrant.left)
        if not group or (len(group) + 1) * width <= chunk:
            group.append(entrant)
            widest = width
    return group


def next_alone(entrants: Sequence[Entrant], chunk: int, turn: int) -> Entrant | None:
    """Whose prompt gets the chunk number `turn`, of those that the batch cannot take; None when there are none."""
    waiting = [entrant for entrant in entrants if entrant.work is not None and not entrant.may_join(chunk)]
    if not waiting:
        return None
    return waiting[0] if turn % OLDEST_EVERY == 0 else min(waiting, key=lambda entrant: entrant.left)
