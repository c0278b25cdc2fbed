"""What goes wrong between a client and the engine, and what each of them sees of it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import Any

import anthropic
import httpx
import openai
import pytest

import server.answer
import server.connection
import server.crowd
from core.calls.events import (
    Finished,
    FinishReason,
    Loading,
    Prefill,
    TextDelta,
    Timing,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.errors import (
    ContextOverflow,
    EngineClosed,
    EngineError,
    GenerationFailed,
    LoadFailed,
    ModelUnloaded,
    OutOfMemory,
    QueueFull,
    UnsupportedInput,
)
from server.wire import WireState
from tests.server.conftest import Stage, Staged
from tests.server.scripted import HELLO, Play
from tests.server.streams import check_anthropic, check_openai, heard
from tests.server.waiting import wait_for

PATHS = ("/v1/chat/completions", "/v1/messages")
CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


def fails(error: EngineError, *before: Any) -> Any:
    def script(play: Play) -> None:
        play.say(*before)
        play.fail(error)

    return script


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code", "anthropic_status", "anthropic_type", "retry"),
    [
        (UnsupportedInput("toy takes no images."), 400, "unsupported_input", 400, "invalid_request_error", None),
        (ContextOverflow("Too long.", 9, 8), 400, "context_length_exceeded", 400, "invalid_request_error", None),
        (LoadFailed("No."), 500, "load_failed", 500, "api_error", "false"),
        (OutOfMemory("8 GB > 4 GB."), 503, "out_of_memory", 503, "api_error", "false"),
        (GenerationFailed("It broke."), 500, "generation_failed", 500, "api_error", None),
        (EngineClosed("Closing."), 503, "engine_closed", 503, "api_error", "false"),
    ],
)
def test_what_fails_before_the_first_byte_has_a_status_of_its_own(
    stage: Staged,
    caplog: pytest.LogCaptureFixture,
    error: EngineError,
    status: int,
    code: str,
    anthropic_status: int,
    anthropic_type: str,
    retry: str | None,
    stream: bool,
) -> None:
    one = stage(fails(error, Loading("toy")))
    answer = one.http.post(PATHS[0], json=CHAT | {"stream": stream})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    if isinstance(error, LoadFailed | GenerationFailed):  # a library's words: they are in the log, under the id
        told = answer.json()["error"]["message"]
        assert error.message not in told
        assert told.endswith(f"under {answer.headers['x-request-id']}.")
        assert f"{answer.headers['x-request-id']}: {error.message}" in caplog.text
    else:
        assert answer.json()["error"]["message"] == error.message
    assert answer.headers.get("x-should-retry") == retry
    assert answer.headers["x-request-id"].startswith("req_")
    answer = one.http.post(PATHS[1], json=CHAT | {"stream": stream})
    body = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (anthropic_status, "error", anthropic_type)
    assert body["request_id"] == answer.headers["request-id"]
    assert [entry.state for entry in one.server.record.entries()] == ["failed", "failed"]


def test_a_prompt_that_is_too_long_is_told_in_the_words_claude_code_knows(stage: Staged) -> None:
    one = stage(fails(ContextOverflow("Too long.", 9001, 8192)))
    message = one.http.post(PATHS[1], json=CHAT).json()["error"]["message"]
    assert message == "prompt is too long: 9001 tokens > 8192 maximum"


def test_a_full_queue_asks_to_come_back(stage: Staged) -> None:
    one = stage()
    one.engine.refusal = QueueFull("256 requests wait already.", 2.5)
    answers = [one.http.post(path, json=CHAT) for path in PATHS]
    assert [answer.status_code for answer in answers] == [429, 529]
    assert [answer.headers["retry-after"] for answer in answers] == ["3", "3"]
    assert all("x-should-retry" not in answer.headers for answer in answers)
    assert answers[1].json()["error"]["type"] == "overloaded_error"
    assert [entry.status for entry in one.server.record.entries()] == [429, 529]


def test_a_failure_in_mid_stream_is_an_event_and_the_end(stage: Staged) -> None:
    one = stage(fails(ModelUnloaded("It broke."), Prefill(7, 7), TextDelta("Hel")))
    raws = [one.http.post(path, json=CHAT | {"stream": True}).content for path in PATHS]
    assert check_openai(heard(raws[0])) == [
        {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "model_unloaded"}}
    ]
    message = check_anthropic(heard(raws[1]))
    assert message["content"] == [{"type": "text", "text": "Hel"}]
    assert message["error"] == {"type": "api_error", "message": "It broke."}
    assert one.http.post(PATHS[0], json=CHAT).status_code == 503, "the next request is served"


def test_official_clients_raise_on_a_failure_in_mid_stream(stage: Staged) -> None:
    one = stage(fails(ModelUnloaded("It broke."), Prefill(7, 7), TextDelta("Hel")))
    with (
        openai.OpenAI(base_url=one.url + "/v1", api_key=one.key, max_retries=0) as client,
        pytest.raises(openai.APIError, match="It broke"),
    ):
        for _ in client.chat.completions.create(**CHAT, stream=True):
            pass
    with (
        anthropic.Anthropic(base_url=one.url, api_key=one.key, max_retries=0) as other,
        pytest.raises(anthropic.APIStatusError, match="It broke"),
        other.messages.stream(**CHAT) as stream,
    ):
        stream.until_done()


def test_a_failure_that_will_repeat_is_not_repeated_by_clients(stage: Staged) -> None:
    one = stage(fails(OutOfMemory("8 GB > 4 GB.")))
    with (
        openai.OpenAI(base_url=one.url + "/v1", api_key=one.key) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.chat.completions.create(**CHAT)
    with (
        anthropic.Anthropic(base_url=one.url, api_key=one.key) as other,
        pytest.raises(anthropic.APIStatusError),
    ):
        other.messages.create(**CHAT)
    assert len(one.engine.plays) == 2


def left_once_begun(one: Stage, path: str, body: dict[str, Any]) -> None:
    """Ask, and leave when the engine has the request."""
    for patience_s in (0.3, 10):  # where much else runs, the first may be over before it has
        if not one.engine.plays:
            with pytest.raises(httpx.ReadTimeout):
                one.http.post(path, json=body, timeout=patience_s)


def runs_on(play: Play) -> None:
    play.say(Prefill(7, 7), TextDelta("Hel"))
    play.until_cancelled()


@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_leaves_its_stream_stops_the_generation(stage: Staged, path: str) -> None:
    one = stage(runs_on)
    with one.http.stream("POST", path, json=CHAT | {"stream": True}) as response:
        next(response.iter_bytes())
    assert one.engine.plays[0].over.wait(5)
    wait_for(lambda: one.server.record.entries()[0].state is WireState.CANCELLED)


@pytest.mark.parametrize("script", [runs_on, Play.until_cancelled], ids=["while decoding", "while queued"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_leaves_before_its_answer_stops_the_generation(
    stage: Staged, path: str, stream: bool, script: Any
) -> None:
    one = stage(script)
    left_once_begun(one, path, CHAT | {"stream": stream})
    assert one.engine.plays[0].over.wait(5)
    wait_for(lambda: one.server.record.entries()[0].state is WireState.CANCELLED)


def test_all_choices_stop_when_the_client_leaves(stage: Staged) -> None:
    one = stage(runs_on)
    left_once_begun(one, PATHS[0], CHAT | {"n": 3})
    assert len(one.engine.plays) in (3, 6)  # those of a first try that left too early come late
    assert all(play.over.wait(5) for play in one.engine.plays)


def test_choices_have_seeds_that_follow_one_another(stage: Staged) -> None:
    one = stage()
    body = one.http.post(PATHS[0], json=CHAT | {"n": 2, "seed": 5}).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    assert sorted(play.request.sampling.seed for play in one.engine.plays) == [5, 6]
    assert len({play.request.id for play in one.engine.plays}) == 2
    assert body["usage"]["prompt_tokens"] == 7
    assert body["usage"]["completion_tokens"] == 4
    raw = one.http.post(PATHS[0], json=CHAT | {"n": 2, "stream": True}).content
    assert [message["content"] for message in check_openai(heard(raw), choices=2)] == ["Hello", "Hello"]


def test_what_the_first_choice_read_was_not_cached(stage: Staged) -> None:
    reused = iter((0, 6))

    def script(play: Play) -> None:
        play.say(TextDelta("Hello"), Finished(FinishReason.STOP, Usage(7, 2, cached_tokens=next(reused)), Timing()))

    body = stage(script).http.post(PATHS[0], json=CHAT | {"n": 2}).json()
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}


def test_one_call_at_most_when_parallel_calls_are_off(stage: Staged) -> None:
    def script(play: Play) -> None:
        play.say(Prefill(7, 7), ToolCallStart(0, "c0", "f"), ToolCallDelta(0, "{}"), ToolCallStart(1, "c1", "g"))
        play.until_cancelled()

    one = stage(script)
    tool = {"name": "f", "input_schema": {"type": "object"}}
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    body = one.http.post(PATHS[1], json=CHAT | {"tools": [tool], "tool_choice": choice}).json()
    assert [block["id"] for block in body["content"]] == ["c0"]
    assert body["stop_reason"] == "tool_use"
    raw = one.http.post(PATHS[0], json=CHAT | {"parallel_tool_calls": False, "stream": True}).content
    (message,) = check_openai(heard(raw))
    assert (list(message["tool_calls"]), message["finish_reason"]) == ([0], "tool_calls")


def test_the_terminal_can_stop_a_request_and_its_client_is_told(stage: Staged) -> None:
    one = stage(runs_on)
    answers: list[httpx.Response] = []
    for path, stream in ((PATHS[0], False), (PATHS[1], True)):
        reader = threading.Thread(
            target=lambda path=path, stream=stream: answers.append(one.http.post(path, json=CHAT | {"stream": stream}))
        )
        reader.start()
        wait_for(lambda: [entry.state for entry in one.server.record.live] == ["streaming"])
        (entry,) = one.server.record.live
        assert (entry.model, entry.stream, entry.prompt_tokens) == ("toy", stream, 7)
        assert one.server.record.kill(entry.id)
        reader.join(5)
        assert one.server.record.entries()[-1].state is WireState.CANCELLED
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (499, "request_cancelled")
    assert "stopped on the server's side" in check_anthropic(heard(answers[1].content))["error"]["message"]


def test_silence_is_filled_with_pings(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.answer, "PATIENCE_S", 0.1)
    monkeypatch.setattr(server.answer, "PING_S", 0.05)
    go_on = threading.Event()

    def script(play: Play) -> None:
        play.say(Loading("toy"))
        go_on.wait(10)
        play.say(Prefill(1, 7))
        for _ in range(3):  # a prefill that reports progress is silence to a client all the same
            time.sleep(0.06)
            play.say(Prefill(2, 7))
        play.say(*HELLO)

    one = stage(script)
    raws = []
    for path in PATHS:
        go_on.clear()
        with one.http.stream("POST", path, json=CHAT | {"stream": True}) as response:
            assert response.status_code == 200, "the head does not wait for the model"
            chunks = response.iter_bytes()
            first = next(chunks) + next(chunks)
            go_on.set()
            raws.append((first, first + b"".join(chunks)))
    assert raws[0][0] == b": waiting\n\n" * 2
    assert check_openai(heard(raws[0][1]))[0]["content"] == "Hello"
    assert raws[1][0] == b'event: ping\ndata: {"type":"ping"}\n\n' * 2
    events = heard(raws[1][1])
    names = [event.event for event in events]
    assert "ping" in names[names.index("message_start") :]
    assert check_anthropic(events)["usage"]["input_tokens"] == 4


def test_a_reader_that_stops_reading_is_given_up_and_delays_nobody(
    stage: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.crowd, "LOOK_S", 0.2)
    sent = threading.Event()

    def script(play: Play) -> None:
        if play.request.sampling.seed != 1:
            play.say(*HELLO)
            return
        play.say(Prefill(7, 7))
        for _ in range(200):
            play.say(TextDelta("x" * 100_000))
        sent.set()
        play.until_cancelled()

    one = stage(script)
    body = json.dumps(CHAT | {"stream": True, "seed": 1}).encode()
    with socket.create_connection(("127.0.0.1", httpx.URL(one.url).port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = f"POST {PATHS[0]} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {one.key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        slow.sendall(head.encode() + body)
        assert sent.wait(5)
        assert one.http.post(PATHS[0], json=CHAT).status_code == 200
        assert not one.engine.plays[0].over.is_set(), "it is not for its end that the other is answered"
        monkeypatch.setattr(server.connection, "STALL_S", 0.5)
        assert one.engine.plays[0].over.wait(20)
    one.server.stop()


def test_a_fault_of_the_server_s_own_is_told_without_its_insides(stage: Staged) -> None:
    one = stage()
    one.engine.catalog.get = None  # type: ignore[method-assign,assignment]
    answer = one.http.post(PATHS[1], json=CHAT)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "api_error"
    assert "TypeError" not in answer.text
    assert answer.headers["x-should-retry"] == "false"


def test_hundreds_of_requests_at_once_are_all_answered(stage: Staged) -> None:
    one: Stage = stage()

    async def storm() -> list[int]:
        limits = httpx.Limits(max_connections=None)
        headers = {"x-api-key": one.key}
        async with httpx.AsyncClient(base_url=one.url, headers=headers, limits=limits, timeout=60) as client:
            return [
                r.status_code for r in await asyncio.gather(*(client.post(PATHS[0], json=CHAT) for _ in range(300)))
            ]

    assert set(asyncio.run(storm())) == {200}
    assert len(one.server.record.entries()) == 300


def test_a_cancelled_end_is_never_taken_for_an_answer(stage: Staged) -> None:
    one = stage(lambda play: play.say(TextDelta("Hal"), Finished(FinishReason.CANCELLED, Usage(7, 1), Timing())))
    assert one.http.post(PATHS[0], json=CHAT).status_code == 499


@pytest.mark.parametrize("path", [*PATHS, "/v1/responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_template_says_steers_nobody_who_reads_the_error(stage: Staged, path: str, stream: bool) -> None:
    said = "Its template says: \u202e\x9b2Jno\x1b]0;x\x07."
    body = {**CHAT, "stream": stream} if path in PATHS else {"model": "toy", "input": "Hi", "stream": stream}
    text = stage(fails(UnsupportedInput(said))).http.post(path, json=body).text
    assert "Its template says: 2Jno]0;x." in text
    assert not any(sign in text or json.dumps(sign)[1:-1] in text for sign in ("\u202e", "\x9b", "\x1b"))
