"""How large an image is made: alone, beside others, and by what its header tells before it is decoded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from core.errors import InvalidImage
from core.media.images import MAX_TOGETHER, TOGETHER, ImageData, check_image, decode, together
from tests.core.media.test_images import encoded


def test_a_progressive_jpeg_of_thousands_of_scans_is_refused():
    """Each takes as long as the whole to decode: 115 kB held a processor for 17 s."""
    data = encoded(Image.new("L", (1_000, 1_000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert decode(check_image(data[:last] + data[last:-2] * 900 + data[-2:])).size == (1_000, 1_000)
    with pytest.raises(InvalidImage, match=r"1000 x 1000 pixels in 2,0\d\d scans, and at most 1,000 .* usual JPEG"):
        check_image(data[:last] + data[last:-2] * 2_000 + data[-2:])


def sized(width: int, height: int) -> ImageData:
    return ImageData(b"", "image/png", width, height, "")


def test_images_of_one_request_share_the_pixels_that_are_decoded() -> None:
    alone, small, pair = sized(5_000, 5_000), sized(64, 64), [sized(2_000, 2_000)] * 2
    assert together([alone]) == (alone,)
    assert together([*pair, small]) == (*pair, small)
    photos = [sized(4_000, 3_000)] * 9
    *shared, kept = together([*photos, small])
    assert kept == small
    assert {image.shrunk for image in shared} == {3}
    assert len({image.seen_size for image in shared}) == 1
    for many in ([*photos, small], [alone] * 60, [small] * 9_000):
        assert sum(width * height for width, height in (image.seen_size for image in together(many))) <= TOGETHER
    assert shared[0].name_in_keys != photos[0].name_in_keys
    with pytest.raises(InvalidImage, match=r"The 90 images of the request have 2,250 million pixels together"):
        together([alone] * (MAX_TOGETHER // 25_000_000 + 10))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("shrunk", [2, 3, 6, 8, 12, 700])
def test_an_image_is_decoded_at_the_size_that_was_told(kind: str, shrunk: int) -> None:
    picture = Image.linear_gradient("L").resize((1_001, 1_203)).convert("RGB")
    image = replace(check_image(encoded(picture, kind)), shrunk=shrunk)
    seen = decode(image)
    assert seen.size == image.seen_size == (-(-1_001 // shrunk), -(-1_203 // shrunk))
    last = seen.getpixel((0, seen.height - 1))
    assert isinstance(last, tuple)
    if shrunk < 100:
        assert seen.getpixel((0, 0))[0] < 20 < 230 < last[0]  # type: ignore[index]


def test_a_line_is_refused_by_its_header() -> None:
    with pytest.raises(InvalidImage, match=r"one side is 9,000 times the other, and at most 200 times is possible"):
        check_image(encoded(Image.new("L", (1, 9_000))))
    assert check_image(encoded(Image.new("L", (1, 2_000)))).height == 2_000
