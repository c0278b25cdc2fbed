"""mlx-vlm's language model in the shape that mlx-lm's BatchGenerator drives, so that both share one batching path.

mlx-vlm's own BatchGenerator has one sampler and one stop set for a whole batch, admits the shortest prompt first and
returns no cache. Here image prompts are prefilled row by row (their embeddings come from the vision tower) and join
mlx-lm's batch for decoding, where every row keeps its own sampler, stops and cache.
"""

from __future__ import annotations

import logging
import math
from enum import Enum
from functools import cached_property
from typing import Any, Self

import mlx.core as mx

log = logging.getLogger(__name__)


class _Tokenless:
    """A member of a row's cache list that holds nothing of any token: padding and cutting back do not concern it."""

    def prepare(self, **_: Any) -> None:
        """Nothing is padded."""

    def finalize(self) -> None:
        """As `prepare`."""

    def is_trimmable(self) -> bool:
        return True

    def trim(self, count: int) -> int:
        return count

    def size(self) -> int:
        return 0


class RopeOffset(_Tokenless):
    """Travels at the end of a row's cache list: how far the row's rotary positions run ahead of its token count.

    Models with multimodal rotary positions (the Qwen-VL family) give a whole image fewer positions than tokens. As a
    member of the cache list, the offsets are merged, filtered and extracted by BatchGenerator together with the KV.
    `values` has shape (rows,), int32. `beside` is what a row has beside its KV where layers attend to the images
    themselves (mllama): the arrays that the language model is given with every token. Such rows share no batch.
    """

    def __init__(self, values: mx.array | None = None, beside: dict[str, mx.array] | None = None) -> None:
        self.values = mx.zeros((1,), mx.int32) if values is None else values
        self.beside = beside

    @classmethod
    def from_state(cls, values: mx.array, beside: dict[str, mx.array] | None = None) -> Self:
        """As mlx-lm makes its caches of what `state` and `meta_state` returned."""
        return cls(values, beside)

    @property
    def meta_state(self) -> dict[str, mx.array] | None:
        return self.beside

    @classmethod
    def merge(cls, members: list[Self]) -> Self:
        beside = next((member.beside for member in members if member.beside is not None), None)
        if beside is not None and len(members) > 1:
            raise ValueError("rows that attend to images of their own cannot be decoded together")
        return cls(mx.concatenate([member.values for member in members]), beside)

    def extend(self, other: Self) -> None:
        self.values = mx.concatenate([self.values, other.values])

    def filter(self, keep: Any) -> None:
        self.values = self.values[mx.array(keep, mx.int32)]

    def extract(self, index: int) -> Self:
        return type(self)(self.values[index : index + 1], self.beside)

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
        return int(self.values.nbytes) + sum(array.nbytes for array in (self.beside or {}).values())


class Unused(_Tokenless):
    """Stands in the cache list for a layer that keeps nothing, because it attends to an image and not to the text."""

    offset = 0
    nbytes = 0
    state: tuple[()] = ()

    @classmethod
    def from_state(cls, state: Any) -> Self:
        return cls()

    @classmethod
    def merge(cls, members: list[Self]) -> Self:
        return cls()

    def extract(self, index: int) -> Self:
        return self

    def filter(self, keep: Any) -> None:
        """Nothing is kept of any row."""

    def extend(self, other: Self) -> None:
        """As `filter`."""

    def empty(self) -> bool:
        return True


