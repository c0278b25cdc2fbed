"""A request to the tokens and image features that the model reads."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import mlx.core as mx
from rapidfuzz.distance import Prefix

from core.calls.generation_checks import check_images
from core.calls.requests import GenerationRequest, Message, Role
from core.errors import EngineError, UnsupportedInput
from core.media.images import ImageData, decode
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import aside
from core.mlx.models.vision_decoder import crossing_layers
from core.mlx.prompt.apart import Apart
from core.mlx.prompt.chat_template import Prompt, rendering
from core.mlx.prompt.image_counts import FEW, count_image, left_out, made_smaller, refuse_at_once, refuse_too_many
from core.mlx.prompt.image_inputs import image_number, name_images, run_count, see, unseen
from core.mlx.prompt.pixels import Pixels
from core.mlx.prompt.token_counts import empty

NEIGHBOURHOOD = 200
"""Characters of shared text before the place where two prompts part: more than any token spans."""

LONG = 65_536
"""Characters of a text from which it is tokenized while the others go on."""
MOST_WHOLE = 6_144
"""Tokens of a prompt that is read in one piece: what each sees of the others is a number for each pair of them."""


@dataclass
class Inputs:
    """A tokenized prompt. `features` are the processor's arrays (pixel values, grids) or None where the tokens alone
    are prefilled: without images, unless the model has to be given the prompt as a whole.

    `key` names the prompt for the prefix cache: each image token is replaced by a negative number made of its image's
    digest, since two images of one size give the same tokens.
    """

    prompt: Prompt
    tokens: list[int]
    features: dict[str, Any] | None = None
    images: tuple[tuple[str, int | None], ...] = ()
    """The SHA-256 of each image, and how many tokens it has; None where nothing tells."""
    image_tokens: int = 0
    key: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of each run of image tokens; key[start] names its image."""
    pixels: Pixels | None = None
    """Those of images that the vision tower may see one by one; else they are among the features."""
    apart: Apart | None = None
    """What makes the pixels of one image at a time, where each may be prompted with alone."""

    @property
    def length(self) -> int:
        """Prompt tokens."""
        return len(self.tokens)


def prepare_inputs(request: GenerationRequest, loaded: LoadedWeights) -> Generator[None, None, Inputs]:
    """Render and tokenize a request for a loaded model, yielding wherever others may go on meanwhile.

    Raises UnsupportedInput for images to a text model, InvalidImage for images the processor refuses, ContextOverflow
    for a prompt that is plainly too long, InvalidRequest for an empty one, and what `rendered` raises.
    """
    images = request.images
    check_images(request, loaded.info)
    prompt = yield from aside(rendering(request, loaded))
    if images:
        return (yield from _with_images(prompt, request, loaded))
    tokens = yield from _tokenized(prompt, loaded)
    if not tokens:
        raise empty()
    if _cut_anywhere(loaded):
        return Inputs(prompt, tokens, key=list(tokens))
    _refuse_whole(len(tokens), loaded)
    return Inputs(prompt, tokens, {}, key=_as_a_whole(tokens, ()))


def _tokenized(prompt: Prompt, loaded: LoadedWeights) -> Generator[None, None, list[int]]:
    """The tokens of a prompt without images. A processor's tokenizer is changed for a moment where there are images."""
    encode = partial(loaded.tokenizer.encode, prompt.text, add_special_tokens=prompt.add_special_tokens)
    if len(prompt.text) < LONG or loaded.processor is not None:
        return list(encode())
    return list((yield from aside(encode)))


def _with_images(prompt: Prompt, request: GenerationRequest, loaded: LoadedWeights) -> Generator[None, None, Inputs]:
    prompt, images = made_smaller(prompt, request.images)
    yield from refuse_too_many(prompt, images, loaded)
    yield from refuse_at_once(images, loaded)
    pictures: list[Any] = []
    for image in images:
        pictures.append((yield from aside(partial(decode, image))))
    return (yield from with_pictures(prompt, images, pictures, loaded, together=not loaded.apart))


