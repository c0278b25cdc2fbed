"""How many tokens images have and what they take, told from their sizes before their pixels are decoded."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import mlx.core as mx

from core.calls.generation_checks import check_images
from core.calls.requests import GenerationRequest, ImagePart, Message, Role
from core.errors import EngineError, InvalidImage, UnsupportedInput
from core.media.images import ImageData, together
from core.mlx.models.lexicon import Lexicon
from core.mlx.models.templates import aside
from core.mlx.prompt.chat_template import Prompt, rendering
from core.mlx.prompt.image_inputs import Seen, see, unseen
from core.mlx.prompt.pixels import one_by_one
from core.mlx.prompt.token_counts import overflow

REMEMBERED = 4096
"""Sizes whose number of tokens is kept in mind."""
CROWD = 3
"""Images beside which each has as many tokens as beside any more: some models cut up one that is alone."""
SQUARE = (640, 640)
"""A size at which those do."""
FEW = 4
"""Images that are looked at without counting their tokens by their sizes first."""
PLACEHOLDER = 8
"""Tokens of a rendered prompt that may stand for an image and are replaced by its own; few have more than three."""
TOLD = 4
"""Notes on images that are passed on."""

MOST_AT_ONCE = 120_000_000
"""Bytes that the images of a request may take in all where a model sees them in one step."""

TAKEN = 10
"""Bytes that a vision tower takes, about, for each that it is given."""


def tokens_with_images(
    prompt: Prompt, request: GenerationRequest, lexicon: Lexicon, fitting: bool
) -> Generator[None, None, tuple[Prompt, Seen]]:
    """The tokens of a rendered prompt with images, and the prompt, which may have got another note.

    The processor is shown grey images of their sizes. With `fitting`, what is plainly too long is not counted to its
    end: that is a ContextOverflow. Raises InvalidImage for images that the processor refuses, UnsupportedInput where
    the template left them out.
    """
    from PIL import Image

    check_images(request, lexicon.info)
    prompt, images = made_smaller(prompt, request.images)
    if fitting:
        yield from refuse_too_many(prompt, images, lexicon)
    grey = {size: Image.new("RGB", size, "grey") for size in {image.seen_size for image in images}}
    pictures = [grey[image.seen_size] for image in images]
    seen = yield from see(prompt.text, images, pictures, lexicon, special=prompt.add_special_tokens)
    if not seen.places:
        plain = lexicon.tokenizer.encode(prompt.text, add_special_tokens=prompt.add_special_tokens)
        if len(seen.tokens) <= len(plain):
            raise (yield from left_out(images, lexicon))
    return prompt, seen


def made_smaller(prompt: Prompt, images: Sequence[ImageData]) -> tuple[Prompt, Sequence[ImageData]]:
    """The images of a prompt as they are looked at together, and the prompt with notes on them."""
    images = together(images)
    smaller = sum(1 for image in images if image.shrunk > 1)
    if smaller:
        note = f"{smaller} of {len(images)} images are looked at smaller: together they have too many pixels"
        prompt = replace(prompt, notes=(*prompt.notes, note))
    told = tuple(dict.fromkeys(image.note for image in images if image.note))[:TOLD]
    return replace(prompt, notes=(*prompt.notes, *told)) if told else prompt, images


def refuse_too_many(prompt: Prompt, images: Sequence[ImageData], lexicon: Lexicon) -> Generator[None, None, None]:
    """Refuse images that do not fit the window by their sizes: looking at many that are then refused is a burden."""
    if len(images) <= FEW:
        return
    text = lexicon.tokenizer.encode(prompt.text, add_special_tokens=prompt.add_special_tokens)
    counted, window = max(len(text) - PLACEHOLDER * len(images), 0), lexicon.context_length
    for image in images:
        try:
            counted += yield from count_image(image, lexicon)
        except EngineError:  # it says so of all of them
            return
        if counted >= window:
            raise overflow(lexicon.info.id, f"at least {counted}", counted, window)


def left_out(images: Sequence[ImageData], lexicon: Lexicon) -> Generator[None, None, EngineError]:
    """The refusal of images of which the rendered prompt has nothing."""
    if (yield from usual_tokens(lexicon)):
        return unseen(lexicon.info.id, images)
    return UnsupportedInput(
        f"The chat template of {lexicon.info.id} left out the image: it takes images in the user's turns alone."
    )


def count_image(image: ImageData, lexicon: Lexicon) -> Generator[None, None, int]:
    """Tokens of an image beside others. The processor is shown a grey one of its size, once for each size.

    Raises EngineError where a template or a processor takes none alone.
    """
    size, known = image.seen_size, lexicon.image_tokens
    if not lexicon.images_shown:
        alone = yield from _shown(SQUARE, 1, lexicon)
        try:
            several = yield from _shown(SQUARE, CROWD, lexicon)
        except EngineError:  # it takes one at a time
            several = CROWD * alone
        lexicon.images_shown = 1 if several == CROWD * alone else CROWD
    if size not in known:
        if len(known) >= REMEMBERED:
            known.clear()
        known[size] = (yield from _shown(size, lexicon.images_shown, lexicon)) // lexicon.images_shown
    return known[size]


def usual_tokens(lexicon: Lexicon) -> Generator[None, None, int]:
    """How many tokens an image of a usual size has; 0 where a template or a processor leaves it out."""
    try:
        return (yield from _shown(SQUARE, 1, lexicon))
    except EngineError:
        return 0


def refuse_at_once(images: Sequence[ImageData], lexicon: Lexicon) -> Generator[None, None, None]:
    """Raise InvalidImage for several images of which a model that sees them in one step would take too much memory."""
    if len(images) < 2 or lexicon.apart or one_by_one(lexicon.config):
        return
    taken, most = 0, 0
    for image in images:
        size, known = image.seen_size, lexicon.image_bytes
        if size not in known:
            if len(known) >= REMEMBERED:
                known.clear()
            try:
                seen = yield from _seen(size, 1, lexicon)
            except EngineError:  # it takes none alone, and says so of all of them
                return
            known[size] = sum(value.nbytes for value in seen.features.values() if isinstance(value, mx.array))
        own = known[size] * TAKEN
        taken, most = taken + own, max(most, own)
        if taken > MOST_AT_ONCE:
            raise InvalidImage(
                f"{lexicon.info.id} sees all images of a request in one step, and {len(images):,} of such sizes take "
                f"more than the {MOST_AT_ONCE / 1e6:,.0f} MB that are possible. Send {max(MOST_AT_ONCE // most, 1):,} "
                "or fewer, or use a model that sees them one at a time."
            )


def _shown(size: tuple[int, int], count: int, lexicon: Lexicon) -> Generator[None, None, int]:
    """Tokens of so many images of one size."""
    seen = yield from _seen(size, count, lexicon)
    return len(seen.places)


def _seen(size: tuple[int, int], count: int, lexicon: Lexicon) -> Generator[None, None, Seen]:
    """What the processor makes of so many grey images of one size."""
    from PIL import Image

    image = ImageData(b"", "image/png", *size, sha256="")
    request = GenerationRequest(lexicon.info.id, (Message(Role.USER, (ImagePart(image),) * count),))
    prompt = yield from aside(rendering(request, lexicon))
    pictures = [Image.new("RGB", size, "grey")] * count
    seen = yield from see(prompt.text, [image] * count, pictures, lexicon, special=False, together=not lexicon.apart)
    yield
    return seen
