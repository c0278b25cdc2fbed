"""A request to the tokens and image features that the model reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import mlx.core as mx
from rapidfuzz.distance import Prefix

from core.errors import ContextOverflow, InvalidImage, UnsupportedInput
from core.images import ImageData, decode
from core.mlx.loading import LoadedWeights
from core.mlx.prompt import Prompt, render
from core.requests import GenerationRequest, Message, Role

NEIGHBOURHOOD = 200
"""Characters of shared text before the place where two prompts part: more than any token spans."""


HOPELESS_CHARACTERS = 12
"""Characters for each token of the window beyond which a text is looked at in pieces; English has about four."""
PIECE = 16_384


@dataclass
class Inputs:
    """A tokenized prompt. `features` are the processor's arrays (pixel values, grids) or None without images.

    `key` names the prompt for the prefix cache: each image token is replaced by a negative number made of its image's
    digest, since two images of one size give the same tokens.
    """

    prompt: Prompt
    tokens: list[int]
    features: dict[str, Any] | None = None
    image_tokens: int = 0
    key: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of each run of image tokens; key[start] names its image."""

    @property
    def length(self) -> int:
        """Prompt tokens."""
        return len(self.tokens)


def prepare_inputs(request: GenerationRequest, loaded: LoadedWeights) -> Inputs:
    """Render and tokenize a request for a loaded model.

    Raises UnsupportedInput for images to a text model, InvalidImage for images the processor refuses, and what
    `core.mlx.prompt.render` raises.
    """
    images = request.images
    if images and loaded.processor is None:
        raise UnsupportedInput(
            f"{loaded.info.id} is a text model and cannot see images. "
            f"Send the {len(images)} image(s) to a vision model."
        )
    prompt = render(request, loaded.tokenizer, loaded.markers, vision=loaded.processor is not None)
    _refuse_hopeless(prompt.text, loaded)
    if not images:
        tokens = loaded.tokenizer.encode(prompt.text, add_special_tokens=prompt.add_special_tokens)
        return Inputs(prompt, list(tokens), key=list(tokens))
    return _with_images(prompt, images, loaded)


def overflow(model_id: str, tokens: str, counted: int, window: int) -> ContextOverflow:
    """The refusal of a prompt that does not fit; `tokens` says how many it has, in words."""
    return ContextOverflow(
        f"The prompt has {tokens} tokens and {model_id} reads at most {window}, the answer included. "
        "Shorten it, or start a new conversation.",
        counted,
        window,
    )


def _refuse_hopeless(text: str, loaded: LoadedWeights) -> None:
    """Refuse a text far over the window after tokenizing a little of it: all of it would hold up every model."""
    window, counted = loaded.context_length, 0
    if len(text) < HOPELESS_CHARACTERS * window:
        return
    for start in range(0, len(text), PIECE):
        counted += len(loaded.tokenizer.encode(text[start : start + PIECE], add_special_tokens=False))
        if counted > 2 * window:
            raise overflow(loaded.info.id, f"more than {counted}", counted, window)


def _with_images(prompt: Prompt, images: tuple[ImageData, ...], loaded: LoadedWeights) -> Inputs:
    from mlx_vlm.utils import prepare_inputs as processed

    config = loaded.model.config
    names = ("image_token_index", "image_token_id")
    marker = next((int(getattr(config, name)) for name in names if getattr(config, name, None) is not None), -1)
    try:
        features = processed(
            loaded.processor,
            images=[decode(image) for image in images],
            prompts=prompt.text,
            image_token_index=marker,
            add_special_tokens=prompt.add_special_tokens,
        )
    except InvalidImage:
        raise
    except Exception as error:  # processors raise what they like on images or counts they cannot place
        raise InvalidImage(
            f"{loaded.info.id} could not take the {len(images)} image(s): {type(error).__name__}: {error}"
        ) from error
    tokens = features.pop("input_ids").reshape(-1).tolist()
    features = {name: value for name, value in features.items() if value is not None}
    count = tokens.count(marker)
    if count == 0:
        raise UnsupportedInput(
            f"The chat template of {loaded.info.id} left out the image: it takes images in the user's turns alone."
        )
    key, runs = _key(tokens, marker, images)
    return Inputs(prompt, tokens, features, count, key, runs)


def _key(tokens: list[int], marker: int, images: tuple[ImageData, ...]) -> tuple[list[int], list[tuple[int, int]]]:
    """Each run of image tokens stands for the next image. Where runs and images do not pair up, for all images."""
    starts = [i for i, token in enumerate(tokens) if token == marker and (i == 0 or tokens[i - 1] != marker)]
    names = [image.sha256 for image in images]
    if len(starts) != len(images):
        names = [f"{run}/{'/'.join(names)}" for run in range(len(starts))]
    key, runs = list(tokens), []
    for start, name in zip(starts, names, strict=True):
        end = start
        number = -1 - int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)
        while end < len(tokens) and tokens[end] == marker:
            key[end] = number
            end += 1
        runs.append((start, end))
    return key, runs


def next_turn_tail(request: GenerationRequest, inputs: Inputs, loaded: LoadedWeights) -> int:
    """How many of the prompt's last tokens the next turn will not repeat, such as the opening of the answer."""
    if request.prompt is not None or request.messages[-1].role is Role.ASSISTANT:
        return 0
    more = (Message.text(Role.ASSISTANT, "x"), Message.text(Role.USER, "x"))
    later = render(
        replace(request, messages=(*request.messages, *more)),
        loaded.tokenizer,
        loaded.markers,
        vision=bool(inputs.runs),
    )
    # Tokens depend on their neighbourhood alone, so a long conversation is not tokenized once more for its last words.
    start = max(Prefix.similarity(inputs.prompt.text, later.text) - NEIGHBOURHOOD, 0)
    texts = (inputs.prompt.text[start:], later.text[start:])
    now, then = (loaded.tokenizer.encode(text, add_special_tokens=False) for text in texts)
    return len(now) - next((i for i, (a, b) in enumerate(zip(now, then, strict=False)) if a != b), len(now))


def as_array(tokens: list[int]) -> mx.array:
    """Tokens as an array of shape (1, n)."""
    return mx.array([tokens])
