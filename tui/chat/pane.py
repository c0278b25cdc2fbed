"""The chat: a model, a conversation that streams, images, and what goes with a request."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from textual import on, work
from textual.widgets import Select

from core.calls.generation import Generation
from core.calls.requests import Message
from core.errors import EngineError
from tui.actions import bindings
from tui.chat.answer_view import AnswerView
from tui.chat.chat_input import ChatInput
from tui.chat.conversation import Turn, answer_message
from tui.chat.kept_chat import KeptChat
from tui.chat.live_answer import LiveAnswer
from tui.chat.model_choices import TIERS, model_of
from tui.chat.question_view import QuestionView
from tui.chat.transcript import Transcript
from tui.foreign import short_name
from tui.screens.jump import Target
from tui.services import Services

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


class ChatPane(KeptChat):
    """Asks and shows the answers."""

    BINDINGS = bindings("chat")

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._answering: Answering | None = None

    # -- beginning and end --------------------------------------------------------------------------------------------

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [
            Target("o", "model", self.bar.chooser),
            Target("t", "transcript", self.transcript, self.focus_last_turn),
            Target("c", "composer", self.input.composer),
        ]

    def focus_last_turn(self) -> None:
        """Go to the newest message, from where tab reaches the others."""
        if self.transcript.turns:
            self.transcript.focus_turn(self.transcript.turns[-1])

    @on(Select.Changed, "#chat-model")
    def _model_chosen(self, event: Select.Changed) -> None:
        event.stop()
        self.focus_main()

    def action_choose_model(self) -> None:
        self.bar.chooser.focus()
        self.bar.chooser.action_show_overlay()

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
        model = self._who_answers(choice, services)
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
        self._follow(self._answering)
        return True

    def _who_answers(self, choice: str, services: Services) -> str | None:
        """The choice's model; for a tier whose model nobody picked by hand, the one that is better at plain text."""
        model = model_of(choice, self.state)
        if choice in self.state.chosen or any(turn.message.images for turn in self.conversation.turns):
            return model
        return services.text.get(choice, model)

    @work(exclusive=True, group="answer")
    async def _follow(self, answering: Answering) -> None:
        """Drain the engine's events a few times a second; the figures are of its clock, so reading late is harmless."""
        result = answering.live.result
        pause = 1 / REDRAWS_PER_S
        while not answering.take():
            await answering.view.show(answering.live)
            asked = time.monotonic()
            await asyncio.sleep(pause)
            late = time.monotonic() - asked - pause  # what laying out and drawing took: leave twice that for keys
            pause = min(max(1 / REDRAWS_PER_S, 2 * late), SLOWEST_REDRAW_S)
        error = answering.generation.error
        figures = answering.live.figures if result.finished else ""
        await answering.view.finish(result, figures, error.message if error else "")
        self._answering = None
        if not self._record(answering) and error is not None:
            await self._give_back(answering.view)

    def _record(self, answering: Answering) -> bool:
        """Make what was answered a turn of the chat; False if nothing was."""
        message = answer_message(answering.live.result)
        if message is None:
            return False
        self.conversation.turns.append(Turn(message, answering.model, answering.live.result.finished))
        self._save()
        return True

    async def _give_back(self, view: AnswerView) -> None:
        """An answer failed before its first word: the question goes back to the composer, to be sent again."""
        question = self.conversation.turns.pop().message
        view.refuse()
        for asked in self.transcript.views(QuestionView)[-1:]:
            asked.refuse()
        self._save()
        await self.input.give_back(question.plain_text, question.images)

    def stop(self) -> bool:
        """Stop the running answer and keep what came; False if none is running."""
        if self._answering is None:
            return False
        self._answering.generation.cancel()
        return True

    def _end_answer(self) -> None:
        if self._answering is not None:
            self.workers.cancel_group(self, "answer")
            self._answering.generation.cancel()
            self._answering.take()
            self._record(self._answering)
            self._answering = None

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