class VisionDecoder:
    """Callable as `decoder(tokens of shape (rows, n), cache=...)` -> logits of shape (rows, n, vocabulary)."""

    def __init__(self, model: Any) -> None:
        self.language_model = model.language_model
        self._model = model
        self._crossing = crossing_layers(self.language_model)
        self._rope = _rope_style(self.language_model)
        self.assembles: dict[bool, bool] = {}
        """Whether an image's embeddings can be taken from another prompt: for one with a single image, and for one with
        several. What is not known yet is left out."""
        self.colours_text = False
        """Whether text beside an image was seen to be embedded otherwise than text alone."""

    @cached_property
    def text_scale(self) -> float:
        """By how much a model's `get_input_embeddings` misses what its language model makes of the same tokens.

        Gemma multiplies the embeddings of text by the root of their width. mlx-vlm (0.7.10) forgets to do so for the
        prompts of Gemma 3n, though not for the tokens that follow.
        """
        if self._crossing or self._rope is not RopeStyle.NONE:
            return 1.0  # no Gemma, and their language models would keep the positions of what is tried here
        tokens = mx.array([[7, 8, 9, 10]])
        more = {name: value for name, value in self.embed(tokens).items() if value is not None}
        embeddings = more.pop("inputs_embeds")
        width = math.sqrt(embeddings.shape[-1])

        def distance(scale: float) -> float:
            logits = self.language_model(tokens, inputs_embeds=embeddings * scale, **more).logits
            return float(mx.linalg.norm((logits - self.language_model(tokens).logits).astype(mx.float32)))

        try:
            return width if 10 * distance(width) < distance(1.0) else 1.0
        except Exception as error:  # a language model that wants more than can be made up here is no Gemma either
            log.info("the scale of this model's embeddings was not tried out", exc_info=error)
            return 1.0

    def embed(self, tokens: mx.array) -> dict[str, Any]:
        """What the model's `get_input_embeddings` returns for tokens (1, n) of text alone, by name."""
        found: dict[str, Any] = self._model.get_input_embeddings(tokens, None).to_dict()
        return found

    @property
    def crosses(self) -> bool:
        """Whether the images are needed for every token, not for the prompt alone."""
        return bool(self._crossing)

    def make_cache(self) -> list[Any]:
        from mlx_vlm.models.cache import make_prompt_cache

        layers = make_prompt_cache(self.language_model)
        kept = [Unused() if place in self._crossing else layer for place, layer in enumerate(layers)]
        return [*kept, RopeOffset(beside={} if self._crossing else None)]

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        layers, rope = cache[:-1], cache[-1]
        more = self._beside(layers, rope) if self._crossing else {}
        if self._rope is RopeStyle.POSITIONS:
            offset = mx.array(next(layer.offset for layer in layers if hasattr(layer, "offset")))
            start = mx.broadcast_to(offset.reshape(-1), rope.values.shape) + rope.values
            positions = start[:, None] + mx.arange(tokens.shape[1])[None]
            more["position_ids"] = mx.broadcast_to(positions[None], (3, *positions.shape))
        elif self._rope is RopeStyle.DELTAS:
            more["rope_deltas"] = rope.values[:, None]
        logits: mx.array = self.language_model(tokens, cache=layers, **more).logits
        cache[:-1] = layers  # a model may put new caches into the list that it is given
        return logits

    def _beside(self, layers: list[Any], rope: RopeOffset) -> dict[str, Any]:
        """What the layers that attend to images are given: the row's images, with the masks of prompt tokens alone.

        Without an image such layers are to be passed over: nothing is seen, and nothing made of it is added.
        """
        if not rope.beside:
            nothing = mx.zeros(
                (1, 1, self.language_model.config.hidden_size), self.language_model.model.norm.weight.dtype
            )
            return {"cross_attention_states": nothing, "full_text_row_masked_out_mask": mx.zeros((1, 1, 1, 1))}
        done = int(mx.array(next(layer.offset for layer in layers if not isinstance(layer, Unused))).max())
        return {name: value for name, value in rope.beside.items() if value.ndim < 4 or value.shape[2] > done}

    def prefill(
        self, tokens: mx.array, embeddings: mx.array, cache: list[Any], more: dict[str, Any], start: int, end: int
    ) -> None:
        """Process the tokens from `start` to `end` of a prompt (1, n) with embeddings (1, n, hidden) into `cache`.

        `more` holds what `get_input_embeddings` returned besides (position ids of the whole prompt, ...).
        """
        length = tokens.shape[1]
        layers = cache[:-1]
        self.language_model(
            tokens[:, start:end],
            inputs_embeds=embeddings[:, start:end],
            cache=layers,
            n_to_process=end - start,
            logits_to_keep=1,
            **{name: part(name, value, length, start, end) for name, value in more.items()},
        )
        cache[:-1] = layers
        mx.eval([layer.state for layer in layers])


def crossing_layers(language_model: Any) -> frozenset[int]:
    """The layers that attend to the images themselves, instead of to the text with the images' embeddings in it."""
    config = getattr(language_model, "config", None)
    return frozenset(getattr(config, "cross_attention_layers", None) or ())


class RopeStyle(Enum):
    """How a language model is told positions that differ from the number of tokens before."""

    NONE = 0
    POSITIONS = 1
    """`position_ids` of shape (3, rows, n)."""
    DELTAS = 2
    """`rope_deltas` of shape (rows, 1), to which it adds what its caches count."""


def _rope_style(language_model: Any) -> RopeStyle:
    if not hasattr(language_model, "get_rope_index"):
        return RopeStyle.DELTAS if hasattr(language_model, "_rope_deltas") else RopeStyle.NONE
    try:
        positions = language_model.get_rope_index(mx.array([[1, 2]]))[0]
    except Exception:  # the method is not the one of the Qwen-VL family, whatever its name
        return RopeStyle.DELTAS
    return RopeStyle.POSITIONS if positions.shape in ((3, 1, 2), (1, 2)) else RopeStyle.DELTAS


BY_TOKEN = frozenset({"position_ids", "token_type_ids", "mm_token_type_ids"})
"""What a language model expects for the tokens that it is given, where others expect it for the whole prompt and cut
it themselves (visual_pos_masks and per_layer_inputs, at the offset of their caches)."""


def part(name: str, value: Any, length: int, start: int, end: int) -> Any:
    """The part of an argument for a prompt of `length` tokens that concerns those from `start` to `end`."""
    if name not in BY_TOKEN or not isinstance(value, mx.array):
        return value
    if value.shape[-1] == length:
        return value[..., start:end]
    return value[:, start:end] if value.ndim > 1 and value.shape[1] == length else value
