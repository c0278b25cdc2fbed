"""How many tokens images have and what they take, told from their sizes before their pixels are decoded."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import mlx.core as mx

from core.calls.requests import GenerationRequest, ImagePart, Message, Role
from core.errors import EngineError, InvalidImage
from core.media.images import ImageData
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import aside
from core.mlx.prompt.chat_template import rendering
from core.mlx.prompt.image_inputs import Seen, see
from core.mlx.prompt.pixels import one_by_one

REMEMBERED = 4096
"""Sizes whose number of tokens is kept in mind."""
CROWD = 3
"""Images beside which each has as many tokens as beside any more: some models cut up one that is alone."""
SQUARE = (640, 640)
"""A size at which those do."""

MOST_AT_ONCE = 120_000_000
"""Bytes that the images of a request may take in all where a model sees them in one step."""

TAKEN = 10
"""Bytes that a vision tower takes, about, for each that it is given."""


def count_image(image: ImageData, loaded: LoadedWeights) -> Generator[None, None, int]:
    """Tokens of an image beside others. The processor is shown a grey one of its size, once for each size.

    Raises EngineError where a template or a processor takes none alone.
    """
    size, known = image.seen_size, loaded.image_tokens
    if not loaded.images_shown:
        alone = yield from _shown(SQUARE, 1, loaded)
        try:
            several = yield from _shown(SQUARE, CROWD, loaded)
        except EngineError:  # it takes one at a time
            several = CROWD * alone
        loaded.images_shown = 1 if several == CROWD * alone else CROWD
    if size not in known:
        if len(known) >= REMEMBERED:
            known.clear()
        known[size] = (yield from _shown(size, loaded.images_shown, loaded)) // loaded.images_shown
    return known[size]


def usual_tokens(loaded: LoadedWeights) -> Generator[None, None, int]:
    """How many tokens an image of a usual size has; 0 where a template or a processor leaves it out."""
    try:
        return (yield from _shown(SQUARE, 1, loaded))
    except EngineError:
        return 0


def refuse_at_once(images: Sequence[ImageData], loaded: LoadedWeights) -> Generator[None, None, None]:
    """Raise InvalidImage for several images of which a model that sees them in one step would take too much memory."""
    if len(images) < 2 or loaded.apart or one_by_one(loaded.model):
        return
    taken, most = 0, 0
    for image in images:
        size, known = image.seen_size, loaded.image_bytes
        if size not in known:
            if len(known) >= REMEMBERED:
                known.clear()
            try:
                seen = yield from _seen(size, 1, loaded)
            except EngineError:  # it takes none alone, and says so of all of them
                return
            known[size] = sum(value.nbytes for value in seen.features.values() if isinstance(value, mx.array))
        own = known[size] * TAKEN
        taken, most = taken + own, max(most, own)
        if taken > MOST_AT_ONCE:
            raise InvalidImage(
                f"{loaded.info.id} sees all images of a request in one step, and {len(images):,} of such sizes take "
                f"more than the {MOST_AT_ONCE / 1e6:,.0f} MB that are possible. Send {max(MOST_AT_ONCE // most, 1):,} "
                "or fewer, or use a model that sees them one at a time."
            )


def _shown(size: tuple[int, int], count: int, loaded: LoadedWeights) -> Generator[None, None, int]:
    """Tokens of so many images of one size."""
    seen = yield from _seen(size, count, loaded)
    return len(seen.places)


def _seen(size: tuple[int, int], count: int, loaded: LoadedWeights) -> Generator[None, None, Seen]:
    """What the processor makes of so many grey images of one size."""
    from PIL import Image

    image = ImageData(b"", "image/png", *size, sha256="")
    request = GenerationRequest(loaded.info.id, (Message(Role.USER, (ImagePart(image),) * count),))
    prompt = yield from aside(rendering(request, loaded))
    pictures = [Image.new("RGB", size, "grey")] * count
    seen = yield from see(prompt.text, [image] * count, pictures, loaded, special=False, together=not loaded.apart)
    yield
    return seen
