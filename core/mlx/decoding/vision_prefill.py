"""Prefill of one prompt with images: the vision tower once for an image, then the language model in chunks."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import can_trim_prompt_cache, trim_prompt_cache

from core.errors import UnsupportedInput
from core.mlx.decoding.image_tower import see_each, seen
from core.mlx.decoding.scratch import release_scratch
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.models.vision_decoder import RopeOffset, VisionDecoder, part
from core.mlx.prompt.apart import PIXELS, Apart
from core.mlx.prompt.inputs import Inputs, as_array

ASSEMBLED = frozenset({"inputs_embeds", "position_ids", "rope_deltas", "attention_mask_4d", "per_layer_inputs"})
"""What `get_input_embeddings` may return of a model whose images' embeddings can be put into those of the text."""
STATES = "cross_attention_states"
CROSSING = frozenset({STATES, "cross_attention_mask", "full_text_row_masked_out_mask"})
"""What layers that attend to the images need with every token."""
MOST_STATES = 180_000_000
"""Bytes of that of all images of a prompt: they have no tokens that the window would count."""
LEFT_BEHIND = {"_position_ids": "position_ids", "_rope_deltas": "rope_deltas"}
"""Attributes of language models in which `get_input_embeddings` may leave what others return."""


class VisionPrefill:
    """Call `step` until it returns True; then `cache` holds all prompt tokens but the last, ready for the batch.

    `rows` are kept under the model's `name`. `done` counts the tokens in the cache; it starts at `reused` when `cache`
    came from the prefix cache, and again at 0, as `reused` does, where the model cannot go on from there.
    """

    def __init__(
        self,
        decoder: VisionDecoder,
        model: Any,
        inputs: Inputs,
        rows: ImageEmbeddings,
        name: str,
        cache: list[Any] | None = None,
        reused: int = 0,
    ) -> None:
        self.inputs = inputs
        self.cache = cache if cache is not None else decoder.make_cache()
        self.done = self.reused = reused
        self.indivisible = 0
        """So many of the first tokens are prefilled in one pass, since some of them see later ones (bidirectional)."""
        self._decoder = decoder
        self._model = model
        self._rows = rows
        self._name = name
        self._tokens = as_array(inputs.tokens)
        self._embeddings: mx.array | None = None
        self._more: dict[str, Any] = {}
        self._encoding: Generator[None, None, None] | None = self._encode()
        self._undivided = False  # the last token is prefilled with them, because every token sees every other one

    @property
    def encoding(self) -> bool:
        """Whether images are still to be looked at."""
        return self._encoding is not None

    @property
    def given(self) -> dict[str, Any]:
        """What the language model is given beside tokens, once the images have been looked at."""
        beside = self.cache[-1]
        return {**self._more, "inputs_embeds": self._embeddings, "rope_deltas": beside.values, **(beside.beside or {})}

    def step(self, chunk: int, boundary: int = 0) -> bool:
        """Encode the images on the first calls, process `chunk` tokens on each later one; True when nothing is left.

        It never goes beyond `boundary`, so that the cache can be copied there.
        """
        length = self._tokens.shape[1]
        last = length - 1
        if self._encoding is not None:
            for _ in self._encoding:
                return False
            self._encoding = self.inputs.pixels = self.inputs.apart = None
            return self.done == last
        assert self._embeddings is not None
        if self._undivided:
            self._decoder.prefill(self._tokens, self._embeddings, self.cache, self._more, 0, length)
            trim_prompt_cache(self.cache, 1)  # the batch reads the last token once more, for its logits
            self.done = last
            return True
        end = min(max(self.done + chunk, self.indivisible), last)
        if max(self.done, self.indivisible - 1) < boundary < end:
            end = boundary
        self._decoder.prefill(self._tokens, self._embeddings, self.cache, self._more, self.done, end)
        self.done = end
        release_scratch()
        return self.done == last

    def _encode(self) -> Generator[None, None, None]:
        """Yields between images that the model may be shown one by one."""
        features = dict(self.inputs.features or {})
        pixels = features.pop("pixel_values", None)
        mask = features.pop("attention_mask", None)
        known = self._known_rows()
        if known is not None:
            extra = self._assemble(known, features, mask)
        elif self.inputs.pixels is not None:
            names = [name for name, _ in self.inputs.images]
            output = yield from see_each(self._model, self.inputs.pixels, names, self._known_images())
            with seen(self._model, output):
                extra = self._through_the_tower(mx.zeros((1,)), mask, features)
            self._keep_rows(extra, features, mask)
        elif self.inputs.apart is not None:
            if self._decoder.crosses:
                states = yield from self._states_of_each(self.inputs.apart)
                extra = {STATES: states, **self._through_the_tower(None, mask, features)}
            else:
                extra = self._assemble((yield from self._rows_of_each(self.inputs.apart)), features, mask)
        else:
            extra = self._through_the_tower(pixels, mask, features)
            if pixels is not None:
                self._keep_rows(extra, features, mask)
        self._embeddings = extra.pop("inputs_embeds")
        deltas = extra.pop("rope_deltas", None)
        extra.pop("attention_mask", None)
        beside = None
        if self._decoder.crosses:
            beside = {name: value for name, value in extra.items() if name in CROSSING}
        self.cache[-1] = RopeOffset(None if deltas is None else mx.array(deltas).reshape(-1).astype(mx.int32), beside)
        self._more = {**features, **extra}
        mx.eval(self._embeddings, self.cache[-1].state)
        yield from self._plan()

    def _through_the_tower(
        self, pixels: Any, mask: Any, features: dict[str, Any], tokens: mx.array | None = None
    ) -> dict[str, Any]:
        """What `get_input_embeddings` returns, and the positions that some models leave in their language model.

        It is given the whole prompt, or `tokens` of shape (1, n) out of it.
        """
        tokens = self._tokens if tokens is None else tokens
        language_model = self._decoder.language_model
        for name in LEFT_BEHIND:
            if hasattr(language_model, name):
                setattr(language_model, name, None)
        found = self._model.get_input_embeddings(tokens, pixels, mask=mask, **features)
        extra = {name: value for name, value in found.to_dict().items() if value is not None}
        if "decoder_inputs_embeds" in extra:
            raise UnsupportedInput(
                f"{self._name} reads with one half and writes with another, which Assay does not run."
            )
        if self._decoder.text_scale != 1:
            given = extra["inputs_embeds"]
            text = mx.all(self._decoder.embed(tokens)["inputs_embeds"] == given, axis=-1, keepdims=True)
            extra["inputs_embeds"] = mx.where(text, given * self._decoder.text_scale, given)
        if extra["inputs_embeds"].shape[1] != tokens.shape[1]:
            self._stretch(extra["inputs_embeds"])
        for name, argument in LEFT_BEHIND.items():
            value = getattr(language_model, name, None)
            if value is not None:
                extra.setdefault(argument, value)
        return extra

    def _stretch(self, embeddings: mx.array) -> None:
        """Give the image as many tokens as it has embeddings, where that is another number than its processor's.

        mlx-vlm's LLaVA 1.6 is such a model. Raises UnsupportedInput where the embeddings are not the text's with one
        image between.
        """
        inputs, plain = self.inputs, self._decoder.embed(self._tokens)["inputs_embeds"]
        made, length = embeddings.shape[1], inputs.length
        if len(inputs.images) == len(inputs.runs) == 1:
            (start, end), more = inputs.runs[0], made - length
            rest = length - end
            fits = end + more > start and made >= start + rest
            if (
                fits
                and _same(embeddings[:, :start], plain[:, :start])
                and _same(embeddings[:, made - rest :], plain[:, end:])
            ):
                for numbers in (inputs.tokens, inputs.key):
                    numbers[start:end] = [numbers[start]] * (end + more - start)
                inputs.runs[0] = (start, end + more)
                inputs.image_tokens += more
                self._tokens = as_array(inputs.tokens)
                return
        shown = "this image" if len(inputs.images) == 1 else f"{len(inputs.images)} images at once"
        raise UnsupportedInput(
            f"{self._name} cannot be shown {shown}: mlx-vlm makes {made} embeddings of {length} tokens, which leaves "
            "no telling what belongs where. Show it one, or use another vision model."
        )

    def _rows_of_each(self, apart: Apart) -> Generator[None, None, list[tuple[int, mx.array]]]:
        """(start, rows) of every image that is still to be prefilled, made of each alone; it yields after each."""
        found: list[tuple[int, mx.array]] = []
        runs = iter(self.inputs.runs)
        for place, (_, count) in enumerate(self.inputs.images):
            own: list[tuple[int, int]] = []
            while sum(end - start for start, end in own) < (count or 0):
                own.append(next(runs))
            if own[-1][1] <= self.done:
                continue
            keys = [self.inputs.key[start] for start, _ in own]
            known = [self._rows.get(self._name, key) for key in keys]
            rows = [row for row in known if row is not None]
            if self._decoder.colours_text or len(rows) < len(own):
                first, around = yield from self._rows_alone(apart, place, own)
                rows = [mx.contiguous(around[start - first : end - first]) for start, end in own]
                for key, made in zip(keys, rows, strict=True):
                    self._rows.put(self._name, key, made)
                if self._decoder.colours_text:
                    found.append((first, around))
                yield
            found += [(start, row) for (start, _), row in zip(own, rows, strict=True)]
        return found

    def _rows_alone(
        self, apart: Apart, place: int, runs: list[tuple[int, int]]
    ) -> Generator[None, None, tuple[int, mx.array]]:
        """The embeddings of one image and the text about and between its `runs`, and where they begin; made in a prompt
        of nothing else. Gemma 3n embeds some of that text otherwise where there are images."""
        key, first, last = self.inputs.key, runs[0][0], runs[-1][1]
        first -= first > 0 and key[first - 1] >= 0
        last += last < len(key) and key[last] >= 0
        tokens = self._tokens[:, first:last]
        extra = yield from self._alone(apart, place, tokens)
        made = extra["inputs_embeds"][0]
        if not self._decoder.colours_text:
            images = {index for start, end in runs for index in range(start, end)}
            text = [index - first for index in range(first, last) if index not in images]
            plain = self._through_the_tower(None, None, {}, tokens)["inputs_embeds"][0] if text else made
            self._decoder.colours_text = bool(text) and not _same(made[mx.array(text)], plain[mx.array(text)])
        mx.eval(made)
        del extra
        mx.clear_cache()
        return first, made

    def _states_of_each(self, apart: Apart) -> Generator[None, None, mx.array]:
        """What layers attend to of all images, of shape (1, tokens, hidden); it yields after each."""
        found: list[mx.array] = []
        for place, (start, end) in enumerate(self.inputs.runs):
            extra = yield from self._alone(apart, place, self._tokens[:, start:end])
            found.append(extra[STATES])
            mx.eval(found[-1])
            each = found[0].nbytes + 4 * found[0].shape[1] * self.inputs.length  # a number for each token of the text
            if (taken := each * len(self.inputs.runs)) > MOST_STATES:
                raise UnsupportedInput(
                    f"{self._name} cannot be shown {len(self.inputs.runs):,} images with {self.inputs.length:,} "
                    f"tokens, each of which attends to all of them: that takes {taken / 1e6:,.0f} MB, and at most "
                    f"{MOST_STATES / 1e6:,.0f} MB are possible. Show it {max(MOST_STATES // each, 1):,} at most."
                )
            del extra
            mx.clear_cache()
            yield
        return mx.concatenate(found, axis=1)

    def _alone(self, apart: Apart, place: int, tokens: mx.array) -> Generator[None, None, dict[str, Any]]:
        """What is made of one image in a prompt of nothing but its `tokens`."""
        plain = {name: value for name, value in (self.inputs.features or {}).items() if isinstance(value, int | str)}
        features = plain | (yield from apart.of(place))
        pixels = features.pop(PIXELS)
        return self._through_the_tower(pixels, mx.ones(tokens.shape, mx.int32), features, tokens)

    def _keep_rows(self, extra: dict[str, Any], features: dict[str, Any], mask: Any) -> None:
        """Keep the embeddings of each image, if they and the text's make up all that the model was given.

        Some models make others of an image where there is a second one, or at another place: so it is tried out.
        """
        if not extra.keys() <= ASSEMBLED or not self.inputs.runs or not self._divisible({}):
            return
        rows = [(start, extra["inputs_embeds"][0, mx.arange(start, end)]) for start, end in self.inputs.runs]
        several = len(self.inputs.images) > 1
        if several not in self._decoder.assembles:
            earlier = [(self._rows.get(self._name, self.inputs.key[start]), own) for start, own in rows]
            if several and not any(kept is not None for kept, _ in earlier):
                return
            again = self._assemble(rows, features, mask)
            names = extra.keys() - {"attention_mask_4d"}
            self._decoder.assembles[several] = (
                names <= again.keys()
                and all(_same(extra[name], again[name]) for name in names)
                and all(kept is None or _same(kept, own) for kept, own in earlier)
            )
        if self._decoder.assembles[several]:
            for start, own in rows:
                self._rows.put(self._name, self.inputs.key[start], own)

    def _plan(self) -> Generator[None, None, None]:
        """Find out whether the prompt may be cut into chunks, and where it may not."""
        rest = {
            name: part(name, value, self._tokens.shape[1], self.done, self._tokens.shape[1])
            for name, value in self._more.items()
        }
        if self._divisible(rest):
            return
        if not self._divisible({}):  # every token sees every other one
            self._undivided = self.done == 0 and can_trim_prompt_cache(self.cache)
            self.indivisible = self._tokens.shape[1]
            return
        if self.done:  # what masks images does so for whole prompts alone
            self.cache[:] = self._decoder.make_cache()
            self.done = self.reused = 0
            yield from self._encode()
            return
        self.indivisible = self.inputs.runs[-1][1] if self.inputs.runs else self._tokens.shape[1] - 1

    def _divisible(self, more: dict[str, Any]) -> bool:
        from mlx_vlm.generate.common import _chunked_prefill_enabled

        divisible: bool = _chunked_prefill_enabled(
            self._model,
            input_ids=self._tokens,
            inputs_embeds=self._embeddings,
            prompt_cache=self.cache[:-1],
            prefill_kwargs=more,
        )
        return divisible

    def _known_rows(self) -> list[tuple[int, mx.array]] | None:
        """(start, rows) of every image that is still to be prefilled, or None when the vision tower has to run."""
        found: list[tuple[int, mx.array]] = []
        if not self.inputs.runs or self._decoder.crosses:
            return None
        for start, end in self.inputs.runs:
            if end < self.done:
                continue
            rows = self._rows.get(self._name, self.inputs.key[start])
            if rows is None or rows.shape[0] != end - start:
                return None
            found.append((start, rows))
        return found if not found or self._decoder.assembles.get(len(self.inputs.images) > 1) else None

    def _known_images(self) -> dict[str, mx.array]:
        """The rows of images that were seen in other prompts, by their names."""
        images, runs = self.inputs.images, self.inputs.runs
        if len(images) != len(runs) or not self._decoder.assembles.get(len(images) > 1):
            return {}
        found: dict[str, mx.array] = {}
        for (image, _), (start, end) in zip(images, runs, strict=True):
            rows = self._rows.get(self._name, self.inputs.key[start])
            if rows is not None and rows.shape[0] == end - start:
                found[image] = rows
        return found

    def _assemble(self, known: list[tuple[int, mx.array]], features: dict[str, Any], mask: Any) -> dict[str, Any]:
        """What `get_input_embeddings` would return, without a run of the vision tower."""
        extra = self._through_the_tower(None, None, {})
        embeddings = mx.array(extra["inputs_embeds"])
        for start, rows in known:
            embeddings[0, start : start + rows.shape[0]] = rows
        extra["inputs_embeds"] = embeddings
        language_model = self._decoder.language_model
        if hasattr(language_model, "get_rope_index"):
            grids = (features.get("image_grid_thw"), features.get("video_grid_thw"))
            extra["position_ids"], extra["rope_deltas"] = language_model.get_rope_index(self._tokens, *grids, mask)
        return extra


def _same(a: mx.array, b: mx.array) -> bool:
    return a.shape == b.shape and bool(mx.allclose(a, b, rtol=1e-3, atol=1e-3))
