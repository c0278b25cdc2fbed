"""Prefill of one prompt with images: the vision tower once for an image, then the language model in chunks."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx_vlm.generate.common import _chunked_prefill_enabled

from core.mlx.image_rows import ImageRows
from core.mlx.inputs import Inputs, as_array
from core.mlx.scratch import release_scratch
from core.mlx.vision_decoder import RopeOffset, VisionDecoder

SELF_CONTAINED = {"inputs_embeds", "position_ids", "rope_deltas", "attention_mask_4d"}
"""With nothing but these from `get_input_embeddings`, the rows of an image depend on that image alone."""


class VisionPrefill:
    """Call `step` until it returns True; then `cache` holds all prompt tokens but the last, ready for the batch.

    `rows` are kept under the model's `name`. `done` counts the tokens in the cache; it starts at `reused` when `cache`
    came from the prefix cache.
    """

    def __init__(
        self,
        decoder: VisionDecoder,
        model: Any,
        inputs: Inputs,
        chunk: int,
        rows: ImageRows,
        name: str,
        cache: list[Any] | None = None,
        reused: int = 0,
    ) -> None:
        self.inputs = inputs
        self.cache = cache if cache is not None else decoder.make_cache()
        self.done = reused
        self._decoder = decoder
        self._model = model
        self._chunk = chunk
        self._rows = rows
        self._name = name
        self._tokens = as_array(inputs.tokens)
        self._embeddings: mx.array | None = None
        self._more: dict[str, Any] = {}

    def step(self, boundary: int = 0) -> bool:
        """Encode the images on the first call, process one chunk on each later one; True when nothing is left.

        A chunk never crosses `boundary`, so that the cache can be copied there.
        """
        last = self._tokens.shape[1] - 1
        if self._embeddings is None:
            self._encode()
            return self.done == last
        end = min(self.done + self._chunk, last)
        if self.done < boundary < end:
            end = boundary
        self._decoder.prefill(
            self._tokens[:, self.done : end], self._embeddings[:, self.done : end], self.cache, self._more
        )
        self.done = end
        release_scratch()
        return self.done == last

    def _encode(self) -> None:
        features = dict(self.inputs.features or {})
        pixels = features.pop("pixel_values", None)
        mask = features.pop("attention_mask", None)
        known = self._known_rows()
        if known is not None:
            self._embeddings, extra = self._assemble(known, features, mask)
        else:
            found = self._model.get_input_embeddings(self._tokens, pixels, mask=mask, **features)
            self._embeddings = found.inputs_embeds
            extra = {name: value for name, value in found.to_dict().items() if value is not None}
            if extra.keys() <= SELF_CONTAINED:
                for start, end in self.inputs.runs:
                    self._rows.put(self._name, self.inputs.key[start], self._embeddings[0, mx.arange(start, end)])
        extra.pop("inputs_embeds", None)
        deltas = extra.pop("rope_deltas", None)
        self.cache[-1] = RopeOffset(None if deltas is None else mx.array(deltas).reshape(-1).astype(mx.int32))
        self._more = {**features, **extra}
        mx.eval(self._embeddings, self.cache[-1].state)
        if not _chunked_prefill_enabled(
            self._model,
            input_ids=self._tokens,
            inputs_embeds=self._embeddings,
            prompt_cache=self.cache[:-1],
            prefill_kwargs=self._more,
        ):
            self._chunk = self._tokens.shape[1]

    def _known_rows(self) -> list[tuple[int, mx.array]] | None:
        """(start, rows) of every image that is still to be prefilled, or None when one of them is new."""
        found: list[tuple[int, mx.array]] = []
        for start, end in self.inputs.runs:
            if end <= self.done:
                continue
            rows = self._rows.get(self._name, self.inputs.key[start])
            if rows is None or rows.shape[0] != end - start:
                return None
            found.append((start, rows))
        return found if self._rows.trusts(self._name) else None

    def _assemble(
        self, known: list[tuple[int, mx.array]], features: dict[str, Any], mask: Any
    ) -> tuple[mx.array, dict[str, Any]]:
        """The prompt's embeddings without a run of the vision tower, and its positions where the model has its own."""
        embeddings = self._model.get_input_embeddings(self._tokens, None).inputs_embeds
        for start, rows in known:
            embeddings[0, start : start + rows.shape[0]] = rows
        extra: dict[str, Any] = {}
        language_model = self._decoder.language_model
        if hasattr(language_model, "get_rope_index"):
            grids = (features.get("image_grid_thw"), features.get("video_grid_thw"))
            extra["position_ids"], extra["rope_deltas"] = language_model.get_rope_index(self._tokens, *grids, mask)
        return embeddings, extra
