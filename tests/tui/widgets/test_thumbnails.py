"""Images made small enough to draw."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from core.media.images import check_image
from tests.tui.scripted import red_square
from tui.widgets.thumbnails import SIDE, cells, shrunk


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((256, 256), (24, 8), (16, 8)),
        ((400, 100), (24, 8), (24, 3)),
        ((100, 400), (24, 8), (4, 8)),
        ((1, 999), (6, 3), (1, 3)),
    ],
)
def test_the_shape_is_kept_inside_the_box(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert cells(*size, *box) == expected


def test_large_images_shrink_and_small_ones_do_not() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 1500), "red").save(buffer, "JPEG")
    assert shrunk(check_image(buffer.getvalue())).size == (SIDE, SIDE // 2)
    assert shrunk(red_square()).size == (64, 64)


def test_what_is_transparent_lies_on_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(buffer, "PNG")
    assert shrunk(check_image(buffer.getvalue())).getpixel((0, 0)) == (255, 255, 255)
