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

from core.images import ImageData
from tui.background import off_loop
from tui.foreign import plain
from tui.thumbnails import cells, shrunk

CELLS_ONLY = "ASSAY_HALF_CELLS"
"""Set to 1 to draw with half cells wherever Assay runs: for pixels that are the same everywhere."""


def half_cells() -> bool:
    return os.environ.get(CELLS_ONLY, "") not in ("", "0")


def _cell_ratio() -> float:
    if half_cells():
        return 2.0
    size = get_cell_size()
    return size.height / size.width if size.width else 2.0


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
        self._box = cells(image.width, image.height, max_columns, max_rows, _cell_ratio())
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
        drawn = HalfcellImage(picture) if half_cells() else Image(picture)
        drawn.styles.width, drawn.styles.height = self._box
        await self.mount(drawn)

    def on_click(self) -> None:
        self.post_message(self.Wanted(self.image))
