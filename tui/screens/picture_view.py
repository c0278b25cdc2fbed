"""One image as large as the screen allows."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.media.images import ImageData
from tui.figures import size
from tui.foreign import plain
from tui.widgets.picture import Picture


class PictureView(ModalScreen[None]):
    """Any key closes it."""

    BINDINGS: ClassVar = [Binding("escape,enter,space,q,v", "close", "Close", show=False)]

    def __init__(self, image: ImageData) -> None:
        super().__init__(classes="dialogue")
        self._image = image

    def compose(self) -> ComposeResult:
        image = self._image
        width, height = self.app.size
        with Vertical(classes="box picture-box"):
            yield Picture(image, int(width * 0.95) - 6, int(height * 0.9) - 4)
            yield Static(
                Content.assemble(
                    plain(image.name or "image"),
                    (
                        f"  {image.width}×{image.height} · {size(len(image.data))} · {image.media_type}",
                        "$dim",
                    ),
                ),
                markup=False,
            )

    def on_click(self) -> None:
        self.dismiss()

    def action_close(self) -> None:
        self.dismiss()
