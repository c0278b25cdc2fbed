"""The chat: a model, a conversation that streams, images, and what goes with a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Select, Static

from core.catalog import ModelInfo
from core.errors import EngineError
from core.generation import Generation
from core.images import read_image
from core.requests import Message, Role
from tui.actions import bindings
from tui.background import off_loop
from tui.chat_models import TIERS, choices, model_of
from tui.clipboard import clipboard_image
from tui.conversation import ChatSettings, Conversation, Turn, answer_message, as_markdown
from tui.dropped import mentioned_images
from tui.foreign import clean, plain
from tui.live_answer import LiveAnswer
from tui.screens.chat_settings import ChatSettingsScreen
from tui.services import Services
from tui.state import WorkbenchState
from tui.widgets.answer_view import AnswerView
from tui.widgets.attachments import Attachments
from tui.widgets.completions import Completions
from tui.widgets.composer import Composer
from tui.widgets.header_line import short_name
from tui.widgets.question_view import QuestionView
from tui.widgets.transcript import Transcript

REDRAWS_PER_S = 15


@dataclass
class Running:
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

    BINDINGS: ClassVar = bindings("chat")

    state: reactive[WorkbenchState] = reactive(WorkbenchState())
    settings: reactive[ChatSettings] = reactive(ChatSettings())

    chooser: getters.query_one[Select[str]] = getters.query_one("#chat-model", Select)
    transcript = getters.query_one(Transcript)
    attachments = getters.query_one(Attachments)
    completions = getters.query_one(Completions)
    composer = getters.query_one(Composer)

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Chat"
        self.conversation = Conversation()
        self._services: Services | None = None
        self._models: list[ModelInfo] = []
        self._labels: list[tuple[str, str]] = []
        self._answering: Running | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="chat-bar"):
            yield Select[str]([], prompt="no models yet", id="chat-model", compact=True)
            yield Static(id="chat-settings-line", markup=False)
        yield Transcript(id="transcript")
        yield Completions("completions", Path.cwd())
        yield Attachments("attachments")
        yield Composer("composer")

    def on_mount(self) -> None:
        self._greet()

    # -- what is shown ------------------------------------------------------------------------------------------------

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        """The catalog was read: offer its models in the chooser."""
        self._models = list(models)
        self._offer_models()

    def watch_state(self) -> None:
        if self.is_mounted:
            self._offer_models()

    def _offer_models(self) -> None:
        labels = choices(self._models, self.state) if self._models else []
        if labels == self._labels:
            return
        self._labels = labels
        chosen = self.chosen
        with self.prevent(Select.Changed):
            self.chooser.set_options((plain(clean(label)), choice) for label, choice in labels)
            known = [choice for _, choice in labels]
            if known:
                self.chooser.value = chosen if chosen in known else known[0]

    @property
    def chosen(self) -> str:
        """What is chosen: a tier's name or a model's id."""
        value = self.chooser.value
        return value if isinstance(value, str) else TIERS[0]

    def choose(self, choice: str) -> None:
        """Choose a tier or a model to answer from now on."""
        if choice in [known for _, known in self._labels]:
            self.chooser.value = choice

    def watch_settings(self) -> None:
        if self.is_mounted:
            self._show_settings()

    def _show_settings(self) -> None:
        settings = self.settings
        parts = [
            "system" if settings.system.strip() else "",
            f"t {settings.temperature:g}" if settings.temperature is not None else "",
            f"≤{settings.max_tokens}" if settings.max_tokens else "",
            {True: "thinking", False: "no thinking", None: ""}[settings.thinking],
            f"{len(settings.tools)} tools" if settings.tools else "",
        ]
        self.query_one("#chat-settings-line", Static).update(Content(" · ".join(part for part in parts if part)))

    def _greet(self) -> None:
        """An empty chat says what can be done with it."""
        self._show_settings()
        dim = "$foreground 60%"
        hint = Content.assemble(
            ("Ask the model something.\n\n", "bold"),
            ("@", "$primary"),
            (" and a path attaches an image; so does dropping a file here or pasting one.\n", dim),
            ("F7", "$primary"),
            (" chooses the model. ", dim),
            ("^s", "$primary"),
            (" sets the system prompt and sampling. ", dim),
            ("F1", "$primary"),
            (" shows every key.", dim),
        )
        self.transcript.turns.mount(Static(hint, classes="greeting"))

    def _show_title(self) -> None:
        title = self.conversation.title
        self.border_subtitle = "" if not self.conversation.turns else plain(title)

    # -- writing ------------------------------------------------------------------------------------------------------

    def focus_main(self) -> None:
        self.composer.focus()

    def focus_last_turn(self) -> None:
        """Go to the newest message, from where the arrow keys and tab reach the others."""
        turns = list(self.transcript.turns.query_children(".turn"))
        if turns:
            turns[-1].focus()

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
                if candidate is None:
                    return
                self.composer.complete(candidate)
                if not candidate.folder:
                    self.attach_files([candidate.path])

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
        self._paste(event.text_too)

    @work(exclusive=True, group="paste")
    async def _paste(self, text_too: bool) -> None:
        """The clipboard's image if there is one; else what was last copied inside the workbench."""
        copied = self.app.clipboard if text_too else ""
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

    # -- sending and streaming ----------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._answering is not None

    @on(Composer.Submitted)
    async def _submitted(self, event: Composer.Submitted) -> None:
        event.stop()
        if self.busy:
            self.notify("An answer is running: escape stops it.")
            return
        if self._services is None:
            self.notify("The engine is still starting.")
            return
        text, named = mentioned_images(event.text)
        images = self.attachments.images
        try:
            for path in named:
                images.append(await off_loop(partial(read_image, path), "read-image"))
        except EngineError as error:
            self.notify(error.message, title="Not sent", severity="error")
            return
        if not text.strip() and not images:
            return
        await self._ask(self.conversation.question(text.strip(), images), draft=event.text)

    async def _ask(self, question: Message, draft: str) -> None:
        """Put a question to the chosen model; one that is refused at once goes back to the composer."""
        if not self.conversation.turns:
            await self.transcript.clear()
        await self.transcript.drop_refused()
        view = QuestionView(question)
        self.conversation.turns.append(Turn(question))
        images = self.attachments.images
        await self.transcript.append(view)
        if await self._answer():
            self.composer.accepted(draft)
            await self.attachments.set([])
            self._show_title()
            self._save()
        else:
            self.conversation.turns.pop()
            view.add_class("refused")
            if self.attachments.images != images:
                await self.attachments.set(images)

    async def _answer(self) -> bool:
        """Ask for an answer to the conversation as it stands; False if the engine refuses."""
        assert self._services is not None
        choice = self.chosen
        model = model_of(choice, self.state)
        tier = choice if choice in TIERS else ""
        view = AnswerView(f"{tier} · {short_name(model or '')}" if tier else clean(choice), tier, not self._unfolded)
        await self.transcript.append(view)
        try:
            if model is None:
                raise EngineError(
                    f"No model stands for the {choice} tier. Go to Models (F2) and load one with "
                    f"{'q' if choice == 'quick' else 'w'}."
                )
            submitted = time.monotonic()
            generation = self._services.engine.generate(self.conversation.request(model, self.settings))
        except EngineError as error:
            view.add_class("refused")
            await view.finish(LiveAnswer(0).result, "", error.message)
            return False
        self._answering = Running(generation, LiveAnswer(submitted), view, model)
        self.add_class("-running")
        self._follow(self._answering)
        return True

    @work(exclusive=True, group="answer")
    async def _follow(self, running: Running) -> None:
        """Drain the engine's events a few times a second; the figures are of its clock, so reading late is harmless."""
        while not running.take():
            await running.view.show(running.live)
            await asyncio.sleep(1 / REDRAWS_PER_S)
        self._answering = None
        self.remove_class("-running")
        error, result = running.generation.error, running.live.result
        figures = running.live.figures if result.finished else ""
        await running.view.finish(result, figures, error.message if error else "")
        if not self._record(running) and error is not None:
            self._give_back(running.view)

    def _record(self, running: Running) -> bool:
        """Make what was answered a turn of the chat; False if nothing was."""
        message = answer_message(running.live.result)
        if message is None:
            return False
        self.conversation.turns.append(Turn(message, running.model, running.live.result.finished))
        self._save()
        return True

    def _give_back(self, view: AnswerView) -> None:
        """An answer failed before its first word: the question goes back to the composer, to be sent again."""
        turn = self.conversation.turns.pop()
        view.add_class("refused")
        questions = self.transcript.views(QuestionView)
        if questions:
            questions[-1].add_class("refused")
        if not self.composer.text:
            self.composer.write(turn.message.plain_text)
            self.call_later(self.attachments.set, list(turn.message.images))

    def stop(self) -> bool:
        """Stop the running answer and keep what came; False if none is running."""
        if self._answering is None:
            return False
        self._answering.generation.cancel()
        return True

    def _save(self) -> None:
        """Saved on a worker."""

    # -- what is done -------------------------------------------------------------------------------------------------

    _unfolded = False

    def action_toggle_thinking(self) -> None:
        self._unfolded = not self._unfolded
        for view in self.query(AnswerView):
            view.folded = not self._unfolded

    @work(exclusive=True, group="settings")
    async def action_settings(self) -> None:
        settings = await self.app.push_screen_wait(ChatSettingsScreen(self.settings))
        if settings is not None:
            self.settings = settings

    def action_choose_model(self) -> None:
        self.chooser.focus()
        self.chooser.action_show_overlay()

    @on(Select.Changed, "#chat-model")
    def _model_chosen(self, event: Select.Changed) -> None:
        event.stop()
        self.composer.focus()

    async def action_new_chat(self) -> None:
        if self._answering is not None:
            self.workers.cancel_group(self, "answer")
            self._answering.generation.cancel()
            self._answering.take()
            self._record(self._answering)
            self._answering = None
            self.remove_class("-running")
        self.conversation = Conversation()
        await self.transcript.clear()
        await self.attachments.set([])
        self._greet()
        self._show_title()
        self.composer.focus()

    async def action_regenerate(self) -> None:
        if self.busy or self._services is None:
            return
        if not self.conversation.take_back_answer():
            self.notify("There is no message to answer again.")
            return
        await self.transcript.drop_refused()
        await self.transcript.drop_after(self.transcript.views(QuestionView)[-1])
        if not await self._answer():
            self.notify("The message was refused; the answer says why.", severity="warning")

    @on(QuestionView.EditWanted)
    async def _edit(self, event: QuestionView.EditWanted) -> None:
        """Take the chat back to before a message, which goes into the composer."""
        event.stop()
        if self.busy:
            self.notify("An answer is running: escape stops it.")
            return
        position = next(
            (index for index, turn in enumerate(self.conversation.turns) if turn.message is event.view.message), None
        )
        if position is not None:
            del self.conversation.turns[position:]
        await self.transcript.drop_after(event.view)
        self.composer.write(event.view.text)
        await self.attachments.set(list(event.view.message.images))
        await event.view.remove()
        self._show_title()
        self._save()
        self.composer.focus()

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
