"""The chat: a model, a conversation that streams, images, and what goes with a request."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive

from core.calls.generation import Generation
from core.calls.requests import Message, Role
from core.errors import EngineError
from tui.actions import bindings
from tui.background import off_loop
from tui.chat.answer_view import AnswerView
from tui.chat.attachments import Attachments
from tui.chat.bar import ChatBar, ModelChooser
from tui.chat.chat_input import ChatInput
from tui.chat.conversation import ChatSettings, Conversation, Turn, answer_message, as_markdown, result_of
from tui.chat.live_answer import LiveAnswer, final_figures
from tui.chat.model_choices import TIERS, model_of
from tui.chat.question_view import QuestionView
from tui.chat.saved_chats import SavedChats
from tui.chat.saver import ChatSaver, history_file
from tui.chat.settings_screen import ChatSettingsScreen
from tui.chat.transcript import Transcript
from tui.chat.turn_view import TurnView
from tui.chat.waiting import load_ahead
from tui.foreign import plain, short_name
from tui.screens.jump import Target
from tui.services import Services
from tui.state import WorkbenchState

REDRAWS_PER_S = 15
SLOWEST_REDRAW_S = 0.5


@dataclass
class Answering:
    """The answer that is being generated."""

    generation: Generation
    live: LiveAnswer
    view: AnswerView
    model: str

    def take(self) -> bool:
        """Fold in what has come; True once that was all."""
        ended = self.generation.done  # asked first: everything before the end is surely in the drain then
        for event in self.generation.drain():
            self.live.add(event)
        return ended


class ChatPane(Vertical):
    """One conversation at a time; leaving it for a new one keeps it saved."""

    BINDINGS = bindings("chat")

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
        self._answering: Answering | None = None
        self._unfolded = False

    def compose(self) -> ComposeResult:
        yield ChatBar("chat-bar").data_bind(ChatPane.state, ChatPane.settings)
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

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [
            Target("o", "model", self.bar.chooser, self.action_choose_model),
            Target("t", "transcript", self.transcript, self.focus_last_turn),
            Target("c", "composer", self.input.composer),
        ]

    def focus_main(self) -> None:
        # At once, not when the queue gets to it as Widget.focus does: keys typed ahead must not go elsewhere.
        self.screen.set_focus(self.input.composer)

    def focus_last_turn(self) -> None:
        """Go to the newest message, from where tab reaches the others."""
        if self.transcript.turns:
            self.transcript.focus_turn(self.transcript.turns[-1])

    @on(ModelChooser.Closed)
    def _chooser_closed(self, event: ModelChooser.Closed) -> None:
        """Back to the composer, behind the focus that the chooser has asked for; not away from where someone went."""
        event.stop()
        self.app.call_later(self._leave_chooser)

    def _leave_chooser(self) -> None:
        focused = self.screen.focused
        if focused is None or self.bar.chooser in focused.ancestors_with_self:
            self.focus_main()

    def action_choose_model(self) -> None:
        self.bar.chooser.focus()
        self.bar.chooser.action_show_overlay()

    @work(exclusive=True, group="settings")
    async def action_settings(self) -> None:
        settings = await self.app.push_screen_wait(ChatSettingsScreen(self.settings))
        if settings is not None:
            self.settings = settings

    def _show_title(self) -> None:
        self.border_subtitle = plain(self.conversation.title) if self.conversation.turns else ""
        self._say_what_comes_next()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        return action != "regenerate" or not self.busy

    # -- asking and answering -----------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._answering is not None

    @on(ChatInput.Sent)
    async def _sent(self, event: ChatInput.Sent) -> None:
        event.stop()
        if self.busy:
            self.notify("An answer is running: escape stops it.")
        elif self._services is None:
            self.notify("The engine is still starting.")
        else:
            await self._ask(self._services, self.conversation.question(event.text, event.images), event.draft)

    async def _ask(self, services: Services, question: Message, draft: str) -> None:
        """Put a question to the chosen model; one that is refused at once stays in the composer."""
        if not self.conversation.turns:
            self.transcript.clear()
        self.transcript.drop_refused()
        view = QuestionView(question)
        self.transcript.append(view)
        self.conversation.turns.append(Turn(question))
        if await self._answer(services):
            await self.input.taken(draft)
            self._show_title()
            self._save()
        else:
            self.conversation.turns.pop()
            view.refuse()

    async def _answer(self, services: Services) -> bool:
        """Ask for an answer to the conversation as it stands; False if the engine refuses."""
        choice = self.bar.chosen
        model = model_of(choice, self.state, self._images_said())
        tier = choice if choice in TIERS else ""
        label = f"{tier} · {short_name(model or 'no model')}" if tier else choice
        view = AnswerView(label, tier, folded=not self._unfolded)
        self.transcript.append(view)
        try:
            if model is None:
                key = "q" if choice == "quick" else "w"
                raise EngineError(f"No model stands for the {choice} tier: choose one in Models (F2) and press {key}.")
            submitted = time.monotonic()
            generation = services.engine.generate(self.conversation.request(model, self.settings))
        except EngineError as error:
            view.refuse()
            view.set(LiveAnswer(0).result, "", error.message)
            return False
        self._answering = Answering(generation, LiveAnswer(submitted), view, model)
        self.refresh_bindings()
        self._follow(self._answering, services)
        return True

    def _images_said(self) -> bool:
        return any(turn.message.images for turn in self.conversation.turns)

    @on(Attachments.Changed)
    def _name_who_answers(self) -> None:
        """Have the bar name the model that will answer the next message."""
        self.bar.images = self._images_said() or bool(self.input.attachments.images)

    @work(exclusive=True, group="answer")
    async def _follow(self, answering: Answering, services: Services) -> None:
        """Drain the engine's events a few times a second; the figures are of its clock, so reading late is harmless."""
        result = answering.live.result
        pause = 1 / REDRAWS_PER_S
        while not answering.take():
            await answering.view.show(answering.live, load_ahead(services.engine.status(), answering.model))
            asked = time.monotonic()
            await asyncio.sleep(pause)
            late = time.monotonic() - asked - pause  # what laying out and drawing took: leave twice that for keys
            pause = min(max(1 / REDRAWS_PER_S, 2 * late), SLOWEST_REDRAW_S)
        error = answering.generation.error
        figures = answering.live.figures if result.finished else ""
        await answering.view.finish(result, figures, error.message if error else "")
        self._answering = None
        self.refresh_bindings()
        stopped = answering.generation.cancelled and error is None
        if not self._record(answering) and (stopped or error is not None):
            await self._give_back(answering.view, stopped)
        self._show_title()

    def _record(self, answering: Answering) -> bool:
        """Make what was answered a turn of the chat; False if nothing was."""
        message = answer_message(answering.live.result)
        if message is None:
            return False
        self.conversation.turns.append(Turn(message, answering.model, answering.live.result.finished))
        self._save()
        return True

    async def _give_back(self, view: AnswerView, stopped: bool) -> None:
        """An answer failed or was stopped before its first word: the question goes back to the composer.

        Of a stopped one nothing stays on the screen, unless something else has been typed meanwhile: then ↑ recalls it.
        """
        question = self.conversation.turns.pop().message
        view.refuse()
        for asked in self.transcript.views(QuestionView)[-1:]:
            asked.refuse()
        self._save()
        taken = await self.input.give_back(question.plain_text, question.images)
        if stopped and taken:
            self.transcript.drop_refused()
            if not self.conversation.turns:
                self.transcript.greet()
        elif stopped:
            view.set(LiveAnswer(0).result, "stopped before its first word · ↑ in an empty box brings it back")

    def _say_what_comes_next(self) -> None:
        """Who answers the next message, and whether it is a tool's result that is waited for."""
        self._name_who_answers()
        self.input.composer.await_results([call.name for call in self.conversation.pending_calls()])

    def stop(self) -> bool:
        """Stop the running answer and keep what came; False if none is running."""
        if self._answering is None:
            return False
        self._answering.generation.cancel()
        return True

    async def action_regenerate(self) -> None:
        if self.busy or self._services is None:
            return
        if not self.conversation.take_back_answer():
            self.notify("There is no message to answer again.")
            return
        self.transcript.drop_refused()
        self.transcript.drop_after(self.transcript.views(QuestionView)[-1])
        await self._answer(self._services)

    @on(Transcript.EditWanted)
    async def _edit(self, event: Transcript.EditWanted) -> None:
        """Take the chat back to before a message, which goes into the composer."""
        event.stop()
        if self.busy:
            self.notify("An answer is running: escape stops it.")
            return
        for position, turn in enumerate(self.conversation.turns):
            if turn.message is event.view.message:
                del self.conversation.turns[position:]
                break
        self.transcript.drop_from(event.view)
        await self.input.clear()
        await self.input.give_back(event.view.text, event.view.message.images)
        self._show_title()
        self._save()
        self.focus_main()

    # -- saved chats --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """On the saver's thread; a question is on disk before its answer is."""
        if self._saver is not None:
            self._saver.save(self.conversation, model_of(self.bar.chosen, self.state, self._images_said()) or "")

    async def _leave_chat(self) -> None:
        """Begin an empty chat; what the running answer has said so far stays in the old one."""
        if self._answering is not None:
            self.workers.cancel_group(self, "answer")
            self._answering.generation.cancel()
            self._answering.take()
            self._record(self._answering)
            self._answering = None
            self.refresh_bindings()
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
