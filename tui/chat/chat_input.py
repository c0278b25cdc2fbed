"""Where a message is put together: the text, the images that go with it, and the paths being completed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from core.chats.history import Draft
from core.errors import EngineError
from core.media.images import ImageData, read_image
from tui.background import off_loop
from tui.chat.attachments import Attachments
from tui.chat.clipboard import clipboard_image
from tui.chat.completions import Completions
from tui.chat.composer import Composer
from tui.chat.dropped import absent_images, mentioned_images


class ChatInput(Vertical):
    """Composer, attachments and completions. Posts `Sent`; keeps the draft until it is told that it was taken."""

    class Sent(Message):
        """A message is ready. `draft` is the text as it stood in the composer."""

        def __init__(self, text: str, images: list[ImageData], draft: str) -> None:
            super().__init__()
            self.text = text
            self.images = images
            self.draft = draft

    class Resized(Message):
        """It takes another number of lines."""

    attachments = getters.query_one(Attachments)
    completions = getters.query_one(Completions)
    composer = getters.query_one(Composer)

    def compose(self) -> ComposeResult:
        yield Completions("completions", Path.cwd())
        yield Attachments("attachments")
        yield Composer("composer")

    def on_resize(self) -> None:
        self.post_message(self.Resized())

    # -- what becomes of a message ------------------------------------------------------------------------------------

    @on(Composer.Submitted)
    async def _submitted(self, event: Composer.Submitted) -> None:
        event.stop()
        text, named = mentioned_images(event.text)
        images = self.attachments.images
        try:
            for path in named:
                images.append(await off_loop(partial(read_image, path), "read-image"))
        except EngineError as error:
            self.notify(error.message, title="Not sent", severity="error")
            return
        for sentence in absent_images(event.text):
            self.notify(sentence, severity="warning")
        if text.strip() or images:
            self.post_message(self.Sent(text.strip(), images, event.text))

    async def taken(self, draft: str) -> None:
        """The message has gone out: empty everything, and remember the text for the up key."""
        self.composer.accepted(draft)
        await self.attachments.set([])

    @property
    def draft(self) -> Draft:
        """What is written and not sent."""
        return Draft(self.composer.written, tuple(self.attachments.images))

    async def put(self, draft: Draft) -> None:
        """Write something else in place of what is there."""
        self.composer.write(draft.text)
        await self.attachments.set(list(draft.images))

    # -- completing paths ---------------------------------------------------------------------------------------------

    @on(Composer.MentionChanged)
    def _mention(self, event: Composer.MentionChanged) -> None:
        event.stop()
        self.composer.completing = self.completions.offer(event.typed)

    @on(Composer.CompletionKey)
    def _completion_key(self, event: Composer.CompletionKey) -> None:
        event.stop()
        match event.what:
            case "up":
                self.completions.action_cursor_up()
            case "down":
                self.completions.action_cursor_down()
            case "close":
                self.composer.completing = self.completions.offer(None)
            case _:
                candidate = self.completions.chosen
                if candidate is not None:
                    self.composer.complete(candidate)
                    if not candidate.folder:
                        self.attach_files([candidate.path])

    # -- images -------------------------------------------------------------------------------------------------------

    @on(Composer.FilesDropped)
    def _files_dropped(self, event: Composer.FilesDropped) -> None:
        event.stop()
        self.attach_files(event.paths)

    @work(group="attach")
    async def attach_files(self, paths: Sequence[Path]) -> None:
        """Attach image files; one that cannot be read is a toast."""
        for path in paths:
            try:
                image = await off_loop(partial(read_image, path), "read-image")
            except EngineError as error:
                self.notify(error.message, title="Not attached", severity="error")
                continue
            await self.attachments.add(image)
        self.composer.focus()

    @on(Composer.PasteWanted)
    def _paste_wanted(self, event: Composer.PasteWanted) -> None:
        event.stop()
        self._paste()

    @work(exclusive=True, group="paste")
    async def _paste(self) -> None:
        """The clipboard's image if there is one; else the text that was last copied inside the workbench."""
        copied = self.app.clipboard
        try:
            image = await off_loop(clipboard_image, "clipboard")
        except EngineError as error:
            if copied:
                self.composer.take_paste(copied)
            else:
                self.notify(error.message, severity="warning", timeout=8)
            return
        if image is not None:
            await self.attachments.add(image)
        elif copied:
            self.composer.take_paste(copied)
        else:
            self.notify("The clipboard holds no image.")

    @on(Composer.DetachWanted)
    async def _detach_wanted(self, event: Composer.DetachWanted) -> None:
        event.stop()
        await self.attachments.remove_last()
