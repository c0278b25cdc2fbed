"""Images as large as the screen allows, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Center, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static

from core.media.images import ImageData
from tui.actions import bindings
from tui.figures import size
from tui.foreign import one_line, plain
from tui.widgets.footer import KeyFooter
from tui.widgets.picture import Picture

CAPTION_CELLS = 60
"""What the words under a small picture have."""


def _box_cells(picture: Picture) -> int:
    """How wide the box around a picture is: its own edges and padding are four cells."""
    width = picture.styles.width
    return max(CAPTION_CELLS, int(width.value) + 4 if width else 0)


class PictureView(ModalScreen[None]):
    """Left and right go through the images, from the last to the first and back; escape closes it."""

    BINDINGS: ClassVar = [
        *bindings("pictures"),
        Binding("down,space,tab", "turn(1)", show=False),
        Binding("up,shift+tab", "turn(-1)", show=False),
    ]

    index: reactive[int] = reactive(0, init=False)

    def __init__(self, images: Sequence[ImageData], index: int = 0) -> None:
        super().__init__(classes="dialogue")
        self._images = images
        self.set_reactive(PictureView.index, index)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box picture-box") as box:
            box.border_subtitle = "←→ the others · esc closes" if len(self._images) > 1 else "esc closes"
            picture = self._picture()
            box.styles.width = _box_cells(picture)
            with Center(id="picture-place"):
                yield picture
            yield Static(self._caption(), id="picture-caption", markup=False)
        yield KeyFooter(show_command_palette=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action not in ("turn", "first", "last") or len(self._images) > 1

    def _picture(self) -> Picture:
        width, height = self.app.size
        return Picture(self._images[self.index], int(width * 0.95) - 6, int(height * 0.9) - 4)

    def _caption(self) -> Content:
        image = self._images[self.index]
        place = f"{self.index + 1} of {len(self._images)}  " if len(self._images) > 1 else ""
        facts = f"  {image.width}×{image.height} · {size(len(image.data))} · {image.media_type}"
        return Content.assemble((place, "$primary"), plain(one_line(image.name) or "image"), (facts, "$dim"))

    async def watch_index(self) -> None:
        await self._show()

    async def on_resize(self, event: events.Resize) -> None:
        if self.query(Picture):
            await self._show()

    async def _show(self) -> None:
        self.query_one("#picture-caption", Static).update(self._caption())
        picture = self._picture()
        with self.app.batch_update():
            await self.query(Picture).remove()
            self.query_one(".picture-box").styles.width = _box_cells(picture)
            await self.query_one("#picture-place").mount(picture)

    def on_click(self) -> None:
        self.dismiss()

    def action_turn(self, by: int) -> None:
        self.index = (self.index + by) % len(self._images)

    def action_first(self) -> None:
        self.index = 0

    def action_last(self) -> None:
        self.index = len(self._images) - 1

    def action_close(self) -> None:
        self.dismiss()
