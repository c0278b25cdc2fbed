"""What belongs to the chat in the pane, whoever answers: it is saved, left, opened again, set up, read and exported."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual import getters, on, work
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.worker import Worker, WorkerError

from core.calls.requests import Role
from core.chats.history import Draft
from core.chats.settings import ChatSettings
from core.chats.tree import Node, Place, Turn
from core.errors import EngineError
from tui.chat.answer_view import AnswerView
from tui.chat.attachments import Attachments
from tui.chat.bar import ChatBar
from tui.chat.chat_input import ChatInput
from tui.chat.conversation import Conversation, result_of
from tui.chat.export_screen import ExportScreen
from tui.chat.live_answer import final_figures
from tui.chat.model_choices import model_of
from tui.chat.not_saved import SavingPane, ask_to_turn
from tui.chat.question_view import QuestionView
from tui.chat.saved_chats import SavedChats
from tui.chat.saver import ChatSaver, Opened, Written, history_file
from tui.chat.settings_screen import ChatSettingsScreen
from tui.chat.transcript import Transcript
from tui.chat.turn_view import TurnView
from tui.foreign import plain, short_name
from tui.services import Services
from tui.state import WorkbenchState
from tui.typed_ahead import TURNS_THE_PAGE

if TYPE_CHECKING:
    from core.settings import Settings

KEEP_EVERY_S = 1.0
"""What is written is kept as often as this while it changes."""


@dataclass(frozen=True)
class Edit:
    """The turn that the composer changes, and the draft that waits meanwhile."""

    node: Node
    before: Draft


class KeptChat(SavingPane):
    """One conversation at a time; leaving it for a new one keeps it saved."""

    state: reactive[WorkbenchState] = reactive(WorkbenchState())
    settings: reactive[ChatSettings] = reactive(ChatSettings())

    bar = getters.query_one(ChatBar)
    transcript = getters.query_one(Transcript)
    input = getters.query_one(ChatInput)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.conversation = Conversation()
        self.defaults = ChatSettings()
        """The settings with which a new chat begins: those that were last set for one."""
        self._services: Services | None = None
        self._taking_up: Worker[None] | None = None
        self._edit: Edit | None = None
        self._setting: ChatSettingsScreen | None = None
        """The dialogue of the settings, while it is open."""
        self._put_off: dict[Node, Draft] = {}
        """Wordings of turns that were written and left."""
        self._kept = Written()
        """What is written, as the file has it, or will have it when it can be written again."""
        self._unfolded = False

    def compose(self) -> ComposeResult:
        yield ChatBar("chat-bar").data_bind(KeptChat.state, KeptChat.settings)
        yield Transcript(id="transcript")
        yield ChatInput(id="chat-input")

    def on_mount(self) -> None:
        self.transcript.greet()
        self.input.composer.asked = self._asked

    # -- beginning and end --------------------------------------------------------------------------------------------

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services
        self.input.composer.sends = True
        self._open_file(services.settings)

    def _open_file(self, settings: Settings) -> None:
        """Begin to save, and go on with what was written before."""
        if self._saver is None:
            self._saver = ChatSaver(history_file(settings.data_dir), self._pass_on)
            self._taking_up = self._take_up(self._saver)

    @work(exclusive=True, group=TURNS_THE_PAGE)
    async def _take_up(self, saver: ChatSaver) -> None:
        """Go on with what was written for a new chat when the workbench was left."""
        try:
            written = await saver.written()
        except EngineError as error:
            self.notify(error.message, title="Drafts are not read", severity="warning")
        else:
            if written and (self._written() or self.conversation.every):  # somebody was quicker
                saver.put_aside(self.conversation, written, self._model, self.defaults)
            elif written:
                await self._show_written(written)
        self.set_interval(KEEP_EVERY_S, self._keep_written)

    async def prepare_to_end(self, settings: Callable[[], Awaitable[Settings]]) -> None:
        """Have what is written kept even where no services have come yet, beside what was written before; and settings
        that are still being changed, as far as they can be read, where nobody was there to be asked."""
        if self._setting is not None and (changed := self._setting.readable):
            self.set_settings(changed)
        if self._saver is None and self._written():
            self._open_file(await settings())
        if self._taking_up is not None:
            with contextlib.suppress(WorkerError):  # it was given up for another chat
                await self._taking_up.wait()

    async def unsaved(self) -> str:
        """Save what is not saved; returns why something still is not, "" if all is."""
        self._keep_written(leaving=True)
        return await self._saver.unsaved() if self._saver is not None else ""

    async def _may_turn(self) -> bool:
        """Save what is in the chat before another one is shown; where that fails, the person is asked. For a worker."""
        self._keep_written(leaving=True)
        why = await self._saver.unsaved(self.conversation) if self._saver is not None else ""
        return not why or await self.app.push_screen_wait(ask_to_turn(why))

    def end(self) -> None:
        """The workbench is left: keep what the running answer has said so far, and what is written."""
        self._end_answer()
        self._keep_written(leaving=True)

    def focus_main(self) -> None:
        # At once, not when the queue gets to it as Widget.focus does: keys typed ahead must not go elsewhere.
        self.screen.set_focus(self.input.composer)

    def _end_answer(self, keep: bool = True) -> None:
        """Stop the running answer; what it has said so far stays in the conversation if it is to be kept."""

    # -- settings -----------------------------------------------------------------------------------------------------

    @property
    def is_new(self) -> bool:
        """Whether nothing was said yet, and nothing is kept under a name of its own."""
        return self.conversation.chat is None and not self.conversation.every

    @work(exclusive=True, group="settings")
    async def action_settings(self) -> None:
        self._setting = ChatSettingsScreen(self.settings)
        try:
            settings = await self.app.push_screen_wait(self._setting)
        finally:
            self._setting = None
        if settings is not None:
            self.set_settings(settings)

    def set_settings(self, settings: ChatSettings) -> None:
        """What goes with this chat's requests from now on; of a new chat, with those of later ones as well."""
        if self.is_new:
            self.begin_with(settings)
        elif self._saver is not None:
            self._saver.save_settings(self.conversation, settings)
        self.settings = settings

    def begin_with(self, settings: ChatSettings) -> None:
        """Have new chats begin with these settings, the present one too if it is new."""
        self.defaults = settings
        if self.is_new:
            self.settings = settings

    # -- what is written ----------------------------------------------------------------------------------------------

    def _written(self) -> Written:
        draft, put_off = self.input.draft, tuple(self._put_off.items())
        if self._edit is None:
            return Written(draft, None, put_off)
        return Written(self._edit.before, (self._edit.node, draft), put_off)

    def _keep_written(self, leaving: bool = False) -> None:
        """Write down what is written, if it has changed; and when the chat is left: another one may have taken it."""
        written = self._written()
        if self._saver is not None and (written != self._kept or (leaving and written)):
            self._saver.save_written(self.conversation, written, self.settings)
            self._kept = written

    async def _show_written(self, written: Written) -> None:
        """Put what was written into the composer."""
        await self.input.put(written.new)
        self._edit, self._put_off = None, dict(written.put_off)
        self._mark_put_off()
        if written.edit is not None:
            await self._begin_edit(*written.edit)
        else:
            self.input.composer.show_edit("")
        self._kept = written

    async def _begin_edit(self, node: Node, draft: Draft) -> None:
        """Have the composer change a turn; the draft that is in it waits."""
        self._edit = Edit(node, self.input.draft if self._edit is None else self._edit.before)
        again = self._put_off.pop(node, None) is not None
        self._mark_put_off()
        await self.input.put(draft)
        asked = [step for step in self.conversation.above(node) if step.turn.message.role is not Role.ASSISTANT]
        what = f"{'your draft of' if again else 'your'} message {len(asked)}"
        self.input.composer.show_edit(f"editing {what} · ⏎ sends a new version · esc leaves it")
        self._say_what_comes_next()

    def _asked(self) -> list[str]:
        """What the person has said on the branch that is shown."""
        return [wording(node).text for node in self.conversation.branch if node.turn.message.role is not Role.ASSISTANT]

    def _put_edit_off(self) -> None:
        """The turn that is edited keeps what has been written of it, until it is edited again."""
        if self._edit is not None and self.input.draft not in (wording(self._edit.node), Draft()):
            self._put_off[self._edit.node] = self.input.draft
            self._mark_put_off()

    def _mark_put_off(self) -> None:
        """Have the turns say of which another wording waits."""
        for view in self.transcript.views(QuestionView):
            if view.put_off != (view.node in self._put_off):
                view.put_off = not view.put_off
                view.changed()

    async def _end_edit(self, typed: str = "") -> None:
        """Give the composer back what was in it before, and what has been typed since."""
        if self._edit is not None:
            before, self._edit = self._edit.before, None
            self.input.composer.show_edit("")
            await self.input.put(replace(before, text="\n".join(filter(None, (before.text, typed)))))
            self._say_what_comes_next()

    # -- saved chats --------------------------------------------------------------------------------------------------

    @property
    def _model(self) -> str:
        return model_of(self.bar.chosen, self.state, self.conversation.has_images()) or ""

    def _save(self) -> None:
        """On the saver's thread; a question is on disk before its answer is."""
        if self._saver is not None:
            self._saver.save(self.conversation, self._model, self.settings)

    async def _go_to(self, opened: Opened) -> None:
        """Show another chat. What belongs to the one before has been kept."""
        self.conversation = opened.conversation
        self.settings = opened.settings or self.defaults
        self.input.composer.begin_chat()
        self.transcript.clear()
        if self.conversation.every:
            self._show_branch()
            self.transcript.follow()
        else:
            self.transcript.greet()
        await self._show_written(opened.written)
        self._show_title()
        self.focus_main()

    @work(exclusive=True, group=TURNS_THE_PAGE)
    async def action_new_chat(self) -> None:
        """Begin a new chat, with what was written for it; a new one in which something is written becomes a draft."""
        was_new = self.is_new
        if not await self._put_by():
            return
        written = Written()
        if self._saver is not None and not was_new:
            try:
                written = await self._saver.written()
            except EngineError as error:
                self.notify(error.message, title="Drafts are not read", severity="warning")
        await self._go_to(Opened(Conversation(), self.defaults, written))

    @work(exclusive=True, group=TURNS_THE_PAGE)
    async def show_turns(self, turns: Sequence[Turn], settings: ChatSettings, model: str) -> None:
        """Show a conversation from elsewhere as a chat, which is saved; `model` answers it from now on."""
        if await self._put_by():
            await self._go_to(Opened(Conversation(*turns), settings, Written()))
            self.bar.choose(model)
            self._save()

    async def _put_by(self) -> bool:
        """Have the chat kept, a new one in which something is written as a draft; False if the person stays in it."""
        if not await self._may_turn():
            return False
        self._end_answer()
        if self._saver is not None and self.is_new and self._written():
            self._saver.put_aside(self.conversation, self._written(), self._model, self.settings)
        else:
            self._keep_written()
        return True

    @work(exclusive=True, group=TURNS_THE_PAGE)
    async def action_saved_chats(self) -> None:
        if self._saver is None:
            self.notify("The engine is still starting.")
            return
        self._keep_written()
        self._saver.retry()
        screen = SavedChats(self._saver, self._called)
        wanted = await self.app.push_screen_wait(screen)
        gone = self.conversation.chat in screen.deleted
        if wanted is not None and not gone and not await self._may_turn():
            return
        if gone or wanted is not None:
            self._end_answer(keep=not gone)
        if gone:
            await self._go_to(Opened(Conversation(), self.defaults, Written()))
        if wanted is None:
            return
        try:
            opened = await self._saver.open(wanted.chat.id, wanted.turn)
        except EngineError as error:
            self.notify(error.message, title="Not opened", severity="error")
            return
        await self._go_to(opened)
        self._save()
        for view in self.transcript.turns:
            if wanted.turn is not None and view.node is not None and view.node.id == wanted.turn:
                self.transcript.focus_turn(view)

    def _show_title(self) -> None:
        self.border_subtitle = plain(self.conversation.title) if self.conversation.turns else ""
        self._say_what_comes_next()
        self.refresh_bindings()

    @on(Attachments.Changed)
    def _say_what_comes_next(self) -> None:
        """Have the bar name the model that will answer the next message, and the composer the tools whose results it
        awaits."""
        place = self._edit.node.parent if self._edit is not None else None
        self.bar.images = self.conversation.has_images(place) or bool(self.input.attachments.images)
        self.input.composer.await_results([call.name for call in self.conversation.pending_calls(place)])

    # -- branches -----------------------------------------------------------------------------------------------------

    def _called(self, model: str) -> str:
        """A model without the account that published it, where no other one on the disk is called the same."""
        last = short_name(model)
        return last if [known for known in self.bar.known if short_name(known) == last] == [model] else model

    def _told(self, model: str, tier: str) -> str:
        """Who answers, and for which tier if one was asked."""
        return f"{tier} · {self._called(model)}" if tier else self._called(model)

    def _view(self, node: Node) -> TurnView:
        turn = node.turn
        if turn.message.role is not Role.ASSISTANT:
            return QuestionView(turn.message, node, node in self._put_off)
        view = AnswerView(self._told(turn.model, turn.tier), turn.tier, not self._unfolded, node)
        view.set(result_of(turn), final_figures(turn.finished) if turn.finished else "")
        view.answered = node.shown is not None
        return view

    def _show_branch(self, upto: Place | None = None) -> None:
        """Bring the transcript in line with the branch that is shown, or with the turns up to a place."""
        known = {view.node: view for view in self.transcript.turns if view.node is not None}
        nodes = self.conversation.branch if upto is None else self.conversation.above(upto)
        self.transcript.swap([known.get(node) or self._view(node) for node in nodes])
        for view in self.transcript.views(AnswerView):
            if view.node is not None and view.answered != (view.node.shown is not None):
                view.answered = not view.answered
                view.changed()

    # -- reading ------------------------------------------------------------------------------------------------------

    def action_toggle_thinking(self) -> None:
        self._unfolded = not self._unfolded
        self.transcript.fold(not self._unfolded)

    def action_copy_answer(self) -> None:
        """Copy the last answer; nothing in place of one that has no text."""
        answers = [turn for turn in self.conversation.turns if turn.message.role is Role.ASSISTANT]
        if not answers:
            self.notify("There is no answer to copy yet.")
        elif text := answers[-1].message.plain_text:
            self.app.copy_to_clipboard(text)
            self.notify("Copied the last answer.", timeout=2)
        else:
            self.notify("The last answer has no text: nothing is copied. c on it copies what there is.")

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        if not self.conversation.turns or self._saver is None:
            self.notify("There is nothing to export yet.")
            return
        branches = len(self.conversation.turns) < len(self.conversation.every)
        suffix = await self.app.push_screen_wait(ExportScreen(branches))
        if suffix is None:
            return
        target = Path.cwd() / time.strftime(f"assay-chat-%Y%m%d-%H%M%S{suffix}")
        try:
            self.notify(f"Wrote {await self._saver.export(self.conversation, self._model, target)}")
        except EngineError as error:
            self.notify(error.message, title="Not exported", severity="error")


def wording(node: Node) -> Draft:
    """A turn as the composer shows it."""
    return Draft(QuestionView(node.turn.message).text, node.turn.message.images)
