"""Bytes to an image within limits, before anything expensive happens with them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import math
import os
import re
import string
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidImage
from core.regular_files import open_regular

if TYPE_CHECKING:
    from PIL import Image as PillowImage

MAX_BYTES = 20 * 1024 * 1024
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}

OTHERS = {
    "AVIF": re.compile(rb"....ftyp(avi[fs]|(mif1|msf1|miaf).{4}(.{4}){0,12}?avi[fs])", re.DOTALL),
    "HEIC": re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL),
    "TIFF": re.compile(rb"II[*+]\x00|MM\x00[*+]"),
    "BMP": re.compile(rb"BM.{4}\x00{4}", re.DOTALL),
    "JPEG XL": re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL "),
    "JPEG 2000": re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"),
    "SVG": re.compile(
        rb"(\xef\xbb\xbf)?(?>\s*+<!--.*?-->)*+\s*+<(\?xml|svg|!doctype\s+svg)\b", re.DOTALL | re.IGNORECASE
    ),
    "PDF": re.compile(rb"%PDF-"),
    "ICO": re.compile(rb"\x00\x00\x01\x00"),
    "ICNS": re.compile(rb"icns"),
    "PSD": re.compile(rb"8BPS"),
    "GIMP": re.compile(rb"gimp xcf"),
    "EPS": re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
    "PBM": re.compile(rb"P[14]\s"),
    "PGM": re.compile(rb"P[25]\s"),
    "PPM": re.compile(rb"P[36]\s"),
    "QOI": re.compile(rb"qoif"),
    "OpenEXR": re.compile(rb"\x76\x2f\x31\x01"),
    "Canon CR3": re.compile(rb"....ftypcrx ", re.DOTALL),
    "Fujifilm RAF": re.compile(rb"FUJIFILMCCD-RAW"),
}
"""How files begin that are none of MEDIA_TYPES and that people take for images."""
_BEGINNING = 4096
"""Bytes in which that is looked for: drawings may begin with a comment."""

# Pixels that may be decoded, so that a decode takes less than 200 MB: Pillow holds 4 bytes a pixel; a progressive JPEG
# adds 6 for its coefficients, WebP's decoder 12 for its canvases; a baseline JPEG is halved while it is decoded.
MAX_PIXELS = {"PNG": 30_000_000, "GIF": 30_000_000, "JPEG": 50_000_000, "WEBP": 10_000_000}
MAX_PROGRESSIVE_PIXELS = 25_000_000
MAX_PROGRESSIVE_INKS = 20_000_000
"""Pixels of a progressive JPEG in CMYK, which adds 8 bytes for its coefficients."""
MAX_SCANNED = 1_000_000_000
"""Pixels of all scans of a progressive JPEG: each takes as long as the whole, and 100 kB may hold thousands. Programs
make about ten."""
HALVED_ABOVE = 16_000_000
"""Pixels above which `decode` halves both sides; no vision model here looks at as many."""
LARGE = 4_000_000
"""Pixels above which the memory that decoding took is given back to the system at once."""
TOGETHER = HALVED_ABOVE
"""Pixels of all images of a request, decoded: above, the largest are made smaller. A processor that is given them all
holds seven bytes of each."""
MAX_TOGETHER = 2_000_000_000
"""Pixels of all images of a request, as they were sent: decoding as many takes some ten seconds."""
MAX_RATIO = 200
LONG = 8_192
"""How many times its one side an image's other may be, and the length in pixels from which that counts: a million lines
of one pixel take ten times the memory of their pixels."""

_STRIP = 512  # rows that are converted together, about
_ORIENTATION = 0x0112
_SCAN = b"\xff\xda"  # a marker, which JPEG's own data never hold
_BASE64, _SPACE = bytes.maketrans(b"-_", b"+/"), string.whitespace.encode()
_DATA_URI = re.compile(r"data:([\w.+/-]*)((?:;[\w.+=-]+)*?)(;base64)?,", re.IGNORECASE)


@dataclass(frozen=True)
class ImageData:
    """An image file's bytes with what was read from its header.

    Width and height are pixels, after the turn that EXIF asks for; `sha256` is hex; `note` is a sentence for the user
    about what will not be seen of it, or "".
    """

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    sha256: str
    name: str = ""
    note: str = ""
    shrunk: int = 1
    """By how many times both sides are made smaller when it is decoded, on account of the images beside it."""

    @property
    def step(self) -> int:
        """By how many times both sides are made smaller in all."""
        return max(self.shrunk, 2 if self.width * self.height > HALVED_ABOVE else 1)

    @property
    def seen_size(self) -> tuple[int, int]:
        """Width and height of what `decode` makes of it, in pixels."""
        return -(-self.width // self.step), -(-self.height // self.step)

    @property
    def name_in_keys(self) -> str:
        """What stands for its pixels: the same file made smaller is another picture."""
        return f"{self.sha256}/{self.shrunk}" if self.shrunk > 1 else self.sha256


def check_image(data: bytes, name: str = "") -> ImageData:
    """Check the format and the size of an image by its header alone, without decoding its pixels.

    Raises InvalidImage when the bytes are not PNG, JPEG, WebP or GIF, or exceed MAX_BYTES or MAX_PIXELS.
    """
    label = name or "The image"
    if len(data) > MAX_BYTES:
        raise InvalidImage(
            f"{label} is {len(data) / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB. Shrink it first."
        )
    try:
        with _open(data) as picture:
            kind = _kind(picture)
            (width, height), progressive = picture.size, bool(picture.info.get("progressive"))
            inks = "CMYK " if progressive and picture.mode == "CMYK" else ""
            most_progressive = MAX_PROGRESSIVE_INKS if inks else MAX_PROGRESSIVE_PIXELS
            limit = most_progressive if progressive else MAX_PIXELS[kind]
            fits = 0 < width * height <= limit
            turned = fits and _orientation(picture) >= 5
            frames = int(getattr(picture, "n_frames", 1)) if fits else 1
    except Exception as error:  # Pillow's readers raise a dozen kinds on hostile bytes; all but one mean the same here
        raise InvalidImage(_bomb(label, error) or _unreadable(label, data)) from error
    if not fits:
        what = f"a {'progressive ' if progressive else ''}{inks}{kind} image may have"
        raise InvalidImage(
            f"{label} has {width}x{height} = {width * height / 1e6:.0f} million pixels; "
            f"{what} {limit / 1e6:.0f} million. Shrink it first."
        )
    if progressive and (scans := data.count(_SCAN)) * width * height > MAX_SCANNED:
        raise InvalidImage(
            f"{label} is a progressive JPEG of {width} x {height} pixels in {scans:,} scans, and at most "
            f"{max(MAX_SCANNED // (width * height), 1):,} of so many pixels are read. Save it again as a usual JPEG."
        )
    longest, shortest = max(width, height), min(width, height)
    if longest > LONG and (ratio := longest / shortest) > MAX_RATIO:
        raise InvalidImage(
            f"{label} has {width} x {height} pixels: one side is {ratio:,.0f} times the other, and at most {MAX_RATIO} "
            "times is possible. Crop the image, or pad it on its short side."
        )
    if turned:
        width, height = height, width
    note = ""
    if frames > 1:
        note = f"{label} is animated; only its first frame is looked at."
        if kind == "JPEG":  # MPF: phones put a second view, a depth map or a brighter copy into the same file
            note = f"{label} holds {frames} pictures; only the first is looked at."
    return ImageData(data, MEDIA_TYPES[kind], width, height, hashlib.sha256(data).hexdigest(), name, note)


def read_image(path: str | Path) -> ImageData:
    """Read an image file that the person at the keyboard named. Raises InvalidImage; never used for HTTP clients."""
    file = Path(path).expanduser()
    try:
        with open_regular(file) as handle:
            size = os.fstat(handle.fileno()).st_size
            data = handle.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InvalidImage(f"{file.name} is {size / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB.")
    except OSError as error:
        raise InvalidImage(f"{file} cannot be read: {error.strerror or error}.") from error
    return check_image(data, file.name)


def image_from_data_uri(uri: str, name: str = "") -> ImageData:
    """The image inside a base64 data URI (RFC 2397); what its bytes are counts, not what type it claims.

    Raises InvalidImage, without repeating the data.
    """
    label = name or "The image"
    header = _DATA_URI.match(uri[:256])
    if header is None or not header.group(3):
        raise InvalidImage(f"{label} is no base64 data URI: it has to begin like data:image/png;base64,…")
    encoded = uri[header.end() :]
    if len(encoded) * 3 // 4 > MAX_BYTES + 3:
        raise InvalidImage(
            f"{label} is {len(encoded) * 3 / 4e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB. Shrink it first."
        )
    try:
        compact = encoded.encode("ascii").translate(_BASE64, _SPACE).rstrip(b"=")
        data = base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"The base64 data of {label[0].lower() + label[1:]} is broken ({error}).") from error
    return check_image(data, name)


def together(images: Iterable[ImageData]) -> tuple[ImageData, ...]:
    """The images of one request, the largest made smaller until all have at most TOGETHER pixels decoded.

    Raises InvalidImage for more than MAX_TOGETHER.
    """
    shared = list(images)
    sent = sum(image.width * image.height for image in shared)
    if sent > MAX_TOGETHER:
        raise InvalidImage(
            f"The {len(shared):,} images of the request have {sent / 1e6:,.0f} million pixels together, and at most "
            f"{MAX_TOGETHER / 1e6:,.0f} million are decoded for one. Send fewer or smaller images."
        )
    sizes = sorted(math.prod(image.seen_size) for image in shared)
    left, most = TOGETHER, max(sizes, default=0)
    for place, size in enumerate(sizes):
        if size * (len(sizes) - place) > left:  # the larger ones share what the smaller ones leave
            most = max(left // (len(sizes) - place), 1)
            break
        left -= size
    return tuple(_shrunk(image, most) for image in shared)


def _shrunk(image: ImageData, most: int) -> ImageData:
    """An image made smaller until it has at most so many pixels; very large ones by even numbers, as JPEGs are read."""
    while math.prod(image.seen_size) > most:
        image = replace(image, shrunk=image.step + (2 if image.width * image.height > HALVED_ABOVE else 1))
    return image


def decode(image: ImageData) -> PillowImage.Image:
    """The pixels as an RGB picture: turned as EXIF says, transparency over white, first frame of an animation.

    Both sides are halved above HALVED_ABOVE pixels, or made smaller as `image.shrunk` says.
    Raises InvalidImage when the pixels are truncated or corrupt.
    """
    try:
        return _decoded(image)
    except Exception as error:  # as in check_image
        label = image.name or "The image"
        raise InvalidImage(f"{label} cannot be decoded: it is truncated or corrupt ({error}).") from error
    finally:
        if image.width * image.height > LARGE:
            _give_memory_back()


def _decoded(image: ImageData) -> PillowImage.Image:
    with _open(image.data) as picture:
        flat = _flattened(picture, image.step)
        turn = _turns().get(_orientation(picture))
        return flat if turn is None else flat.transpose(turn)


def _kind(picture: PillowImage.Image) -> str:
    """The format by MEDIA_TYPES: what Pillow calls MPO is a JPEG with more pictures behind it (CIPA DC-007)."""
    return "JPEG" if picture.format == "MPO" else picture.format or ""


def _bomb(label: str, error: Exception) -> str | None:
    """That an image has too many pixels, where Pillow itself says so and nothing else of it; else None."""
    from PIL.Image import DecompressionBombError

    found = re.search(r"\((\d+) pixels\)", str(error)) if isinstance(error, DecompressionBombError) else None
    if found is None:
        return None
    most = max(MAX_PIXELS.values())
    return (
        f"{label} has {int(found[1]) / 1e6:,.0f} million pixels; an image may have at most {most / 1e6:.0f} million, "
        "and less in most formats. Shrink it first."
    )


def _unreadable(label: str, data: bytes) -> str:
    """That bytes are no image that is read here; of a format that people have, which it is and what to do."""
    for name, begins in OTHERS.items():
        if begins.match(data[:_BEGINNING]):
            article = "an" if name[0] in "AEIOS" else "a"
            return (
                f"{label} is {article} {name} file; PNG, JPEG, WebP and GIF are read. Save it as PNG or JPEG first, "
                "in an image viewer or with `sips -s format png IN --out OUT.png` on a Mac."
            )
    return f"{label} is not a readable PNG, JPEG, WebP or GIF image."


def _open(data: bytes) -> PillowImage.Image:
    from PIL import Image

    _quieten()
    return Image.open(io.BytesIO(data), formats=list(MEDIA_TYPES))


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's; other systems give memory back by themselves."""
    import ctypes

    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def _give_memory_back() -> None:
    """What one thread has freed, glibc keeps for it; picture after picture that would be hundreds of megabytes."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _quieten() -> None:
    """Keep Pillow's warnings about a client's bytes off the terminal; the limit at which it raises stays."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _orientation(picture: PillowImage.Image) -> int:
    """EXIF's orientation, 1 to 8. A PNG's is read only where it precedes the pixels: else Pillow would decode them."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF, in as many ways as damaged pixels: the picture itself may be whole
        return 1
    return value if isinstance(value, int) else 1


def _turns() -> dict[int, PillowImage.Transpose]:
    """What undoes each of EXIF's orientations (EXIF 2.32, 4.6.4.A): 1 is upright."""
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }


