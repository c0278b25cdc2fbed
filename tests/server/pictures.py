"""Small images for requests."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw


def png(color: str = "red", size: int = 256) -> bytes:
    """A square of `color` in the middle of a white PNG."""
    picture = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(picture).rectangle((size // 4, size // 4, size * 3 // 4, size * 3 // 4), fill=color)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
