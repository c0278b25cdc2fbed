"""The chat: a model, a conversation that streams, images, and what goes with a request."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from textual import on, work
from textual.notifications import Notification, Notify

from core.calls.generation import Generation
from core.calls.requests import Role
from core.chats.endings import BROKEN_OFF
from core.chats.history import Draft
from core.chats.settings import ChatSettings
from core.chats.tree import Node, Place, Turn
from core.errors import EngineError
from tui.actions import bindings
from tui.chat.answer_view import AnswerView
from tui.chat.bar import ModelChooser
from tui.chat.chat_input import ChatInput
from tui.chat.composer import Composer
from tui.chat.conversation import answer_message
from tui.chat.kept_chat import KeptChat, wording
from tui.chat.live_answer import LiveAnswer
from tui.chat.model_choices import TIERS, model_of
from tui.chat.transcript import Transcript
from tui.screens.jump import Target
from tui.services import Services
from tui.state import Phase
from tui.waiting import load_ahead

REDRAWS_PER_S = 15
SLOWEST_REDRAW_S = 0.5
WRITE_EVERY_S = 3.0
"""What has come of an answer is on disk after this long at most."""


@dataclass
class Answering:
    """The answer that is being generated."""

    generation: Generation
    live: LiveAnswer
    view: AnswerView
    model: str
    tier: str
    """The one that it answers for, "" where it was chosen by name."""
    settings: ChatSettings
    asked: Node
    """The question that it answers."""
    edited: Node | None
    """The turn of which the question is another version."""
    began: float = field(default_factory=time.time)
    node: Node | None = None
    """Its place in the chat, once something has come."""
    written_at: float = field(default_factory=time.monotonic)
    deltas_written: int = 0

    def take(self) -> bool:
        """Fold in what has come; True once that was all."""
        ended = self.generation.done  # asked first: everything before the end is surely in the drain then
        for event in self.generation.drain():
            self.live.add(event)
        return ended

    def turn(self, cut: str = "") -> Turn | None:
        """What has come as a turn of the chat, None if nothing has; `cut` is why it ends, unless it has or is stopped.

        Whoever asked for it finds its place in `node`.
        """
        result = self.live.result
        message = answer_message(result)
        if message is None:
            return None
        failed = self.generation.error is not None
        finished = None if failed else result.finished or self.live.broken(cut)
        turn = Turn(message, self.model, finished, self.settings, self.began, self.tier)
        if self.node is None:
            self.node = Node(turn, self.asked)
        self.node.turn = turn
        return turn

    @property
    def due(self) -> bool:
        """Whether more has come than is written, and it is time."""
        return self.live.deltas > self.deltas_written and time.monotonic() - self.written_at >= WRITE_EVERY_S


class ChatPane(KeptChat):
    """Asks and shows the answers."""

    BINDINGS = bindings("chat")

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._answering: Answering | None = None
        self._runs: Notification | None = None
        """The toast that says so."""

    # -- beginning and end --------------------------------------------------------------------------------------------

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [
            Target("o", "model", self.bar.chooser, self.action_choose_model),
            Target("t", "transcript", self.transcript, self.focus_last_turn),
            Target("c", "composer", self.input.composer),
        ]

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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        return action != "regenerate" or (bool(self.conversation.turns) and not self.busy)

    # -- asking and answering -----------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._answering is not None

    @on(ChatInput.Sent)
    async def _sent(self, event: ChatInput.Sent) -> None:
        event.stop()
        if self.busy:
            self._say_one_runs()
        elif self._services is not None:
            await self._ask(self._services, event)

    @on(Composer.SentTooEarly)
    def _sent_too_early(self, event: Composer.SentTooEarly) -> None:
        event.stop()
        if self.state.phase is Phase.FAILED:
            said = "The engine did not start: ^] tries again. What is written stays here, and is kept."
            self.notify(said, severity="warning")
        else:
            self.notify("The engine is still starting. What is written waits here: ⏎ sends it once the engine is up.")

    def _say_one_runs(self) -> None:
        """Name the key that stops it, until it has stopped; in an edit, escape leaves that."""
        self._unsay()
        key = "escape" if self._edit is None else "F12"
        self._runs = Notification(f"An answer is running: {key} stops it.")
        self.app.post_message(Notify(self._runs))

    def _unsay(self) -> None:
        """Take back that an answer runs."""
        if self._runs is not None:
            self.app._unnotify(self._runs)
            self._runs = None

    async def _ask(self, services: Services, event: ChatInput.Sent) -> None:
        """Put a question to the chosen model; one that is refused at once stays in the composer.

        A message that was edited becomes a branch beside the one that it was.
        """
        edited = self._edit.node if self._edit is not None else None
        place = edited.parent if edited is not None else self.conversation.last
        question = self.conversation.question(event.text, event.images, place)
        if not self.conversation.turns:
            self.transcript.clear()
        node = self.conversation.add(Turn(question), place)
        self._show_branch()
        if await self._answer(services, node, edited):
            await self.input.taken(event.draft)
            await self._end_edit(self.input.composer.text)
            self._show_title()
            self._save()
            self._keep_written()
        else:
            self._take_back(node, edited)

    def _take_back(self, node: Node, edited: Node | None, shown: bool = True) -> None:
        """A question was refused: it is shown as such under the branch that was there before, or not at all."""
        *_, asked, answer = self.transcript.turns
        self.conversation.drop(node)
        if edited is not None:
            self.conversation.show(edited)
        for view in (asked, answer):
            view.refuse()
        self._show_branch()
        if shown:
            self.transcript.append(asked, answer)

    async def _answer(self, services: Services, asked: Node, edited: Node | None = None) -> bool:
        """Ask for an answer to a question; False if the engine refuses."""
        choice = self.bar.chosen
        model = model_of(choice, self.state, self.conversation.has_images(asked))
        tier = choice if choice in TIERS else ""
        label = self._told(model or "no model", tier)
        view = AnswerView(label, tier, folded=not self._unfolded)
        self.transcript.append(view)
        settings = self.settings
        try:
            if model is None:
                key = "q" if choice == "quick" else "w"
                raise EngineError(f"No model stands for the {choice} tier: choose one in Models (F2) and press {key}.")
            submitted = time.monotonic()
            generation = services.engine.generate(self.conversation.request(model, settings, asked))
        except EngineError as error:
            view.refuse()
            view.set(LiveAnswer(0).result, "", error.message)
            return False
        self._answering = Answering(generation, LiveAnswer(submitted), view, model, tier, settings, asked, edited)
        self.refresh_bindings()
        self._follow(self._answering, services)
        return True

    @work(exclusive=True, group="answer")
    async def _follow(self, answering: Answering, services: Services) -> None:
        """Drain the engine's events a few times a second; the figures are of its clock, so reading late is harmless."""
        result = answering.live.result
        pause = 1 / REDRAWS_PER_S
        while not answering.take():
            self._write_growing(answering)
            await answering.view.show(answering.live, load_ahead(services.engine.status(), answering.model))
            asked = time.monotonic()
            await asyncio.sleep(pause)
            late = time.monotonic() - asked - pause  # what laying out and drawing took: leave twice that for keys
            pause = min(max(1 / REDRAWS_PER_S, 2 * late), SLOWEST_REDRAW_S)
        error = answering.generation.error
        figures = answering.live.figures if result.finished else ""
        await answering.view.finish(result, figures, error.message if error else "")
        self._answering = None
        self._unsay()
        self.refresh_bindings()
        if not self._record(answering):
            await self._nothing_came(answering, failed=error is not None)
        self._show_title()

    def _write_growing(self, answering: Answering) -> None:
        """Every few seconds: what has come would survive a kill."""
        if self._saver is None or not answering.due:
            return
        answering.written_at, answering.deltas_written = time.monotonic(), answering.live.deltas
        turn = answering.turn(BROKEN_OFF)
        if turn is not None and answering.node is not None:
            self._saver.save_growing(self.conversation, answering.node, turn)

    def _record(self, answering: Answering) -> bool:
        """Make what was answered a turn of the chat; False if nothing was."""
        if answering.turn() is None or answering.node is None:
            return False
        answering.view.node = self.conversation.attach(answering.node)
        answering.view.changed()
        self._save()
        return True

    async def _nothing_came(self, answering: Answering, failed: bool) -> None:
        """An answer failed or was stopped before its first word. An earlier one is shown again.

        Where there is none the question goes back to the composer, and of a stopped one nothing stays on the screen;
        unless something else has been written there meanwhile, then the question stays to be asked again.
        """
        asked, view = answering.asked, answering.view
        if asked.shown is not None:
            view.refuse()
            self._show_branch()
            if failed:
                self.transcript.append(view)
            else:
                self.notify("Stopped before the first word: the answer from before stays.")
            return
        draft = wording(asked)
        if answering.edited is None and (self._edit is not None or self.input.draft != Draft()):
            if not failed:
                view.set(LiveAnswer(0).result, "stopped before its first word · ^r asks again")
            return
        self._take_back(asked, answering.edited, shown=failed)
        if not self.transcript.turns:
            self.transcript.greet()
        if answering.edited is None:
            await self.input.put(draft)
        elif self._edit is None:
            await self._begin_edit(answering.edited, draft)
        self._save()
        self._keep_written()
        if self._saver is not None:
            self._saver.forget(self.conversation, asked)

    def stop(self) -> bool:
        """Stop the running answer and keep what came; False if none is running."""
        if self._answering is None:
            return False
        self._answering.generation.cancel()
        return True

    def _end_answer(self, keep: bool = True) -> None:
        if self._answering is not None:
            self.workers.cancel_group(self, "answer")
            self._answering.generation.cancel()
            self._answering.take()
            if keep and self._record(self._answering):
                self.notify("The answer was stopped; what had come is kept in its chat.")
            elif keep:
                self.notify("The answer was stopped before its first word; ^r in its chat asks again.")
            self._answering = None
            self._unsay()
            self.refresh_bindings()

    # -- branches -----------------------------------------------------------------------------------------------------

    async def action_regenerate(self) -> None:
        """Ask for another answer, beside the one that has the focus, or the last one."""
        if self._services is None:
            return
        if self.busy:
            self._say_one_runs()
            return
        current = self.transcript.current
        node: Place = (current.node if current is not None else None) or self.conversation.last
        if isinstance(node, Node) and node.turn.message.role is Role.ASSISTANT:
            node = node.parent
        if not isinstance(node, Node):
            self.notify("There is no message to answer again.")
            return
        self._show_branch(node)
        if not await self._answer(self._services, node):
            refused = self.transcript.turns[-1]
            self._show_branch()
            self.transcript.append(refused)

    @on(Transcript.VersionWanted)
    def _show_version(self, event: Transcript.VersionWanted) -> None:
        """Show the turn's sibling, and below it what was seen there last."""
        event.stop()
        if self.busy:
            self._say_one_runs()
            return
        sibling = event.view.node.sibling(event.by) if event.view.node is not None else None
        if sibling is None:
            return
        self.conversation.show(sibling)
        self._show_branch()
        self._show_title()
        self._save()
        self.transcript.focus_turn(next(view for view in self.transcript.turns if view.node is sibling))

    @on(Transcript.EditWanted)
    async def _edit_wanted(self, event: Transcript.EditWanted) -> None:
        """Put a message into the composer; nothing goes before it is sent."""
        event.stop()
        node = event.view.node
        if node is None:
            return
        if self._edit is None or self._edit.node is not node:
            self._put_edit_off()
            await self._begin_edit(node, self._put_off.get(node) or wording(node))
        self.focus_main()

    @on(Composer.EditLeft)
    async def _edit_left(self, event: Composer.EditLeft) -> None:
        """Escape while editing; an answer that runs goes on, F12 stops it."""
        event.stop()
        node = self._edit.node if self._edit is not None else None
        self._put_edit_off()
        await self._end_edit()
        if node in self._put_off:
            self.notify("What you wrote is kept: e on the message shows it again.")
