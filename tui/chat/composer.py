"""Where a message is written: enter sends, ctrl+j breaks the line, @ completes paths, dropped files become images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from tui.actions import bindings
from tui.chat.dropped import dropped_images
from tui.chat.mentions import Candidate, mention_start, open_mention
from tui.chat.recall import Recall
from tui.foreign import clean, plain
from tui.pasted import cleaned
from tui.widgets.text_fields import TextField

ASK = "Ask something. @ attaches an image."


class Composer(TextField):
    """The input of the chat. It knows nothing of models: it posts what the person did."""

    BINDINGS: ClassVar = [*bindings("completing"), *bindings("composer")]

    class Submitted(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class FilesDropped(Message):
        """Text that named image files and nothing else was pasted."""

        def __init__(self, paths: list[Path]) -> None:
            super().__init__()
            self.paths = paths

    class MentionChanged(Message):
        """The cursor stands in an @path (`typed` is what follows the @), or in none (None)."""

        def __init__(self, typed: str | None) -> None:
            super().__init__()
            self.typed = typed

    class CompletionKey(Message):
        """A key for the list of completions while it is open: up, down, accept or close."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    class PasteWanted(Message):
        """The clipboard's image is asked for."""

    class EditLeft(Message):
        """The message that is edited is to stay as it was."""

    class SentTooEarly(Message):
        """Nobody is there yet who could be asked."""

    class DetachWanted(Message):
        """The last attached image is to go."""

    def __init__(self, id: str) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            compact=True,
            highlight_cursor_line=False,
            placeholder=ASK,
        )
        self._completing = False
        self.sends = False
        """Whether enter sends; until then it breaks the line, and what is typed waits here in its order."""
        self.editing = False
        self.asked: Callable[[], list[str]] = list
        """What was asked in the chat that is shown, in order, for the up key."""
        self._recall = Recall()

    @property
    def completing(self) -> bool:
        """Whether the list of paths is open, which takes some of the keys."""
        return self._completing

    @completing.setter
    def completing(self, completing: bool) -> None:
        if completing != self._completing:
            self._completing = completing
            self.refresh_bindings()

    # -- sending ------------------------------------------------------------------------------------------------------

    def action_send(self) -> None:
        if self.completing:
            self.action_complete()
        elif not self.sends:
            if self.text.strip():
                self.insert("\n")
            self.post_message(self.SentTooEarly())
        else:
            self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        self.insert("\n")

    def accepted(self, text: str) -> None:
        """The message has gone out: remember it for the up key and take it out of the box, not what came since. The
        draft that waited while an earlier message was looked up and sent comes back."""
        waited, since = self._recall.draft or "", self.text.removeprefix(text)
        self._recall.sent(text)
        self.write("\n".join(filter(None, (waited, since))))

    def await_results(self, tools: Sequence[str]) -> None:
        """Say that what is typed next is the result of these calls; of none, that anything may be asked."""
        names = clean(", ".join(tools))
        self.placeholder = plain(f"The model waits for what {names} gives: type the result here.") if tools else ASK
        if not self.editing:
            self.border_title = plain(f" result of {names} ") if tools else ""

    @property
    def written(self) -> str:
        """What is written and not sent: of an earlier message that is looked up, what was made of it."""
        return self._recall.written(self.text)

    def begin_chat(self) -> None:
        """Another chat is shown: what was asked there is what the up key brings back first."""
        self._recall.turn_page()

    def write(self, text: str) -> None:
        """Put `text` in the box, the cursor behind it."""
        self._recall.leave()
        self._show(text)

    def _show(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)

    def action_paste_image(self) -> None:
        self.post_message(self.PasteWanted())

    def action_detach(self) -> None:
        self.post_message(self.DetachWanted())

    def show_edit(self, title: str) -> None:
        """Say that a sent message is being edited, or, with "", that none is."""
        self.border_title = f" {title} " if title else ""
        self.editing = bool(title)
        self.refresh_bindings()

    def action_leave_edit(self) -> None:
        self.post_message(self.EditLeft())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("complete", "close_completions"):
            return self.completing
        if action == "send":
            return not self.completing
        return action != "leave_edit" or (self.editing and not self.completing)

    def action_complete(self) -> None:
        self.post_message(self.CompletionKey("accept"))

    def action_close_completions(self) -> None:
        self.post_message(self.CompletionKey("close"))

    # -- keys that mean something else here ---------------------------------------------------------------------------

    def action_cursor_up(self, select: bool = False) -> None:
        if self.completing:
            self.post_message(self.CompletionKey("up"))
        elif select or self.editing or not self.navigator.is_first_wrapped_line(self.cursor_location):
            super().action_cursor_up(select)
        elif (earlier := self._recall.back(self.text, self.asked)) is not None:
            self._show(earlier)

    def action_cursor_down(self, select: bool = False) -> None:
        if self.completing:
            self.post_message(self.CompletionKey("down"))
        elif select or not self._recall.active or not self.navigator.is_last_wrapped_line(self.cursor_location):
            super().action_cursor_down(select)
        else:
            self._show(self._recall.forth(self.text))

    def action_delete_left(self) -> None:
        if not self.text:
            self.post_message(self.DetachWanted())
        else:
            super().action_delete_left()

    def action_delete_right(self) -> None:
        if not self.text:
            self.post_message(self.DetachWanted())
        else:
            super().action_delete_right()

    async def _on_key(self, event: events.Key) -> None:
        if self.completing and event.key in ("tab", "escape"):
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                self.action_complete()
            else:
                self.action_close_completions()
            return
        if event.key == "enter":  # in its turn: a priority binding would overtake what was typed before it
            event.stop()
            event.prevent_default()
            self.action_send()
            return
        if event.key == "shift+enter":
            event.stop()
            event.prevent_default()
            self.insert("\n")
            return
        for binding in () if event.is_printable else self._bindings.key_to_bindings.get(event.key, ()):
            # In its turn as well: by Textual's way to a binding, letters behind ctrl+j or backspace would overtake it.
            if not binding.priority and await self.app.run_action(binding.action, self):
                event.stop()
                event.prevent_default()
                return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.take_paste(event.text)

    def take_paste(self, text: str) -> None:
        """Pasted text: image files if it names nothing else, else text at the cursor."""
        paths = dropped_images(text)
        if paths:
            self.post_message(self.FilesDropped(paths))
        elif text:
            self.insert(cleaned(text).text)
            self.focus()

    # -- completing paths ---------------------------------------------------------------------------------------------

    @property
    def _before_cursor(self) -> str:
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        self.post_message(self.MentionChanged(open_mention(self._before_cursor)))

    def complete(self, candidate: Candidate) -> None:
        """Write a folder's name after the @, or take a file's mention out: the file becomes an attachment."""
        row, column = self.cursor_location
        start = (row, mention_start(self._before_cursor))
        self.replace(f"@{candidate.text}" if candidate.folder else "", start, (row, column))
