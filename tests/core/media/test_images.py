"""Images at the door: limits by the header, and pixels as a model shall see them."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import InvalidImage
from core.media.images import (
    HALVED_ABOVE,
    MAX_BYTES,
    check_image,
    decode,
    image_from_data_uri,
    read_image,
)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


RED = Image.new("RGB", (8, 4), "red")


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_the_four_formats_are_taken_by_their_bytes(kind, media_type):
    data = encoded(RED, kind)
    image = check_image(data, "picture.txt")
    assert (image.media_type, image.width, image.height, image.note) == (media_type, 8, 4, "")
    red, green, blue = decode(image).getpixel((3, 2))
    assert red > 245
    assert green < 10
    assert blue < 10


@pytest.mark.parametrize("kind", ["TGA", "PCX", "SGI"])
def test_other_formats_are_refused(kind):
    with pytest.raises(InvalidImage, match="not a readable PNG, JPEG, WebP or GIF"):
        check_image(encoded(RED, kind))


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"<html>", b"P7"]
)
def test_bytes_that_are_no_image_are_refused_by_name(data):
    with pytest.raises(InvalidImage, match=r"cat.png is not a readable"):
        check_image(data, "cat.png")


def test_too_many_bytes_are_refused_with_the_numbers():
    with pytest.raises(InvalidImage, match=r"is 21\.0 MB; the limit is 21 MB"):
        check_image(b"\0" * (MAX_BYTES + 1))


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims width x height pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x06\0\0\0"
    pixels = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (30_000_001, 1)])
def test_a_bomb_is_refused_by_its_header_without_growth(size):
    data = png_bomb(*size)
    tracemalloc.start()
    with pytest.raises(InvalidImage, match=r"million pixels"):
        check_image(data)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_pillows_own_limit_is_not_lifted():
    before = Image.MAX_IMAGE_PIXELS
    decode(check_image(encoded(RED)))
    assert before == Image.MAX_IMAGE_PIXELS == 89478485


MEASURE = """
import io, sys
from PIL import Image
from core.media.images import check_image, decode
data = sys.stdin.buffer.read()
decode(check_image(open(sys.argv[1], "rb").read()))
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
before = peak()
picture = decode(check_image(data))
print(peak() - before, *picture.size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(
    ("kind", "mode", "side", "options"),
    [
        ("PNG", "RGBA", 5400, {"compress_level": 1}),
        ("PNG", "RGBA", 4000, {"compress_level": 1}),
        ("GIF", "P", 5400, {"transparency": 0}),
        ("JPEG", "RGB", 7000, {"subsampling": 0}),
        ("JPEG", "RGB", 5000, {"progressive": True, "subsampling": 0}),
        ("JPEG", "CMYK", 4000, {"progressive": True, "subsampling": 0}),
        ("WEBP", "RGBA", 3160, {"lossless": True, "method": 0}),
    ],
)
def test_decoding_the_largest_images_grows_by_less_than_200_mb(kind, mode, side, options, tmp_path):
    (tmp_path / "small").write_bytes(encoded(Image.new(mode, (8, 8)), kind))
    data = encoded(Image.new(mode, (side, side)), kind, **options)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "small")]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    growth, width, height = map(int, done.stdout.split())
    assert growth < 200e6
    expected = side // 2 if side * side > HALVED_ABOVE else side
    assert (width, height) == (expected, expected)