def with_pictures(
    prompt: Prompt, images: Sequence[ImageData], pictures: list[Any], loaded: LoadedWeights, *, together: bool
) -> Generator[None, None, Inputs]:
    """A rendered prompt with what its images were decoded to, prompted with `together` or, where it can be told what
    belongs to which, one at a time. `pictures` is empty afterwards, that nothing keeps them longer than it must.

    Raises UnsupportedInput where the template has left the images out, and what `see` raises.
    """
    looked = partial(see, prompt.text, images, list(pictures), loaded, special=prompt.add_special_tokens)
    pictures.clear()
    seen = yield from looked(together=together)
    if len(images) > FEW:
        yield
    counts = (yield from _counts(seen.places, images, loaded)) if seen.places else None
    if counts is not None and 0 in counts:  # too small for a single token
        raise unseen(loaded.info.id, [image for image, count in zip(images, counts, strict=True) if not count])
    if counts is None and seen.apart is not None:
        seen = yield from looked(together=True)
    del looked
    count = len(seen.places)
    if not count:
        plain = loaded.tokenizer.encode(prompt.text, add_special_tokens=prompt.add_special_tokens)
        count = max(len(seen.tokens) - len(plain), 0)
        if not count:
            raise (yield from left_out(images, loaded))
        # Its image tokens are not known, so that the prompt can only be named after all of its images.
        key = _as_a_whole(seen.tokens, images)
        return Inputs(prompt, seen.tokens, seen.features, _named(images, None), count, key, pixels=seen.pixels)
    key, runs = name_images(seen, images, counts)
    if not _cut_anywhere(loaded):
        _refuse_whole(len(seen.tokens), loaded)
        key = _as_a_whole(key, images)
    elif crossing_layers(loaded.model.language_model):  # tokens before an image attend to it as well, to all alike
        key = [_as_a_whole([], images)[0], *key[1:]]
    named = _named(images, counts)
    return Inputs(prompt, seen.tokens, seen.features, named, count, key, runs, seen.pixels, seen.apart)


def _named(images: Sequence[ImageData], counts: Sequence[int] | None) -> tuple[tuple[str, int | None], ...]:
    return tuple((image.sha256, counts[place] if counts else None) for place, image in enumerate(images))


def _counts(
    places: list[int], images: Sequence[ImageData], loaded: LoadedWeights
) -> Generator[None, None, list[int] | None]:
    """How many tokens each image has; None where nothing tells.

    Images come in one run of tokens each, or in as many as they have rows or tiles, with or without a gap between two
    images. Where the runs do not tell, the sizes do.
    """
    if len(images) == 1:
        return [len(places)]
    if run_count(places) == len(images):
        starts = [i for i, place in enumerate(places) if i == 0 or places[i - 1] != place - 1]
        return [end - start for start, end in zip(starts, [*starts[1:], len(places)], strict=True)]
    counts = []
    for image in images:
        try:
            counts.append((yield from count_image(image, loaded)))
        except EngineError:  # a template or processor that takes no image alone
            return None
    return counts if sum(counts) == len(places) else None


def _cut_anywhere(loaded: LoadedWeights) -> bool:
    """Whether a prompt's first tokens mean the same whatever follows; not so where all tokens see one another."""
    if loaded.processor is None:
        return True
    from mlx_vlm.generate.common import _chunked_prefill_enabled

    return bool(_chunked_prefill_enabled(loaded.model, prefill_kwargs={}))


def _refuse_whole(tokens: int, loaded: LoadedWeights) -> None:
    """Raise UnsupportedInput for a prompt that cannot be read in pieces and takes too much memory in one."""
    if tokens > MOST_WHOLE:
        raise UnsupportedInput(
            f"The prompt has {tokens:,} tokens and {loaded.info.id} reads prompts in one piece, since each token sees "
            f"every other one; at most {MOST_WHOLE:,} can be read so. Shorten it, or send fewer images."
        )


def _as_a_whole(key: list[int], images: Sequence[ImageData]) -> list[int]:
    """A key that shares no beginning with the key of any other prompt."""
    return [image_number(f"{key}{[image.name_in_keys for image in images]}"), *key[1:]]


def next_turn_tail(request: GenerationRequest, inputs: Inputs, loaded: LoadedWeights) -> Generator[None, None, int]:
    """How many of the prompt's last tokens the next turn will not repeat, such as the opening of the answer."""
    if request.prompt is not None or request.messages[-1].role is Role.ASSISTANT:
        return 0
    more = (Message.text(Role.ASSISTANT, "x"), Message.text(Role.USER, "x"))
    later = yield from aside(rendering(replace(request, messages=(*request.messages, *more)), loaded))
    # Tokens depend on their neighbourhood alone, so a long conversation is not tokenized once more for its last words.
    start = max(Prefix.similarity(inputs.prompt.text, later.text) - NEIGHBOURHOOD, 0)
    texts = (inputs.prompt.text[start:], later.text[start:])
    now, then = (loaded.tokenizer.encode(text, add_special_tokens=False) for text in texts)
    return len(now) - next((i for i, (a, b) in enumerate(zip(now, then, strict=False)) if a != b), len(now))


def as_array(tokens: list[int]) -> mx.array:
    """Tokens as an array of shape (1, n)."""
    return mx.array([tokens])
