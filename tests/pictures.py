"""Pictures for tests, drawn here: no file is read and no golden image is repeated."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

from core.media.images import ImageData, check_image

Colour = str | tuple[int, int, int]


def _png(picture: Image.Image) -> ImageData:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return check_image(buffer.getvalue())


def png(colour: Colour, size: tuple[int, int] = (64, 64)) -> ImageData:
    """One plain colour."""
    return _png(Image.new("RGB", size, colour))


def shape(kind: str, colour: Colour, box: tuple[int, int, int, int], size: int = 256) -> ImageData:
    """A square, circle or triangle that fills `box` on white."""
    picture = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(picture)
    if kind == "square":
        draw.rectangle(box, fill=colour)
    elif kind == "circle":
        draw.ellipse(box, fill=colour)
    else:
        left, top, right, bottom = box
        draw.polygon([((left + right) / 2, top), (left, bottom), (right, bottom)], fill=colour)
    return _png(picture)


def text(words: str, points: int = 36, at: tuple[int, int] = (30, 100)) -> ImageData:
    """Black words on white."""
    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).text(at, words, fill="black", font=ImageFont.load_default(points))
    return _png(picture)
