"""One request of the wire record as a conversation: what was asked, and the answer as it comes."""

from __future__ import annotations

from typing import ClassVar

from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from core.calls.events import GenerationResult
from core.calls.requests import Message, Role
from core.chats.tree import Turn
from core.engine import Engine
from core.errors import EngineError
from server.evidence import Exchange
from server.wire import WireRecord
from tui.actions import bindings
from tui.background import off_loop
from tui.chat.answer_view import AnswerView
from tui.chat.conversation import result_of
from tui.chat.live_answer import final_figures
from tui.chat.question_view import QuestionView
from tui.chat.turn_view import TurnView
from tui.chat.turn_window import TurnWindow
from tui.foreign import short_name
from tui.widgets.footer import KeyFooter
from tui.widgets.redraw import redraw
from tui.wire.curl import curl
from tui.wire.entry_text import entry_content, phases_content, prompt_content

LOOK_S = 0.2
"""How often it is looked what has come."""
WAIT_S = 30.0
"""For the prompt to be read: a template may take its time."""
NOT_KEPT = (
    "What was said in this request is not kept: it took too much room, had to give way to later ones, came while "
    "nothing was kept, or asked for no answer in words. The numbers are above."
)


class ExchangeScreen(ModalScreen[tuple[str, Exchange] | None]):
    """Dismissed with what the person wants to go on with, and where: in the "chat", or as a "golden" prompt."""

    BINDINGS: ClassVar = bindings("exchange")

    said = getters.query_one("#exchange-said", TurnWindow)

    def __init__(self, record: WireRecord, engine: Engine, id: str, url: str) -> None:
        super().__init__(classes="dialogue")
        self._engine = engine
        self._record, self._request_id, self._url = record, id, url
        self._exchange = record.evidence.get(id)
        """Held while it is looked at, whatever gives way meanwhile."""
        self._answers: list[AnswerView] = []
        self._shown: list[tuple[int, int, int]] = []
        self._over = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box exchange-box") as box:
            box.border_title = "Request"
            yield Static(id="exchange-head", markup=False)
            yield Static(id="exchange-phases", markup=False)
            yield TurnWindow(id="exchange-said")
            with VerticalScroll(id="exchange-read") as read:
                read.display = False
                yield Static(id="exchange-prompt", markup=False)
            if self._exchange is None:
                yield Static(NOT_KEPT, id="exchange-none", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        if self._exchange is not None:
            self._begin(self._exchange)
        else:
            self.said.display = False
        self.said.focus()
        self.set_interval(LOOK_S, self._look)

    def on_resize(self) -> None:
        self.call_after_refresh(self._look)

    def _begin(self, exchange: Exchange) -> None:
        """Show the question, and room for the answers."""
        request = exchange.request
        label = short_name(request.model)
        views: list[TurnView] = [_view(message, label) for message in request.messages]
        if request.prompt is not None:
            views.append(QuestionView(Message.text(Role.USER, request.prompt), who="prompt"))
        many = len(exchange.results) > 1
        for number, _ in enumerate(exchange.results, 1):
            self._answers.append(AnswerView(f"{label} · choice {number}" if many else label, ""))
        self._shown = [(-1, -1, -1)] * len(self._answers)
        self.said.append(*views, *self._answers)

    def _look(self) -> None:
        """Bring the screen in line with the record."""
        entry = self._record.entry(self._request_id)
        if entry is None:
            return
        redraw(self.query_one("#exchange-head", Static), entry_content(entry))
        phases = self.query_one("#exchange-phases", Static)
        redraw(phases, phases_content(entry, phases.size.width))
        if self._exchange is not None:
            self._show_answers(self._exchange)
        if entry.state.over and not self._over:
            self._over = True
            self.refresh_bindings()

    def _show_answers(self, exchange: Exchange) -> None:
        for place, (view, result) in enumerate(zip(self._answers, exchange.results, strict=True)):
            state = (len(result.text), len(result.thinking), len(result.tool_calls) + bool(result.finished))
            if state != self._shown[place]:
                self._shown[place] = state
                view.set(_copied(result), final_figures(result.finished) if result.finished else "▌")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "kill":
            return not self._over
        return self._exchange is not None or action not in ("curl", "go_on", "prompt")

    def action_kill(self) -> None:
        if not self._record.kill(self._request_id):
            self.notify("This request does not run.")

    @work(exclusive=True, group="prompt")
    async def action_prompt(self) -> None:
        """Show the prompt as the model reads it, or the conversation again."""
        if self._exchange is None:
            return
        read, request = self.query_one("#exchange-read"), self._exchange.request
        if not read.display:
            try:
                found = await off_loop(lambda: self._engine.tokenize(request).result(WAIT_S), "exchange-prompt")
            except (EngineError, TimeoutError) as error:
                self.notify(str(error) or "The prompt could not be read in time.", severity="warning", timeout=8)
                return
            self.query_one("#exchange-prompt", Static).update(prompt_content(found))
        read.display = not read.display
        self.said.display = not read.display
        (read if read.display else self.said).focus()

    def action_curl(self) -> None:
        """Copy the request as a command."""
        entry, exchange = self._record.entry(self._request_id), self._exchange
        if entry is None or exchange is None or not exchange.body:
            self.notify("Its body was too large to be kept, so that there is nothing to copy.", severity="warning")
            return
        command, digests = curl(entry, exchange.body, self._url)
        self.app.copy_to_clipboard(command)
        left = " Its images stand in it as digests: put their data back before you run it." if digests else ""
        self.notify(f"Copied the request as curl, with the key as $ASSAY_KEY.{left}", timeout=8 if digests else 3)

    def action_go_on(self, where: str) -> None:
        if where == "golden" and not self._over:
            self.notify("Its answer is still being written: a golden prompt's check is made of the whole.")
        elif self._exchange is not None:
            self.dismiss((where, self._exchange))

    def action_close(self) -> None:
        self.dismiss(None)


def _view(message: Message, label: str) -> TurnView:
    if message.role is not Role.ASSISTANT:
        return QuestionView(message, who="system" if message.role is Role.SYSTEM else "client")
    view = AnswerView(label, "")
    view.set(result_of(Turn(message)), "")
    return view


def _copied(result: GenerationResult) -> GenerationResult:
    """As it is now: the server goes on writing into it."""
    return GenerationResult(result.text, result.thinking, list(result.tool_calls), finished=result.finished)
