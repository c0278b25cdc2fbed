"""The answers of a request of the wire record on the screen, as far as they have come, and how they stand in words."""

from __future__ import annotations

from core.calls.events import GenerationResult
from server.evidence import Exchange
from server.wire import WireEntry, WireState
from tui.chat.answer_view import AnswerView
from tui.chat.live_answer import final_figures
from tui.foreign import short_name

CALLS = "the calls are the client's to make"
"""What is said of an answer that calls tools: whether its client does is not known here."""
_RUNNING = {
    WireState.QUEUED: "waits for its turn",
    WireState.LOADING: "its model is being loaded",
    WireState.PREFILL: "its prompt is being read",
}
LEFT = "its client left before the end"


class Answers:
    """One view for each choice; `look` brings them in line with what has come. `whose` stands behind the model."""

    def __init__(self, exchange: Exchange, whose: str = "") -> None:
        label = short_name(exchange.request.model) + whose
        many = len(exchange.results) > 1
        self._exchange = exchange
        self._shown: list[tuple[object, ...]] = [()] * len(exchange.results)
        self.views = [
            AnswerView(f"{label} · choice {number}" if many else label, "", calls=CALLS)
            for number, _ in enumerate(exchange.results, 1)
        ]

    def look(self, entry: WireEntry) -> None:
        """Show what is new."""
        for place, (view, result) in enumerate(zip(self.views, self._exchange.results, strict=True)):
            words = standing(entry, result)
            state = (len(result.text), len(result.thinking), len(result.tool_calls), words, entry.state.over)
            if state != self._shown[place]:
                self._shown[place] = state
                ended = result.finished is not None or entry.state.over
                view.set(copied(result), words if ended else f"▌{words}", growing=not ended)


def standing(entry: WireEntry, result: GenerationResult) -> str:
    """How an answer stands: the figures of one that has ended, what one that has not waits for or why it broke off."""
    if result.finished is not None:
        return final_figures(result.finished, calls=CALLS)
    if not entry.state.over:
        return _RUNNING.get(entry.state, "")
    if entry.state is WireState.CANCELLED:
        return "stopped before its end" if entry.error else LEFT
    return "failed before its end"


def copied(result: GenerationResult) -> GenerationResult:
    """As it is now: the server goes on writing into it."""
    return GenerationResult(result.text, result.thinking, list(result.tool_calls), finished=result.finished)
