"""What belongs to the chat in the pane, whoever answers: it is saved, left, opened again, set up, read and exported."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive

from core.calls.requests import Role
from core.errors import EngineError
from tui.background import off_loop
from tui.chat.answer_view import AnswerView
from tui.chat.bar import ChatBar
from tui.chat.chat_input import ChatInput
from tui.chat.conversation import ChatSettings, Conversation, as_markdown, result_of
from tui.chat.live_answer import final_figures
from tui.chat.model_choices import model_of
from tui.chat.question_view import QuestionView
from tui.chat.saved_chats import SavedChats
from tui.chat.saver import ChatSaver, history_file
from tui.chat.settings_screen import ChatSettingsScreen
from tui.chat.transcript import Transcript
from tui.chat.turn_view import TurnView
from tui.foreign import plain, short_name
from tui.services import Services
from tui.state import WorkbenchState


class KeptChat(Vertical):
    """One conversation at a time; leaving it for a new one keeps it saved."""

    state: reactive[WorkbenchState] = reactive(WorkbenchState())
    settings: reactive[ChatSettings] = reactive(ChatSettings())

    bar = getters.query_one(ChatBar)
    transcript = getters.query_one(Transcript)
    input = getters.query_one(ChatInput)

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Chat"
        self.conversation = Conversation()
        self._services: Services | None = None
        self._saver: ChatSaver | None = None
        self._unfolded = False

    def compose(self) -> ComposeResult:
        yield ChatBar("chat-bar").data_bind(KeptChat.state, KeptChat.settings)
        yield Transcript(id="transcript")
        yield ChatInput(id="chat-input")

    def on_mount(self) -> None:
        self.transcript.greet()

    # -- beginning and end --------------------------------------------------------------------------------------------

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services
        unsaved = partial(self.notify, title="The chat is not saved", severity="warning", timeout=15)
        self._saver = ChatSaver(history_file(services.settings.data_dir), unsaved)  # notify may be called on any thread

    def close(self) -> None:
        """Finish saving. Blocks, for a bounded time: not for the event loop."""
        if self._saver is not None:
            self._saver.close()

    def focus_main(self) -> None:
        # At once, not when the queue gets to it as Widget.focus does: keys typed ahead must not go elsewhere.
        self.screen.set_focus(self.input.composer)

    def _end_answer(self) -> None:
        """Stop the running answer; what it has said so far stays in the conversation."""

    @work(exclusive=True, group="settings")
    async def action_settings(self) -> None:
        settings = await self.app.push_screen_wait(ChatSettingsScreen(self.settings))
        if settings is not None:
            self.settings = settings

    def _show_title(self) -> None:
        self.border_subtitle = plain(self.conversation.title) if self.conversation.turns else ""

    # -- saved chats --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """On the saver's thread; a question is on disk before its answer is."""
        if self._saver is not None:
            self._saver.save(self.conversation, model_of(self.bar.chosen, self.state) or "")

    async def _leave_chat(self) -> None:
        """Begin an empty chat; what the running answer has said so far stays in the old one."""
        self._end_answer()
        if self._saver is not None:
            self._saver.new_chat()
        self.conversation = Conversation()
        self.transcript.clear()
        await self.input.clear()
        self._show_title()

    async def action_new_chat(self) -> None:
        await self._leave_chat()
        self.transcript.greet()
        self.focus_main()

    @work(exclusive=True, group="saved-chats")
    async def action_saved_chats(self) -> None:
        if self._saver is None:
            self.notify("The engine is still starting.")
            return
        chat = await self.app.push_screen_wait(SavedChats(self._saver))
        if chat is None:
            return
        await self._leave_chat()
        try:
            self.conversation = await self._saver.open(chat)
        except EngineError as error:
            self.notify(error.message, title="Not opened", severity="error")
        self._show_conversation()
        self.focus_main()

    def _show_conversation(self) -> None:
        """Show a conversation that was read from the file."""
        views: list[TurnView] = []
        for turn in self.conversation.turns:
            if turn.message.role is Role.ASSISTANT:
                view = AnswerView(short_name(turn.model), "", folded=not self._unfolded)
                view.set(result_of(turn), final_figures(turn.finished) if turn.finished else "")
                views.append(view)
            else:
                views.append(QuestionView(turn.message))
        self.transcript.append(*views)
        self._show_title()

    # -- reading ------------------------------------------------------------------------------------------------------

    def action_toggle_thinking(self) -> None:
        self._unfolded = not self._unfolded
        self.transcript.fold(not self._unfolded)

    def action_copy_answer(self) -> None:
        answers = [turn for turn in self.conversation.turns if turn.message.role is Role.ASSISTANT]
        if answers:
            self.app.copy_to_clipboard(answers[-1].message.plain_text)
            self.notify("Copied the last answer.", timeout=2)

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        if not self.conversation.turns:
            self.notify("There is nothing to export yet.")
            return
        text = as_markdown(self.conversation, self.settings)
        target = Path.cwd() / time.strftime("assay-chat-%Y%m%d-%H%M%S.md")
        try:
            await off_loop(lambda: target.write_text(text, encoding="utf-8"), "export")
        except OSError as error:
            self.notify(f"{target} cannot be written: {error.strerror}.", severity="error")
            return
        self.notify(f"Wrote {target}")
