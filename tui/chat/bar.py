"""The line above the chat: who answers, and what goes with each request."""

from __future__ import annotations

from collections.abc import Sequence

from textual import getters
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Select, Static

from core.catalog import ModelInfo
from core.chats.settings import ChatSettings
from tui.chat.model_choices import TIERS, choices
from tui.foreign import clean, plain
from tui.state import WorkbenchState
from tui.widgets.choice import Choice
from tui.widgets.redraw import redraw

LOOKING = "looking for models…"
"""What a tier stands for until its model is known."""
CHOOSER_CELLS = 34
"""What the name of a model should have."""


class ModelChooser(Choice[str]):
    """Says when it has closed, so that what is typed next goes where it was meant."""

    class Closed(Message):
        """Its list is closed, whatever closed it."""

    def watch_expanded(self, expanded: bool) -> None:
        if not expanded and self.is_mounted:
            self.post_message(self.Closed())


class ChatBar(Horizontal):
    """A chooser of tiers and models, and the settings that differ from the usual ones.

    `images` says whether images are in view of the next answer: a tier's name may mean another model then.
    """

    state: reactive[WorkbenchState] = reactive(WorkbenchState())
    settings: reactive[ChatSettings] = reactive(ChatSettings())
    images: reactive[bool] = reactive(False)

    chooser = getters.query_one("#chat-model", ModelChooser)

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._models: list[ModelInfo] = []
        self._listed = False
        self._labels = [(f"{tier} · {LOOKING}", tier) for tier in TIERS]

    def compose(self) -> ComposeResult:
        yield ModelChooser(self._labels, allow_blank=False, id="chat-model", compact=True)
        yield Static(id="chat-settings-line", markup=False)

    def show_models(self, models: Sequence[ModelInfo]) -> str:
        """The catalog was read: offer its models. Returns the chosen one if it is not among them any more, else ""."""
        before = self.chosen
        self._models, self._listed = list(models), True
        self._offer_models()
        return before if before != self.chosen else ""

    def offer(self, model: ModelInfo) -> None:
        """Offer one model, as long as the catalog has not been read."""
        if not self._listed:
            self._models = [model]
            self._offer_models()

    @property
    def known(self) -> list[str]:
        """The models on the disk."""
        return [info.id for info in self._models]

    def watch_state(self) -> None:
        if self.is_mounted:
            self._offer_models()

    def watch_images(self) -> None:
        if self.is_mounted:
            self._offer_models()

    def _offer_models(self) -> None:
        labels = choices(self._models, self.state, self.images)
        known = self._models or self._listed or self.state.quick or self.state.full
        if not known or labels == self._labels:
            return
        self._labels = labels
        chosen = self.chosen
        with self.prevent(Select.Changed):
            self.chooser.set_options((plain(clean(label)), choice) for label, choice in labels)
            self.chooser.value = TIERS[chosen == TIERS[0]]  # a value that stays the same would keep its old label
            self.chooser.value = chosen if chosen in [choice for _, choice in labels] else TIERS[0]

    @property
    def chosen(self) -> str:
        """What is chosen: a tier's name or a model's id."""
        return str(self.chooser.value)

    def choose(self, choice: str) -> bool:
        """Choose a tier or a model to answer from now on; False if it is not offered."""
        offered = choice in [known for _, known in self._labels]
        if offered:
            self.chooser.value = choice
        return offered

    def watch_settings(self) -> None:
        if self.is_mounted:
            self._show_settings()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_settings)

    def _show_settings(self) -> None:
        """In words where they leave the chooser enough, else in short; nothing as long as no width is known."""
        if not self.size.width:
            return
        line = self.query_one("#chat-settings-line", Static)
        words, short = (Content(" · ".join(_told(self.settings, spelled))) for spelled in (True, False))
        told = words if words.cell_length + CHOOSER_CELLS <= self.size.width else short
        line.styles.width = told.cell_length + 2
        redraw(line, told)


def _told(settings: ChatSettings, spelled: bool) -> list[str]:
    """The settings that are in force, in words or in short."""
    parts = [
        ("system prompt" if spelled else "system") if settings.system.strip() else "",
        f"{'temperature' if spelled else 't'} {settings.temperature:g}" if settings.temperature is not None else "",
        (f"at most {settings.max_tokens:,} tokens" if spelled else f"≤{settings.max_tokens}")
        if settings.max_tokens
        else "",
        {True: "thinking", False: "no thinking", None: ""}[settings.thinking],
        f"{len(settings.tools)} tool{'s' * (len(settings.tools) != 1)}" if settings.tools else "",
    ]
    return [part for part in parts if part]
