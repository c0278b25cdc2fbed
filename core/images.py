"""Bytes to an image within limits, before anything expensive happens with them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InvalidImage

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 40_000_000
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True)
class ImageData:
    """An image file's bytes with what was read from its header. Width and height are pixels; `sha256` is hex."""

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    sha256: str
    name: str = ""


def check_image(data: bytes, name: str = "") -> ImageData:
    """Check the format and the size of an image by its header alone, without decoding its pixels.

    Raises InvalidImage when the bytes are not PNG, JPEG, WebP or GIF, or exceed MAX_BYTES or MAX_PIXELS.
    """
    from PIL import Image, UnidentifiedImageError

    label = name or "The image"
    if len(data) > MAX_BYTES:
        raise InvalidImage(
            f"{label} is {len(data) / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB. Shrink it first."
        )
    try:
        with Image.open(io.BytesIO(data), formats=list(MEDIA_TYPES)) as picture:
            width, height = picture.size
            kind = picture.format or ""
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidImage(f"{label} is not a readable PNG, JPEG, WebP or GIF image ({error}).") from error
    if width * height > MAX_PIXELS:
        raise InvalidImage(
            f"{label} has {width}x{height} = {width * height / 1e6:.0f} million pixels; "
            f"the limit is {MAX_PIXELS / 1e6:.0f} million. Shrink it first."
        )
    return ImageData(data, MEDIA_TYPES[kind], width, height, hashlib.sha256(data).hexdigest(), name)


def read_image(path: str | Path) -> ImageData:
    """Read an image file that the person at the keyboard named. Raises InvalidImage; never used for HTTP clients."""
    file = Path(path).expanduser()
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InvalidImage(
                f"{file.name} is {file.stat().st_size / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB."
            )
        return check_image(file.read_bytes(), file.name)
    except OSError as error:
        raise InvalidImage(f"{file} cannot be read: {error.strerror or error}.") from error
