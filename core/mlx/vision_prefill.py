"""Prefill of one prompt with images: the vision tower once, then the language model in chunks."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx_vlm.generate.common import _chunked_prefill_enabled

from core.mlx.inputs import Inputs, as_array
from core.mlx.vision_decoder import RopeOffset, VisionDecoder


class VisionPrefill:
    """Call `step` until it returns True; then `cache` holds all prompt tokens but the last, ready for the batch.

    `done` counts the tokens processed.
    """

    def __init__(self, decoder: VisionDecoder, model: Any, inputs: Inputs, chunk: int) -> None:
        self.inputs = inputs
        self.cache = decoder.make_cache()
        self.done = 0
        self._decoder = decoder
        self._model = model
        self._chunk = chunk
        self._tokens = as_array(inputs.tokens)
        self._embeddings: mx.array | None = None
        self._more: dict[str, Any] = {}

    def step(self) -> bool:
        """Encode the images on the first call, process one chunk on each later one; True when nothing is left."""
        if self._embeddings is None:
            self._encode()
            return self._tokens.shape[1] == 1
        count = min(self._chunk, self._tokens.shape[1] - 1 - self.done)
        end = self.done + count
        self._decoder.prefill(
            self._tokens[:, self.done : end], self._embeddings[:, self.done : end], self.cache, self._more
        )
        self.done = end
        mx.clear_cache()
        return self.done == self._tokens.shape[1] - 1

    def _encode(self) -> None:
        features = dict(self.inputs.features or {})
        pixels = features.pop("pixel_values", None)
        mask = features.pop("attention_mask", None)
        found = self._model.get_input_embeddings(self._tokens, pixels, mask=mask, **features)
        self._embeddings = found.inputs_embeds
        extra = {
            name: value for name, value in found.to_dict().items() if name != "inputs_embeds" and value is not None
        }
        self._more = {**features, **extra}
        deltas = self._more.pop("rope_deltas", None)
        if deltas is not None:
            self.cache[-1] = RopeOffset(mx.array(deltas).reshape(-1).astype(mx.int32))
        mx.eval(self._embeddings, self.cache[-1].state)
        if not _chunked_prefill_enabled(
            self._model,
            input_ids=self._tokens,
            inputs_embeds=self._embeddings,
            prompt_cache=self.cache[:-1],
            prefill_kwargs=self._more,
        ):
            self._chunk = self._tokens.shape[1]
