"""Prefill of one prompt without images, in chunks."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from core.mlx.decoding.scratch import release_scratch
from core.mlx.prompt.inputs import Inputs, as_array


class TextPrefill:
    """The language model over one prompt without images; `cache` holds its first `done` tokens.

    `done` starts at `reused` when `cache` came from another row.
    """

    indivisible = 0
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
