"""An image in the terminal: Kitty or Sixel graphics where the terminal has them, half cells elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from core.media.images import ImageData
from tui import graphics
from tui.background import off_loop
from tui.foreign import plain
from tui.widgets.thumbnails import cells, shrunk


def _cell_ratio() -> float:
    """A cell's height over its width."""
    width, height = graphics.terminal.cell_size()
    return 2.0 if graphics.HALF_CELLS else height / width


def box_of(image: ImageData, max_columns: int, max_rows: int) -> tuple[int, int]:
    """Columns and rows that an image takes inside a box of cells on this terminal."""
    return cells(image.width, image.height, max_columns, max_rows, _cell_ratio())


class Picture(Vertical):
    """One image inside a box of cells; a click asks for it in full size."""

    class Wanted(Message):
        """The person wants to see it in full size; whoever knows beside which others it stands adds them to `among`."""

        def __init__(self, image: ImageData, among: Sequence[ImageData] = ()) -> None:
            super().__init__()
            self.image = image
            self.among = among

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
            drawing = await off_loop(graphics.terminal.widget_class, "graphics")
        except Exception as error:  # a header may be sound and the rest of the file not
            await self.mount(Static(plain(f"cannot be shown: {error}", "$error"), markup=False))
            return
        drawn = drawing(picture)  # type: ignore[arg-type]
        drawn.styles.width, drawn.styles.height = self._box
        await self.mount(drawn)

    def fit(self, max_columns: int, max_rows: int) -> None:
        """Take another box of cells, in a window that has changed."""
        if (box := box_of(self.image, max_columns, max_rows)) != self._box:
            self._box = box
            for one in (self, *self.children):
                one.styles.width, one.styles.height = box

    def on_click(self) -> None:
        self.post_message(self.Wanted(self.image))
