"""While a prompt is read for minutes, the official clients hand on events: programs that count those go on waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from core.calls.events import Prefill, TextDelta
from server import answer
from tests.server.conftest import Stage, Staged
from tests.server.scripted import END, Play

ASK: Any = [{"role": "user", "content": "Hi"}]


def claude(one: Stage) -> Iterator[str]:
    with anthropic.Anthropic(base_url=one.url, api_key=one.key) as client:
        for event in client.messages.create(model="toy", max_tokens=9, messages=ASK, stream=True):
            yield event.delta.text if event.type == "content_block_delta" and event.delta.type == "text_delta" else ""


def chat(one: Stage) -> Iterator[str]:
    with openai.OpenAI(base_url=one.url + "/v1", api_key=one.key) as client:
        for chunk in client.chat.completions.create(model="toy", messages=ASK, stream=True):
            yield chunk.choices[0].delta.content or ""


def responses(one: Stage) -> Iterator[str]:
    with openai.OpenAI(base_url=one.url + "/v1", api_key=one.key) as client:
        for event in client.responses.create(model="toy", input=ASK, stream=True):
            yield event.delta if event.type == "response.output_text.delta" else ""


@pytest.mark.parametrize("ask", [claude, chat, responses])
def test_a_client_hears_of_a_long_prefill(
    stage: Staged, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Stage], Iterator[str]]
) -> None:
    monkeypatch.setattr(answer, "PATIENCE_S", 0.02)
    monkeypatch.setattr(answer, "PING_S", 0.01)
    heard = threading.Event()

    def script(play: Play) -> None:
        play.say(Prefill(1, 36_000))
        assert heard.wait(30)
        play.say(TextDelta("Hi"), END)

    said = ""
    for number, text in enumerate(ask(stage(script))):
        said += text
        if number == 8:
            heard.set()
    assert heard.is_set()
    assert said == "Hi"
