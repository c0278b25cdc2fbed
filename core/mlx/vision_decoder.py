"""mlx-vlm's language model in the shape that mlx-lm's BatchGenerator drives, so that both share one batching path.

mlx-vlm's own BatchGenerator has one sampler and one stop set for a whole batch, admits the shortest prompt first and
returns no cache. Here image prompts are prefilled row by row (their embeddings come from the vision tower) and join
mlx-lm's batch for decoding, where every row keeps its own sampler, stops and cache.
"""

from __future__ import annotations

from typing import Any, Self

import mlx.core as mx
from mlx_vlm.models.cache import make_prompt_cache


class RopeOffset:
    """Travels at the end of a row's cache list: how far the row's rotary positions run ahead of its token count.

    Models with multimodal rotary positions (the Qwen-VL family) give a whole image fewer positions than tokens. As a
    member of the cache list, the offsets are merged, filtered and extracted by BatchGenerator together with the KV.
    `values` has shape (rows,), int32.
    """

    def __init__(self, values: mx.array | None = None) -> None:
        self.values = mx.zeros((1,), mx.int32) if values is None else values

    @classmethod
    def from_state(cls, values: mx.array) -> Self:
        """As mlx-lm makes its caches of what `state` returned."""
        return cls(values)

    @classmethod
    def merge(cls, members: list[Self]) -> Self:
        return cls(mx.concatenate([member.values for member in members]))

    def extend(self, other: Self) -> None:
        self.values = mx.concatenate([self.values, other.values])

    def filter(self, keep: Any) -> None:
        self.values = self.values[mx.array(keep, mx.int32)]

    def extract(self, index: int) -> Self:
        return type(self)(self.values[index : index + 1])

    def prepare(self, **_: Any) -> None:
        """Padding does not concern the offsets."""

    def finalize(self) -> None:
        """As `prepare`."""

    def is_trimmable(self) -> bool:
        return True

    def trim(self, count: int) -> int:
        return count

    def size(self) -> int:
        return 0

    def empty(self) -> bool:
        return False

    @property
    def state(self) -> mx.array:
        return self.values

    @state.setter
    def state(self, values: mx.array) -> None:
        self.values = values

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes)


class VisionDecoder:
    """Callable as `decoder(tokens of shape (rows, n), cache=...)` -> logits of shape (rows, n, vocabulary)."""

    def __init__(self, model: Any) -> None:
        self.language_model = model.language_model
        self._multimodal_rope = hasattr(self.language_model, "get_rope_index")

    def make_cache(self) -> list[Any]:
        return [*make_prompt_cache(self.language_model), RopeOffset()]

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        layers, rope = cache[:-1], cache[-1]
        more: dict[str, Any] = {}
        if self._multimodal_rope:
            offset = mx.array(next(layer.offset for layer in layers if hasattr(layer, "offset")))
            start = mx.broadcast_to(offset.reshape(-1), rope.values.shape) + rope.values
            positions = start[:, None] + mx.arange(tokens.shape[1])[None]
            more["position_ids"] = mx.broadcast_to(positions[None], (3, *positions.shape))
        logits: mx.array = self.language_model(tokens, cache=layers, **more).logits
        return logits

    def prefill(self, tokens: mx.array, embeddings: mx.array, cache: list[Any], more: dict[str, Any]) -> None:
        """Process tokens (1, n) with their embeddings (1, n, hidden) into `cache`; `more` holds what
        `get_input_embeddings` returned besides (position ids of the whole prompt, ...)."""
        self.language_model(tokens, inputs_embeds=embeddings, cache=cache[:-1], n_to_process=tokens.shape[1], **more)
        mx.eval([layer.state for layer in cache[:-1]])
