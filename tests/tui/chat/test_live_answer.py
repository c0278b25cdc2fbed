"""Figures of a running answer are told from the engine's clock."""

from __future__ import annotations

from core.calls.events import FinishReason, Loading, Prefill, Queued, TextDelta
from tests.tui.scripted import finished
from tui.chat.live_answer import LiveAnswer, final_figures


def test_before_the_first_token_it_says_what_the_engine_does() -> None:
    live = LiveAnswer(10.0, clock=lambda: 11.5)
    assert live.figures == "sent · 1.50 s"
    live.add(Queued(2))
    assert live.figures == "place 2 in the queue · 1.50 s"
    live.add(Loading("pocket/qwen3"))
    assert live.figures == "loading pocket/qwen3 · 1.50 s"
    live.add(Prefill(100, 400, 50))
    assert live.figures == "reading the prompt 100/400, 50 cached · 1.50 s"


def test_rates_come_from_the_time_of_the_tokens_not_of_reading() -> None:
    live = LiveAnswer(10.0, clock=lambda: 99.0)
    for index in range(17):
        live.add(TextDelta("x", at=10.5 + index * 0.1))
    assert live.figures == "TTFT 0.50 s · 10 tok/s · 17 tokens"


def test_a_rate_waits_for_enough_time() -> None:
    live = LiveAnswer(10.0)
    live.add(TextDelta("x", at=10.5))
    live.add(TextDelta("y", at=10.6))
    assert live.figures == "TTFT 0.50 s · 2 tokens"


def test_the_end_brings_the_engines_own_figures() -> None:
    live = LiveAnswer(10.0)
    live.add(TextDelta("x", at=10.5))
    live.add(finished(prompt=131, tokens=24))
    assert live.figures == "TTFT 0.21 s · 92 tok/s · 131 → 24 tokens"
    words = "first token after 0.21 s · 92 tokens/s · prompt 131 tokens, answer 24"
    assert final_figures(finished(), spelled=True) == words


def test_an_unusual_end_is_named() -> None:
    assert final_figures(finished(FinishReason.CANCELLED)).endswith("stopped")
    assert final_figures(finished(FinishReason.LENGTH)).endswith("cut off at the token limit")