def test_four_inks_in_a_progressive_jpeg_have_a_limit_of_their_own():
    with pytest.raises(InvalidImage, match="a progressive CMYK JPEG image may have 20 million"):
        check_image(encoded(Image.new("CMYK", (4500, 4500)), "JPEG", progressive=True))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    # Red at the top left as it should be seen; stored the other way round for the given orientation.
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste("red", (0, 0, 32, 16))
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = check_image(encoded(stored, kind, exif=exif))
    assert (image.width, image.height) == (64, 32)
    seen = decode(image)
    assert seen.size == (64, 32)
    pixels = np.asarray(seen).astype(int)
    assert pixels[8, 8, 1] < 60, "red where red should be"
    assert pixels[24, 48].min() > 200, "white where white should be"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_picture():
    data = encoded(RED, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert decode(check_image(data)).size == (8, 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composed_over_white(mode):
    clear = Image.new(mode, (4, 4), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    assert decode(check_image(encoded(clear))).getpixel((0, 0)) == (255, 255, 255)
    half = Image.new(mode, (4, 4), (0, 0, 0, 128) if mode == "RGBA" else (0, 128))
    assert decode(check_image(encoded(half))).getpixel((0, 0)) == (127, 127, 127)


def test_palette_transparency_is_composed_over_white():
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    for kind in ("PNG", "GIF"):
        assert decode(check_image(encoded(picture, kind, transparency=0))).getpixel((0, 0)) == (255, 255, 255)
        assert decode(check_image(encoded(picture, kind))).getpixel((0, 0)) == (255, 0, 0)


def test_sixteen_bit_greys_keep_their_shades():
    ramp = Image.fromarray(np.linspace(0, 65535, 256, dtype=np.uint16).reshape(1, 256))
    seen = np.asarray(decode(check_image(encoded(ramp))))[0, :, 0]
    assert seen[0] == 0
    assert seen[-1] == 255
    assert abs(int(seen[128]) - 128) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode):
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    assert decode(check_image(encoded(RED.convert(mode), kind))).mode == "RGB"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame_and_says_so(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    image = check_image(data, "moving")
    assert image.note == "moving is animated; only its first frame is looked at."
    red, _, blue = decode(image).getpixel((1, 1))
    assert red > 200
    assert blue < 60


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_truncated_pixels_are_an_invalid_image_and_never_half_a_picture(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(InvalidImage, match=r"truncated|readable"):
        decode(check_image(data[: len(data) * 2 // 3], "cut"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), st.data())
def test_damaged_bytes_give_a_picture_or_invalid_image_and_nothing_else(kind, data):
    raw = bytearray(encoded(Image.linear_gradient("L").resize((24, 24)).convert("RGB"), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode(check_image(bytes(raw))).mode == "RGB"
    except InvalidImage:
        pass


def data_uri(data: bytes, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "uri",
    [
        data_uri(encoded(RED)),
        data_uri(encoded(RED), "DATA:image/jpeg;BASE64,"),
        data_uri(encoded(RED), "data:;base64,"),
        data_uri(encoded(RED), "data:image/png;charset=utf-8;base64,"),
        data_uri(encoded(RED)).rstrip("="),
        data_uri(encoded(RED)).replace("+", "-").replace("/", "_").replace("data:image_png", "data:image/png"),
        "data:image/png;base64,\n" + base64.encodebytes(encoded(RED)).decode(),
        "data:image/png;base64," + " \t\r".join(base64.b64encode(encoded(RED)).decode()),
    ],
)
def test_data_uris_in_every_spelling(uri):
    assert check_image(encoded(RED)) == image_from_data_uri(uri)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "no base64 data URI"),
        ("https://example.com/a.png", "no base64 data URI"),
        ("file:///etc/passwd", "no base64 data URI"),
        ("/etc/passwd", "no base64 data URI"),
        ("data:image/svg+xml,<svg/>", "no base64 data URI"),
        ("data:image/png;base64,@@@@", "is broken"),
        ("data:image/png;base64,aGVsbG8=", "not a readable"),
        ("data:image/png;base64," + "A" * (MAX_BYTES * 4 // 3 + 100), "the limit is 21 MB"),
    ],
)
def test_what_is_no_image_in_a_data_uri_is_refused_without_repeating_it(uri, why):
    with pytest.raises(InvalidImage, match=why) as caught:
        image_from_data_uri(uri)
    assert len(str(caught.value)) < 300


def test_reading_a_file_reports_what_is_wrong_with_it(tmp_path):
    good = tmp_path / "red.png"
    good.write_bytes(encoded(RED))
    assert read_image(str(good)).name == "red.png"
    with pytest.raises(InvalidImage, match="cannot be read: No such file"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(InvalidImage, match="cannot be read: Is a directory"):
        read_image(tmp_path)
    (tmp_path / "big.png").write_bytes(b"\0" * (MAX_BYTES + 5))
    with pytest.raises(InvalidImage, match=r"big\.png is 21\.0 MB"):
        read_image(tmp_path / "big.png")


def test_checking_does_not_decode(monkeypatch):
    data = encoded(RED)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    assert check_image(data).width == 8


def test_importing_the_module_does_not_import_pillow():
    program = "import sys, core.media.images; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def two_pixels(bits: int, colour_type: int, row: bytes, transparent: bytes) -> bytes:
    """A PNG of two pixels side by side whose tRNS chunk names a transparent colour."""
    header = struct.pack(">IIBBBBB", 2, 1, bits, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


@pytest.mark.parametrize(
    ("data", "second"),
    [
        (two_pixels(16, 0, struct.pack(">2H", 0, 40_000), struct.pack(">H", 0)), (155, 155, 155)),
        (
            two_pixels(16, 2, struct.pack(">6H", 500, 500, 500, 65_535, 0, 0), struct.pack(">3H", *3 * [500])),
            (255, 0, 0),
        ),
        (two_pixels(8, 2, bytes([3, 3, 3, 255, 0, 0]), struct.pack(">3H", 3, 3, 3)), (255, 0, 0)),
        (two_pixels(2, 0, bytes([0b01100000]), struct.pack(">H", 1)), (170, 170, 170)),
        (two_pixels(4, 0, bytes([0b00010010]), struct.pack(">H", 1)), (34, 34, 34)),
        (two_pixels(8, 0, bytes([0, 200]), struct.pack(">H", 0)), (200, 200, 200)),
    ],
    ids=["grey16", "rgb16", "rgb8", "grey2", "grey4", "grey8"],
)
def test_a_transparent_colour_is_white_whatever_its_depth(data: bytes, second: tuple[int, int, int]) -> None:
    picture = decode(check_image(data))
    assert [picture.getpixel((x, 0)) for x in range(2)] == [(255, 255, 255), second]


def test_a_jpeg_with_more_pictures_behind_the_first_is_read(tmp_path: Path) -> None:
    """As phones write them (MPF): the first picture is the photograph."""
    file = tmp_path / "phone.jpg"
    first, more = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (20, 15), "blue")
    first.save(file, "MPO", save_all=True, append_images=[more])
    image = read_image(file)
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 40, 30)
    assert image.note == "phone.jpg holds 2 pictures; only the first is looked at."
    red, green, blue = decode(image).getpixel((20, 15))
    assert red > 240
    assert max(green, blue) < 15


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def saved(format: str, side: int = 8, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), "red").convert(mode).save(out, format)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "called"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC file"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC file"),
        (saved("AVIF"), "an AVIF file"),
        (saved("TIFF"), "a TIFF file"),
        (saved("BMP"), "a BMP file"),
        (saved("JPEG2000"), "a JPEG 2000 file"),
        (saved("ICO"), "an ICO file"),
        (saved("PDF"), "a PDF file"),
        (saved("ICNS", 16), "an ICNS file"),
        (saved("PPM"), "a PPM file"),
        (saved("PPM", mode="L"), "a PGM file"),
        (saved("PPM", mode="1"), "a PBM file"),
        (saved("EPS"), "an EPS file"),
        (saved("QOI"), "a QOI file"),
        (b"8BPS\0\1" + bytes(20), "a PSD file"),
        (b"gimp xcf v011\0", "a GIMP file"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "an OpenEXR file"),
        (b"FUJIFILMCCD-RAW 0201FF389502", "a Fujifilm RAF file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a Canon CR3 file"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "an AVIF file"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheic", "a HEIC file"),
        (SVG, "an SVG file"),
        (b"\xef\xbb\xbf" + SVG, "an SVG file"),
        (b"\n<!-- drawn by hand -->\n<!-- <b> -- " + 1000 * b"-" + b"-->" + SVG, "an SVG file"),
        (b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">' + SVG, "an SVG file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # a PDF has the time in it, and runners compare ids
)
def test_what_people_take_for_an_image_is_named_with_what_to_do(data: bytes, called: str) -> None:
    with pytest.raises(InvalidImage, match=rf"photo is {called}; PNG, JPEG, WebP and GIF are read\. Save it as PNG or"):
        check_image(data, "photo")


def test_comments_without_an_end_are_passed_quickly() -> None:
    data = 400 * b"<!-- -->" + b"<html>"
    with pytest.raises(InvalidImage, match="is not a readable PNG"):
        check_image(data, "page")
