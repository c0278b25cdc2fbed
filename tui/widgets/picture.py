"""An image in the terminal: Kitty or Sixel graphics where the terminal has them, half cells elsewhere."""

from __future__ import annotations

import os

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

# Importing this asks the terminal what it can draw, which must happen before the app takes the terminal over.
from textual_image.widget import HalfcellImage, Image, get_cell_size  # type: ignore[attr-defined]

from core.media.images import ImageData
from tui.background import off_loop
from tui.foreign import plain
from tui.widgets.thumbnails import cells, shrunk

HALF_CELLS = os.environ.get("ASSAY_HALF_CELLS", "") not in ("", "0")
"""Set in the environment to draw with half cells everywhere: for pixels that are the same on every terminal."""


def _cell_ratio() -> float:
    """A cell's height over its width."""
    size = get_cell_size()
    return size.height / size.width if size.width and not HALF_CELLS else 2.0


def box_of(image: ImageData, max_columns: int, max_rows: int) -> tuple[int, int]:
    """Columns and rows that an image takes inside a box of cells on this terminal."""
    return cells(image.width, image.height, max_columns, max_rows, _cell_ratio())


class Picture(Vertical):
    """One image inside a box of cells; a click asks for it in full size."""

    class Wanted(Message):
        """The person wants to see it in full size."""

        def __init__(self, image: ImageData) -> None:
            super().__init__()
            self.image = image

    DEFAULT_CSS = "Picture { width: auto; height: auto; }"

    def __init__(self, image: ImageData, max_columns: int, max_rows: int, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.image = image
        self._box = box_of(image, max_columns, max_rows)
        self.styles.width, self.styles.height = self._box

    def compose(self) -> ComposeResult:
        return iter(())

    def on_mount(self) -> None:
        self._draw()

    @work
    async def _draw(self) -> None:
        try:
            picture = await off_loop(lambda: shrunk(self.image), "thumbnail")
        except Exception as error:  # a header may be sound and the rest of the file not
            await self.mount(Static(plain(f"cannot be shown: {error}", "$error"), markup=False))
            return
        drawn = HalfcellImage(picture) if HALF_CELLS else Image(picture)
        drawn.styles.width, drawn.styles.height = self._box
        await self.mount(drawn)

    def on_click(self) -> None:
        self.post_message(self.Wanted(self.image))
