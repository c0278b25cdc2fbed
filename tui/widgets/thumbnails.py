"""Images made small enough to draw: decoding and shrinking happens here, off the event loop."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

from core.media.images import ImageData

if TYPE_CHECKING:
    from PIL import Image

SIDE = 1024


@lru_cache(maxsize=64)
def shrunk(image: ImageData) -> Image.Image:
    """The picture upright, at most SIDE pixels in either direction, in RGB over white."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(image.data)) as picture:
        picture.draft("RGB", (SIDE, SIDE))
        upright = ImageOps.exif_transpose(picture).convert("RGBA")
    upright.thumbnail((SIDE, SIDE))
    ground = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(ground, upright).convert("RGB")


def cells(width: int, height: int, max_columns: int, max_rows: int, cell_ratio: float = 2.0) -> tuple[int, int]:
    """Columns and rows for a picture of width x height pixels inside a box of cells, its shape kept.

    `cell_ratio` is a cell's height over its width.
    """
    scale = min(max_columns / width, max_rows * cell_ratio / height)
    return max(1, round(width * scale)), max(1, round(height * scale / cell_ratio))
