"""The wire, as far as a route goes: what is posted, and what is made of what comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    GenerationResult,
    TextDelta,
    ThinkingDelta,
    Timing,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.calls.requests import (
    GenerationRequest,
    ImagePart,
    Message,
    Role,
    Sampling,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolMode,
    ToolResultPart,
)
from core.golden.routes import Route, RouteError
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.http import Dialect, Frame, HttpRoute, list_models, root
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.golden.suite import BUILTIN
from core.media.images import read_image
from server.anthropic.decode import decode_messages
from server.anthropic.schema import MessagesRequest
from server.openai.decode import decode_chat
from server.openai.responses.decode import decode_response
from server.openai.responses.schema import ResponsesRequest
from server.openai.schema import ChatRequest

PICTURE = read_image(BUILTIN / "images" / "red_square.png")
WEATHER = Tool("get_weather", "The weather", {"type": "object", "properties": {"location": {"type": "string"}}})
REQUEST = GenerationRequest(
    model="m",
    messages=(Message.text(Role.SYSTEM, "Be brief."), Message.text(Role.USER, "What?", PICTURE)),
    tools=(WEATHER,),
    sampling=Sampling(temperature=0.0, max_tokens=64, seed=7, stop=("END",)),
    thinking=False,
)


def test_an_openai_body_holds_all_that_was_asked() -> None:
    body = OpenAI().encode(REQUEST)
    encoded = base64.b64encode(PICTURE.data).decode()
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
                    {"type": "text", "text": "What?"},
                ],
            },
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "get_weather", "description": "The weather", "parameters": WEATHER.parameters},
            }
        ],
        "temperature": 0.0,
        "max_tokens": 64,
        "seed": 7,
        "stop": ["END"],
        "chat_template_kwargs": {"enable_thinking": False},
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert OpenAI().headers("k") == {"authorization": "Bearer k"}
    assert OpenAI().headers("") == {}


def test_a_whole_conversation_is_what_the_server_makes_of_its_body() -> None:
    picture = replace(PICTURE, name="")
    request = GenerationRequest(
        "m",
        (
            Message.text(Role.SYSTEM, "Be brief."),
            Message.text(Role.USER, "Look", picture),
            Message(
                Role.ASSISTANT,
                (
                    ThinkingPart("hm"),
                    TextPart("Well."),
                    ToolCallPart("c1", "look", {"at": 1}),
                    ToolCallPart("c2", "x", {}),
                ),
            ),
            Message(Role.TOOL, (ToolResultPart("c1", (TextPart("é"), ImagePart(picture))),)),
            Message(Role.TOOL, (ToolResultPart("c2", (TextPart("b"),)),)),
            Message(Role.ASSISTANT, (ToolCallPart("c3", "look", {"at": 2}),)),
            Message(Role.TOOL, (ToolResultPart("c3", (TextPart("c"),)),)),
        ),
        tools=(replace(WEATHER, strict=True),),
        tool_choice=ToolChoice(ToolMode.REQUIRED, "get_weather"),
        json_schema={"type": "object"},
        sampling=Sampling(
            top_p=0.5,
            min_p=0.1,
            repetition_penalty=1.1,
            presence_penalty=0.2,
            frequency_penalty=0.3,
            logit_bias={7: -1.0},
            max_tokens=9,
        ),
        thinking=True,
        source="openai",
    )
    for asked in (request, replace(request, tool_choice=ToolChoice(ToolMode.NONE), json_schema=None)):
        body = ChatRequest.model_validate(json.loads(json.dumps(OpenAI().encode(asked))))
        assert replace(decode_chat(body, {}).request, id=asked.id) == asked
    together = replace(request, messages=(Message(Role.TOOL, tuple(m.parts[0] for m in request.messages[3:5])),))
    assert [one["tool_call_id"] for one in OpenAI().encode(together)["messages"]] == ["c1", "c2"]


def test_an_anthropic_body_holds_all_that_was_asked() -> None:
    body = Anthropic().encode(REQUEST)
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PICTURE.data).decode()}
    assert body == {
        "model": "m",
        "max_tokens": 64,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]}
        ],
        "tools": [{"name": "get_weather", "description": "The weather", "input_schema": WEATHER.parameters}],
        "temperature": 0.0,
        "seed": 7,
        "stop_sequences": ["END"],
        "thinking": {"type": "disabled"},
        "stream": True,
    }
    assert Anthropic().headers("k")["x-api-key"] == "k"


def test_a_responses_body_holds_all_that_was_asked() -> None:
    body = Responses().encode(REQUEST)
    encoded = base64.b64encode(PICTURE.data).decode()
    shown = {"type": "input_image", "image_url": f"data:image/png;base64,{encoded}"}
    assert body == {
        "model": "m",
        "input": [
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
            {"type": "message", "role": "user", "content": [shown, {"type": "input_text", "text": "What?"}]},
        ],
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "The weather",
                "parameters": WEATHER.parameters,
                "strict": False,
            }
        ],
        "temperature": 0.0,
        "max_output_tokens": 64,
        "seed": 7,
        "stop": ["END"],
        "chat_template_kwargs": {"enable_thinking": False},
        "store": False,
        "stream": True,
    }
    assert Responses().headers("k") == {"authorization": "Bearer k"}


@pytest.mark.parametrize(
    "choice", [ToolChoice(), ToolChoice(ToolMode.NONE), ToolChoice(ToolMode.REQUIRED, "get_weather")]
)
def test_a_choice_of_tools_and_a_schema_are_what_the_servers_make_of_their_bodies(choice: ToolChoice) -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    tools = (WEATHER, replace(WEATHER, name="held", strict=True))
    asked = replace(REQUEST, tools=tools, tool_choice=choice, json_schema=schema)
    found = (
        decode_chat(ChatRequest.model_validate(OpenAI().encode(asked)), {}).request,
        decode_response(ResponsesRequest.model_validate(Responses().encode(asked)), [], {}).request,
        decode_messages(MessagesRequest.model_validate(Anthropic().encode(asked)), {}).request,
    )
    assert [(one.tools, one.tool_choice, one.json_schema) for one in found] == [(tools, choice, schema)] * 3


def test_how_a_response_ended_is_told_from_its_last_event() -> None:
    def ended(kind: str, response: dict[str, Any]) -> Event:
        (event,) = Responses().reader().feed(Frame("", json.dumps({"type": f"response.{kind}", "response": response})))
        return event

    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert ended("incomplete", cut) == Finished(FinishReason.LENGTH, Usage(), Timing())
    filtered = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    assert ended("incomplete", filtered) == Finished(FinishReason.OTHER, Usage(), Timing(), said="content_filter")
    assert ended("completed", {"status": "completed"}) == Finished(FinishReason.STOP, Usage(), Timing())
    for kind, fields in (
        ("response.failed", {"response": {"error": {"message": "Gone."}}}),
        ("error", {"message": "Gone."}),
    ):
        with pytest.raises(RouteError, match="broke off: Gone"):
            Responses().reader().feed(Frame("", json.dumps({"type": kind, **fields})))


def test_thinking_is_asked_for_as_each_protocol_has_it() -> None:
    asked = {thinking: replace(REQUEST, thinking=thinking) for thinking in (None, True)}
    assert "chat_template_kwargs" not in OpenAI().encode(asked[None])
    assert OpenAI().encode(asked[True])["chat_template_kwargs"] == {"enable_thinking": True}
    assert Anthropic().encode(asked[None])["thinking"] == {"type": "adaptive"}
    assert Anthropic().encode(asked[True])["thinking"] == {"type": "enabled", "budget_tokens": 63}


OPENAI_FRAMES = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"reasoning_content": "hm"}}]},
    {"choices": [{"delta": {"content": "A red"}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}}]},
    {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    {
        "choices": [],
        "usage": {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 2}},
    },
]
RESPONSES_FRAMES = [
    {"type": "response.created", "response": {"id": "resp_1"}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}},
    {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "hm"},
    {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "id": "msg_1"}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "A red"},
    {"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "A red"},
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": {"type": "function_call", "call_id": "1", "name": "f", "arguments": ""},
    },
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a":1}'},
    {
        "type": "response.completed",
        "response": {
            "status": "completed",
            "usage": {"input_tokens": 5, "output_tokens": 6, "input_tokens_details": {"cached_tokens": 2}},
        },
    },
]
ANTHROPIC_FRAMES = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 3, "cache_read_input_tokens": 2}}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "A red"}},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "1", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 6}},
    {"type": "message_stop"},
]
EVENTS: list[Event] = [
    ThinkingDelta("hm"),
    TextDelta("A red"),
    ToolCallStart(0, "1", "f"),
    ToolCallDelta(0, '{"a":1}'),
    Finished(FinishReason.TOOL_CALLS, Usage(5, 6, 2), Timing()),
]


def lines(frames: list[dict[str, Any]], done: bool) -> str:
    return "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames) + ("data: [DONE]\n\n" if done else "")


@pytest.mark.parametrize(
    ("dialect", "frames"),
    [(OpenAI(), OPENAI_FRAMES), (Responses(), RESPONSES_FRAMES), (Anthropic(), ANTHROPIC_FRAMES)],
)
def test_all_protocols_come_back_as_the_same_events(dialect: Dialect, frames: list[dict[str, Any]]) -> None:
    reader = dialect.reader()
    data = [json.dumps(frame) for frame in frames] + (["[DONE]"] if isinstance(dialect, OpenAI) else [])
    assert [event for each in data for event in reader.feed(Frame("", each))] == EVENTS


class Canned(BaseHTTPRequestHandler):
    """Answers every request with the server's `reply`."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, body = self.server.reply  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def canned() -> Iterator[ThreadingHTTPServer]:
    """A server whose `reply` a test sets."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(server: ThreadingHTTPServer, dialect: Dialect, status: int, body: str) -> GenerationResult:
    server.reply = (status, body)  # type: ignore[attr-defined]
    return asyncio.run(collect(HttpRoute(dialect, f"http://127.0.0.1:{server.server_address[1]}/v1", "k")))


async def collect(route: Route) -> GenerationResult:
    result = GenerationResult()
    async for event in route.stream(REQUEST):
        result.add(event)
    await route.aclose()
    return result


def test_an_answer_comes_with_usage_and_the_times_of_this_side(canned: ThreadingHTTPServer) -> None:
    for dialect, body in (
        (OpenAI(), lines(OPENAI_FRAMES, True)),
        (Responses(), lines(RESPONSES_FRAMES, False)),
        (Anthropic(), lines(ANTHROPIC_FRAMES, False)),
    ):
        result = ask(canned, dialect, 200, body)
        assert (result.text, result.thinking, result.tool_calls[0].parsed) == ("A red", "hm", {"a": 1})
        assert result.finished is not None
        assert result.finished.usage == Usage(5, 6, 2)
        assert 0 < result.finished.timing.ttft_s <= result.finished.timing.total_s
        assert result.finished.timing.batch_size == 0


def test_what_steers_a_terminal_does_not_come_through(canned: ThreadingHTTPServer) -> None:
    frames = [{"choices": [{"delta": {"content": "\x1b]52;c;x\x07red"}, "finish_reason": "stop"}]}]
    assert ask(canned, OpenAI(), 200, lines(frames, True)).text == "]52;c;xred"


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, '{"error": {"message": "No model m."}}', r"answered 404: No model m\."),
        (502, "<html>bad gateway", "answered 502: <html>bad gateway"),
        (200, lines([{"error": {"message": "out of memory"}}], False), "broke off: out of memory"),
        (200, lines(OPENAI_FRAMES[:3], False), "ended its stream before the answer was finished"),
        (200, lines(OPENAI_FRAMES[:3], True), "ended its stream before the answer was finished"),
        (200, "data: {oops\n\n", "what the protocol does not know"),
        (200, 'data: {"choices": [{"delta": "x"}]}\n\n', "what the protocol does not know"),
    ],
)
def test_what_goes_wrong_on_the_wire_is_a_sentence(
    canned: ThreadingHTTPServer, status: int, body: str, says: str
) -> None:
    with pytest.raises(RouteError, match=says):
        ask(canned, OpenAI(), status, body)


def test_an_anthropic_error_event_ends_the_answer(canned: ThreadingHTTPServer) -> None:
    frames = [*ANTHROPIC_FRAMES[:3], {"type": "error", "error": {"type": "api_error", "message": "stopped"}}]
    with pytest.raises(RouteError, match="broke off: stopped"):
        ask(canned, Anthropic(), 200, lines(frames, False))


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RouteError, match="broke off: "):
            asyncio.run(collect(HttpRoute(OpenAI(), url)))
        with pytest.raises(RouteError, match="cannot be reached: "):
            list_models(url)


def test_a_servers_models_are_listed(canned: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{canned.server_address[1]}"
    canned.reply = (200, '{"data": [{"id": "a"}, {"id": "b"}]}')  # type: ignore[attr-defined]
    assert list_models(url, "k") == ["a", "b"]
    for reply, says in (
        ((401, '{"error": {"message": "The key is wrong."}}'), "answered 401: The key is wrong"),
        ((200, "[]"), "did not answer with a list of models"),
    ):
        canned.reply = reply  # type: ignore[attr-defined]
        with pytest.raises(RouteError, match=says):
            list_models(url, "k")


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_an_address_may_end_in_the_version(url: str) -> None:
    assert root(url) == "http://h:1"
