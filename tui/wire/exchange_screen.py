"""One request of the wire record as a conversation: what was asked, and the answer as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

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
from tui.chat.question_view import QuestionView
from tui.chat.turn_view import TurnView
from tui.chat.turn_window import TurnWindow
from tui.foreign import short_name
from tui.widgets.footer import KeyFooter
from tui.widgets.redraw import redraw
from tui.wire.answers import Answers
from tui.wire.curl import curl
from tui.wire.entry_text import entry_content, phases_content, prompt_content, witness_content

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
        self._answers = Answers(self._exchange) if self._exchange is not None else None
        self._over = False
        self._reading = ""
        """What is shown in place of the conversation."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box exchange-box") as box:
            box.border_title = "Request"
            yield Static(id="exchange-head", markup=False)
            yield Static(id="exchange-phases", markup=False)
            yield TurnWindow(id="exchange-said")
            with VerticalScroll(id="exchange-read") as read:
                read.display = False
                yield Static(id="exchange-text", markup=False)
            if self._exchange is None:
                yield Static(NOT_KEPT, id="exchange-none", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        if self._exchange is not None and self._answers is not None:
            self.said.append(*_turns(self._exchange), *self._answers.views)
        else:
            self.said.display = False
        self.said.focus()
        self.set_interval(LOOK_S, self._look)

    def on_resize(self) -> None:
        self.call_after_refresh(self._look)

    def _look(self) -> None:
        """Bring the screen in line with the record."""
        entry = self._record.entry(self._request_id)
        if entry is None:
            return
        redraw(self.query_one("#exchange-head", Static), entry_content(entry))
        phases = self.query_one("#exchange-phases", Static)
        redraw(phases, phases_content(entry, phases.size.width))
        if self._answers is not None:
            self._answers.look(entry)
        if entry.state.over and not self._over:
            self._over = True
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "kill":
            return not self._over
        return self._exchange is not None or action not in ("curl", "go_on", "prompt", "witness", "beside")

    def action_kill(self) -> None:
        if not self._record.kill(self._request_id):
            self.notify("This request does not run.")

    @work(exclusive=True, group="prompt")
    async def action_prompt(self) -> None:
        """Show the prompt as the model reads it, or the conversation again."""
        if self._exchange is None or self._reading == "prompt":
            self._read("", Content(""))
            return
        request = self._exchange.request
        try:
            found = await off_loop(lambda: self._engine.tokenize(request).result(WAIT_S), "exchange-prompt")
        except (EngineError, TimeoutError) as error:
            self.notify(str(error) or "The prompt could not be read in time.", severity="warning", timeout=8)
            return
        self._read("prompt", prompt_content(found))

    def action_witness(self) -> None:
        """Show what the engine says that it did, or the conversation again."""
        if self._exchange is None or self._reading == "witness":
            self._read("", Content(""))
        else:
            self._read("witness", witness_content(self._exchange.results))

    def _read(self, what: str, content: Content) -> None:
        """Show a text in place of the conversation; with "", the conversation."""
        self._reading = what
        read = self.query_one("#exchange-read", VerticalScroll)
        self.query_one("#exchange-text", Static).update(content)
        self.query_one(".exchange-box").border_title = f"Request · {what}" if what else "Request"
        read.display, self.said.display = bool(what), not what
        read.scroll_home(animate=False)
        (read if what else self.said).focus()

    def action_beside(self) -> None:
        """Ask another model the same, and look at both answers."""
        if self._exchange is None:
            return
        from tui.wire.beside_screen import BesideScreen

        self.app.push_screen(BesideScreen(self._record, self._engine, self._request_id, self._exchange))

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


def _turns(exchange: Exchange) -> Iterator[TurnView]:
    """What was said before the answer."""
    request = exchange.request
    for message in request.messages:
        yield _view(message, short_name(request.model))
    if request.prompt is not None:
        yield QuestionView(Message.text(Role.USER, request.prompt), who="prompt")


def _view(message: Message, label: str) -> TurnView:
    if message.role is not Role.ASSISTANT:
        return QuestionView(message, who="system" if message.role is Role.SYSTEM else "client")
    view = AnswerView(label, "")
    view.set(result_of(Turn(message)), "")
    return view
