"""Draw the images of the built-in suite: `python -m core.golden.draw [FOLDER]` writes them, ever the same pixels."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 256
BOX = (64, 64, 192, 192)
"""Left, top, right and bottom of both shapes, the last pixel included."""
POINTS = 36
TEXT = "Hello MLX"


def draw_all() -> Mapping[str, Image]:
    """The three images by file name, each SIZE x SIZE pixels, RGB, on white."""
    return {"red_square.png": red_square(), "blue_circle.png": blue_circle(), "text_sample.png": text_sample()}


def red_square() -> Image:
    from PIL import ImageDraw

    image = _white()
    ImageDraw.Draw(image).rectangle(BOX, fill="red")
    return image


def blue_circle() -> Image:
    from PIL import ImageDraw

    image = _white()
    ImageDraw.Draw(image).ellipse(BOX, fill="blue")
    return image


def text_sample() -> Image:
    """TEXT in black in the middle, in the font that Pillow brings."""
    from PIL import ImageDraw, ImageFont

    image = _white()
    ImageDraw.Draw(image).text(
        (SIZE / 2, SIZE / 2), TEXT, fill="black", font=ImageFont.load_default(POINTS), anchor="mm"
    )
    return image


def _white() -> Image:
    from PIL import Image

    return Image.new("RGB", (SIZE, SIZE), "white")


def main() -> None:
    """Write the images into the folder named on the command line, else into the built-in suite."""
    parser = argparse.ArgumentParser(prog="python -m core.golden.draw", description="Draw the built-in suite's images.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "builtin" / "images")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in draw_all().items():
        image.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
