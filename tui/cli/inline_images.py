"""Images between the lines of a plain terminal: Kitty or Sixel graphics where it has them, half cells elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


SMALL_ROWS, SMALL_CELLS = 4, 22
"""Cells that an image in a table is high and wide at most."""


def small_images(
    console: Console, images: Mapping[str, Sequence[Path]], wanted: bool | None
) -> dict[str, list[RenderableType]]:
    """Images by name, small enough for a table: where the terminal has graphics, if `wanted` in half cells too. None at
    all in a pipe, or where they are not `wanted`."""
    if wanted is False or not console.is_terminal or not any(images.values()):
        return {}
    from tui.graphics import HALF_CELLS

    draw = ask_terminal()
    from textual_image.renderable import SixelImage, TGPImage

    if not (wanted or HALF_CELLS) and draw not in (SixelImage, TGPImage):
        return {}
    return {name: [_small(draw, path) for path in paths] for name, paths in images.items()}


def _small(draw: Callable[..., RenderableType], path: Path) -> RenderableType:
    from core.errors import InvalidImage
    from core.media.images import decode, read_image

    try:
        picture = decode(read_image(path))
    except (OSError, InvalidImage):
        return ""
    width, height = picture.size
    cells = max(1, min(SMALL_CELLS, round(2 * SMALL_ROWS * width / height)))
    return draw(picture, cells, max(1, min(SMALL_ROWS, round(cells * height / width / 2))))


def print_image(console: Console, path: Path, rows: int) -> None:
    """Draw an image `rows` cells high at most, with its name; the name alone where there is no terminal to draw on."""
    console.print(shown_line(str(path)), style="dim", soft_wrap=True)
    if not console.is_terminal:
        return
    from core.errors import InvalidImage
    from core.media.images import decode, read_image

    try:
        console.print(ask_terminal()(decode(read_image(path)), "auto", "auto"), height=rows)
    except (OSError, InvalidImage) as error:
        console.print(shown_line(f"It cannot be shown: {error}."), style="yellow", soft_wrap=True)


def ask_terminal() -> Callable[..., RenderableType]:
    """What draws an image as this terminal can. The first time it asks the terminal, and waits for a part of a second;
    what is typed meanwhile may be lost."""
    from tui.graphics import HALF_CELLS

    logging.getLogger("textual_image").setLevel(logging.ERROR)  # a terminal that says nothing is no warning
    from textual_image import renderable

    return renderable.HalfcellImage if HALF_CELLS else renderable.Image
