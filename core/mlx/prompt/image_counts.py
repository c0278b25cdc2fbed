"""How many tokens images have, told from their sizes before their pixels are decoded."""

from __future__ import annotations

from collections.abc import Generator

from core.calls.requests import GenerationRequest, ImagePart, Message, Role
from core.errors import EngineError
from core.media.images import ImageData
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import aside
from core.mlx.prompt.chat_template import rendering
from core.mlx.prompt.image_inputs import see

REMEMBERED = 4096
"""Sizes whose number of tokens is kept in mind."""
CROWD = 3
"""Images beside which each has as many tokens as beside any more: some models cut up one that is alone."""
SQUARE = (640, 640)
"""A size at which those do."""


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


def _shown(size: tuple[int, int], count: int, loaded: LoadedWeights) -> Generator[None, None, int]:
    """Tokens of so many images of one size."""
    from PIL import Image

    image = ImageData(b"", "image/png", *size, sha256="")
    request = GenerationRequest(loaded.info.id, (Message(Role.USER, (ImagePart(image),) * count),))
    prompt = yield from aside(rendering(request, loaded))
    pictures = [Image.new("RGB", size, "grey")] * count
    seen = yield from see(prompt.text, [image] * count, pictures, loaded, special=False)
    yield
    return len(seen.places)
