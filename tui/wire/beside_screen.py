"""A request of the wire record asked of another model: two answers next to each other, and what differs."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Select, Static

from core.calls.events import Finished, GenerationResult
from core.calls.generation import Generation
from core.catalog import ModelInfo
from core.engine import Engine
from core.errors import EngineError
from core.golden.shadow import question
from server.evidence import Exchange
from server.wire import WireRecord
from tui.actions import bindings
from tui.background import off_loop
from tui.chat.answer_view import AnswerView
from tui.chat.live_answer import LiveAnswer, final_figures
from tui.chat.model_choices import CHAT_KINDS
from tui.chat.turn_window import TurnWindow
from tui.foreign import one_line, plain, short_name
from tui.waiting import load_ahead
from tui.widgets.choice import Choice, ChoiceList
from tui.widgets.footer import KeyFooter
from tui.widgets.redraw import redraw
from tui.wire.answers import CALLS, Answers
from tui.wire.difference import difference, marked, times

LOOKS_PER_S = 12
ASK = "Choose a model; it is asked the same. The client hears nothing of it."


class BesideScreen(ModalScreen[None]):
    """The client's answer on the left, the chosen model's on the right, as both come."""

    BINDINGS: ClassVar = bindings("beside")

    chooser = getters.query_one("#beside-model", Choice)
    theirs = getters.query_one("#beside-theirs", TurnWindow)
    other = getters.query_one("#beside-other", TurnWindow)

    def __init__(self, record: WireRecord, engine: Engine, id: str, exchange: Exchange) -> None:
        super().__init__(classes="dialogue")
        self._record, self._engine, self._request_id, self._exchange = record, engine, id, exchange
        self._answers = Answers(exchange, " · the client's answer")
        self._generation: Generation | None = None
        self._live: LiveAnswer | None = None
        self._view: AnswerView | None = None
        self._asked = ""
        """The other model, by its short name."""
        self._compared: tuple[int, int] | None = None
        """Which two answers the line below is about."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box beside-box") as box:
            box.border_title = "Side by side"
            yield Static(plain(one_line(question(self._exchange.request))), id="beside-question", markup=False)
            yield Choice[str]([], prompt="which model?", id="beside-model", compact=True)
            with Horizontal(id="beside-answers"):
                yield TurnWindow(id="beside-theirs")
                yield TurnWindow(id="beside-other")
            with VerticalScroll(id="beside-words") as words:
                words.display = False
                with Horizontal(id="beside-marked"):
                    yield Static(id="beside-left", markup=False)
                    yield Static(id="beside-right", markup=False)
            yield Static(ASK, id="beside-found", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.theirs.append(self._answers.views[0])
        self.set_interval(1 / LOOKS_PER_S, self._look)
        self._offer_models()

    def on_unmount(self) -> None:
        self._stop()

    @work(exclusive=True, group="models")
    async def _offer_models(self) -> None:
        """List those that can be asked, what is in memory first, and open the list."""
        infos = await off_loop(self._engine.catalog.list, "beside-models")
        there = {model.id for model in self._engine.status().models}
        able = sorted((info for info in infos if self._able(info)), key=lambda info: info.id not in there)
        own = self._exchange.request.model
        notes = {own: "  as the client", **dict.fromkeys(there - {own}, "  in memory")}
        self.chooser.set_options([(one_line(info.id) + notes.get(info.id, ""), info.id) for info in able])
        self.action_choose()

    def _able(self, info: ModelInfo) -> bool:
        request = self._exchange.request
        fits = info.kind in CHAT_KINDS and not info.problem
        return fits and (info.images or not request.images) and (info.tools or not request.tools)

    # -- the other answer ---------------------------------------------------------------------------------------------

    @on(Select.Changed, "#beside-model")
    def _model_chosen(self, event: Select.Changed) -> None:
        event.stop()
        if isinstance(event.value, str):
            self._ask(event.value)
            self.call_later(self.other.focus)

    def _ask(self, model: str) -> None:
        self._stop()
        self._compared = None
        self._show_words(False)
        redraw(self.query_one("#beside-found", Static), Content(""))
        self._asked = one_line(short_name(model))
        self._view = AnswerView(self._asked, "", calls=CALLS)
        self.other.clear()
        self.other.append(self._view)
        request = replace(self._exchange.request, model=model, id=uuid.uuid4().hex, source="wire")
        self._live = LiveAnswer(time.monotonic())
        try:
            self._generation = self._engine.generate(request)
        except EngineError as error:
            self._view.set(GenerationResult(), "", error.message)
            self._live = self._generation = None
        self.refresh_bindings()

    def _stop(self) -> None:
        if self._generation is not None and not self._generation.done:
            self._generation.cancel()

    async def _look(self) -> None:
        """Bring both answers in line with what has come."""
        entry = self._record.entry(self._request_id)
        if entry is not None:
            self._answers.look(entry)
        await self._look_at_the_other()
        self._compare()

    async def _look_at_the_other(self) -> None:
        generation, live, view = self._generation, self._live, self._view
        if generation is None or live is None or view is None:
            return
        over = generation.done
        for event in generation.drain():
            live.add(event)
        if not over:
            await view.show(live, load_ahead(self._engine.status(), generation.request.model))
            return
        self._generation = None
        end: Finished | None = live.result.finished
        problem = generation.error.message if generation.error is not None else ""
        await view.finish(live.result, final_figures(end, calls=CALLS) if end else "", problem)
        self.refresh_bindings()

    def _whole(self) -> tuple[GenerationResult, GenerationResult] | None:
        """Both answers, once both have ended."""
        theirs, live = self._exchange.results[0], self._live
        if live is None or live.result.finished is None or theirs.finished is None or self._generation is not None:
            return None
        return theirs, live.result

    def _compare(self) -> None:
        pair = self._whole()
        key = (id(pair[0]), id(pair[1])) if pair else None
        if pair is None or key == self._compared:
            return
        self._compared = key
        theirs, other = pair
        found = difference(self._exchange.request, theirs, self._asked, other)
        lines = Content("\n").join([found, times(theirs, other)])
        redraw(self.query_one("#beside-found", Static), lines)
        self.refresh_bindings()

    # -- keys ---------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "stop":
            return self._generation is not None
        if action == "again":
            return self._view is not None and self._generation is None
        return action != "words" or self._whole() is not None

    def action_choose(self) -> None:
        self.chooser.focus()
        self.chooser.action_show_overlay()
        if self._view is None:  # the first line stands for no choice
            self.chooser.query_one(ChoiceList).highlighted = 1

    def action_again(self) -> None:
        if isinstance(self.chooser.value, str):
            self._ask(self.chooser.value)

    def action_stop(self) -> None:
        self._stop()

    def action_words(self) -> None:
        """Show which words differ, or both answers again."""
        self._show_words(not self.query_one("#beside-words").display)

    def _show_words(self, shown: bool) -> None:
        words, pair = self.query_one("#beside-words"), self._whole()
        shown = shown and pair is not None
        if shown and pair is not None:
            names = (f"{short_name(self._exchange.request.model)} · the client's answer", self._asked)
            for side, name, words_of in zip(("left", "right"), names, marked(*pair), strict=True):
                label = plain(one_line(name), "bold $secondary")
                self.query_one(f"#beside-{side}", Static).update(Content("\n").join([label, words_of]))
        words.display = shown
        self.query_one("#beside-answers").display = not shown
        if self._view is not None:
            (words if shown else self.other).focus()

    def action_close(self) -> None:
        self.dismiss()