def _flattened(picture: PillowImage.Image, step: int) -> PillowImage.Image:
    """The picture as RGB over white, each side `step` times smaller; decoded once and converted strip by strip.

    Whole-picture conversions would each hold another copy of all pixels.
    """
    from PIL import Image

    width, height = picture.size
    scale = math.gcd(step, 8)
    if scale > 1 and min(width, height) >= scale and picture.draft("RGB", (width // scale, height // scale)):
        (width, height), step = picture.size, step // scale  # JPEG alone: made smaller while it is decoded
    _scale_transparency(picture)
    picture.load()
    if picture.mode == "RGB" and step == 1 and "transparency" not in picture.info:
        return picture
    whole = Image.new("RGB", (-(-width // step), -(-height // step)))
    rows = max(_STRIP // step, 1) * step
    for top in range(0, height, rows):
        strip = _on_white(picture.crop((0, top, width, min(top + rows, height))), picture.info)
        whole.paste(strip.reduce(step) if step > 1 else strip, (0, top // step))
    return whole


def _scale_transparency(picture: PillowImage.Image) -> None:
    """A PNG names its transparent colour in the file's own depth, where Pillow leaves it though it makes 8 bits."""
    value, tiles = picture.info.get("transparency"), getattr(picture, "tile", None)
    raw = str(tiles[0][3]) if tiles else ""
    if isinstance(value, tuple) and raw.startswith("RGB;16"):
        picture.info["transparency"] = tuple(part >> 8 for part in value)
    elif isinstance(value, int) and raw in ("L;2", "L;4"):
        picture.info["transparency"] = value * (85 if raw == "L;2" else 17)


def _on_white(strip: PillowImage.Image, info: dict[Any, Any]) -> PillowImage.Image:
    from PIL import Image

    if strip.mode.startswith("I"):  # 16 bits a sample: Pillow's own conversion would clip all but the darkest
        return _sixteen_bits(strip, info.get("transparency"))
    if "transparency" not in info and strip.mode not in ("RGBA", "LA", "PA", "La", "RGBa"):
        return strip.convert("RGB")
    seen = strip.convert("RGBA")
    white = Image.new("RGB", seen.size, "white")
    white.paste(seen, mask=seen.getchannel("A"))
    return white


def _sixteen_bits(strip: PillowImage.Image, transparent: int | None) -> PillowImage.Image:
    """Grey of 16 bits as RGB; the grey that stands for transparency is white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(strip.convert("I"))
    grey = np.clip(values // 257, 0, 255).astype(np.uint8)
    if transparent is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")
