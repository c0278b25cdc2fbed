"""How many tokens images have, told from their sizes before their pixels are decoded."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from core.calls.generation_checks import check_images
from core.calls.requests import GenerationRequest, ImagePart, Message, Role
from core.errors import EngineError, UnsupportedInput
from core.media.images import ImageData, together
from core.mlx.models.lexicon import Lexicon
from core.mlx.models.templates import aside
from core.mlx.prompt.chat_template import Prompt, rendering
from core.mlx.prompt.image_inputs import Seen, see
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
            raise left_out(lexicon)
    return prompt, seen


def made_smaller(prompt: Prompt, images: Sequence[ImageData]) -> tuple[Prompt, Sequence[ImageData]]:
    """The images of a prompt as they are looked at together, and the prompt with a note of those made smaller."""
    images = together(images)
    smaller = sum(1 for image in images if image.shrunk > 1)
    if smaller:
        note = f"{smaller} of {len(images)} images are looked at smaller: together they have too many pixels"
        prompt = replace(prompt, notes=(*prompt.notes, note))
    return prompt, images


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


def left_out(lexicon: Lexicon) -> UnsupportedInput:
    """The refusal of images of which the rendered prompt has nothing."""
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


def _shown(size: tuple[int, int], count: int, lexicon: Lexicon) -> Generator[None, None, int]:
    """Tokens of so many images of one size."""
    from PIL import Image

    image = ImageData(b"", "image/png", *size, sha256="")
    request = GenerationRequest(lexicon.info.id, (Message(Role.USER, (ImagePart(image),) * count),))
    prompt = yield from aside(rendering(request, lexicon))
    pictures = [Image.new("RGB", size, "grey")] * count
    seen = yield from see(prompt.text, [image] * count, pictures, lexicon, special=False)
    yield
    return len(seen.places)
