"""What is said and asked while something of a chat cannot be saved."""

from __future__ import annotations

from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button

from tui.chat.saver import ChatSaver
from tui.chat.saving_thread import RETRY_EVERY_S
from tui.screens.confirm import Confirm

TITLE = "Chat"
MARKED = Content.assemble(TITLE, (" · not saved", "$warning"))
"""The pane's title as long as it is so."""


class SavingPane(Vertical):
    """A pane that saves: its title says so as long as something cannot be written."""

    class SavingChanged(Message):
        """Something cannot be saved, and why; with "", all is saved again."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = TITLE
        self.not_saved = ""
        """Why something that was said or written is not in the file, "" as long as all is."""
        self._saver: ChatSaver | None = None

    def _pass_on(self, why: str) -> None:
        """From the saver's thread."""
        self.post_message(self.SavingChanged(why))

    @on(SavingChanged)
    def _saving_changed(self, event: SavingChanged) -> None:
        event.stop()
        self.not_saved = event.why
        self.border_title = MARKED if event.why else TITLE
        if event.why:
            again = f"{event.why} It is tried again every {RETRY_EVERY_S:.0f} s."
            self.notify(again, title="The chat is not saved", severity="warning", timeout=15, markup=False)
        else:
            self.notify("What was not saved is saved now.", timeout=5)

    def close(self) -> None:
        """Finish saving. Blocks, for a bounded time: not for the event loop."""
        if self._saver is not None:
            self._saver.close()


class NotSaved(Confirm):
    """Whether to go on all the same; enter stays. It says what the notices say, and they would lie over it."""

    AUTO_FOCUS = "#no"

    def on_mount(self) -> None:
        self.query_one("#yes", Button).variant = "default"
        self.query_one("#no", Button).variant = "primary"
        self.app.clear_notifications()


def ask_to_leave(why: str) -> NotSaved:
    """Before the workbench is left."""
    so = "Leave all the same, and lose it? Stay to make room, or to write the chat that is shown to a file (alt+e)."
    return NotSaved(f"Not all that was said and written is saved. {why}\n\n{so}", "Leave and lose it", "Stay")


def ask_to_turn(why: str) -> NotSaved:
    """Before another chat is shown."""
    so = "What is not saved waits in memory until it can be, and cannot be seen before. Go on?"
    return NotSaved(f"Not all of this chat is saved. {why}\n\n{so}", "Go on", "Stay")
