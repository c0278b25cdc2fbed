"""The images that will go with the next message."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.media.images import ImageData
from tui.figures import size
from tui.foreign import plain, shorten
from tui.widgets.picture import Picture

NAME_CELLS = 18


class RemoveMark(Static):
    """A click takes the image off."""

    ALLOW_SELECT = False

    class Pressed(Message):
        def __init__(self, mark: RemoveMark) -> None:
            super().__init__()
            self.mark = mark

    def on_click(self) -> None:
        self.post_message(self.Pressed(self))


class Attachment(Horizontal):
    """One image: small picture, name, size, and the mark that takes it off."""

    def __init__(self, image: ImageData) -> None:
        super().__init__()
        self.image = image

    def compose(self) -> ComposeResult:
        yield Picture(self.image, 6, 3)
        with Vertical(classes="attachment-words"):
            yield Static(plain(shorten(self.image.name or "image", NAME_CELLS)), markup=False)
            yield Static(
                Content.styled(f"{self.image.width}×{self.image.height} · {size(len(self.image.data))}", "$dim")
            )
            yield RemoveMark(Content.assemble(("✕", "$error"), (" remove", "$dim")))


class Attachments(Horizontal):
    """The strip above the composer; gone when it is empty."""

    class Changed(Message):
        """Other images are attached than before."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._images: list[ImageData] = []

    @property
    def images(self) -> list[ImageData]:
        return list(self._images)

    async def add(self, image: ImageData) -> None:
        """Attach an image at the end."""
        self._images.append(image)
        self._tell()
        await self.mount(Attachment(image))
        self.scroll_end(animate=False)

    async def remove_last(self) -> bool:
        """Take the last image off; False if there is none."""
        if not self._images:
            return False
        await self._take_off(list(self.query(Attachment))[-1])
        return True

    async def set(self, images: list[ImageData]) -> None:
        """Replace everything."""
        self._images = list(images)
        self._tell()
        await self.remove_children()
        await self.mount_all(Attachment(image) for image in images)

    async def _take_off(self, attachment: Attachment) -> None:
        position = list(self.query(Attachment)).index(attachment)
        del self._images[position]
        self._tell()
        await attachment.remove()

    def _tell(self) -> None:
        self.set_class(bool(self._images), "-some")
        self.post_message(self.Changed())

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        event.among = self.images

    async def on_remove_mark_pressed(self, event: RemoveMark.Pressed) -> None:
        event.stop()
        attachment = event.mark.query_ancestor(Attachment)
        await self._take_off(attachment)
