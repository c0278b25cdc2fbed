"""What is kept of requests: as much as fits, in memory, for as long as somebody wants it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.calls.events import (
    Finished,
    FinishReason,
    TextDelta,
    Timing,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool, ToolCallPart
from server.evidence import Evidence
from server.wire import WireRecord, WireState
from tests.conftest import Api
from tests.server.conftest import Staged

END = Finished(FinishReason.STOP, Usage(9, 2), Timing())


def asked(text: str = "Hi") -> GenerationRequest:
    return GenerationRequest("toy", (Message.text(Role.USER, text),))


def test_the_oldest_give_way_and_one_that_is_too_large_is_not_kept() -> None:
    evidence = Evidence(40_000)
    for number in range(40):
        exchange = evidence.open(str(number), asked("x" * 1000), 1, b"")
        assert exchange is not None
        exchange.add(TextDelta("y" * 1000), 0)
        evidence.bound()
    assert evidence.nbytes <= 40_000
    assert evidence.get("0") is None
    assert evidence.get("39") is not None
    assert evidence.open("large", asked("x" * 11_000), 1, b"") is None
    kept = evidence.open("body", asked(), 1, b"x" * 11_000)
    assert kept is not None
    assert kept.body == b""


def test_off_forgets_at_once_and_keeps_nothing() -> None:
    evidence = Evidence(40_000)
    evidence.open("a", asked(), 1, b"")
    evidence.on = False
    assert evidence.get("a") is None
    assert evidence.open("b", asked(), 1, b"") is None
    evidence.on = True
    assert evidence.open("c", asked(), 1, b"") is not None
    none = Evidence(0)
    none.on = True
    assert not none.on


def test_what_has_left_the_record_is_not_kept_either() -> None:
    record = WireRecord(limit=2, evidence_bytes=40_000)
    for number in range(3):
        call = record.open(str(number), client="c", protocol="openai", method="POST", path="/v1/chat/completions")
        call.begin("toy", True, lambda: None, asked())
        call.end(WireState.DONE, 200)
    assert [record.evidence.get(str(number)) is not None for number in range(3)] == [False, True, True]


def test_each_choice_is_folded_by_itself_without_logprobs() -> None:
    record = WireRecord(evidence_bytes=40_000)
    call = record.open("r", client="c", protocol="openai", method="POST", path="/v1/chat/completions")
    call.begin("toy", True, lambda: None, asked(), 2)
    call.event(TextDelta("a", (TokenLogprob("a", -0.1, ()),)), 0)
    call.event(ToolCallStart(0, "call_1", "look"), 1)
    call.event(ToolCallDelta(0, '{"at": 1}'), 1)
    for choice in (0, 1):
        call.event(END, choice)
    call.end(WireState.DONE, 200)
    kept = record.evidence.get("r")
    assert kept is not None
    first, second = kept.results
    assert (first.text, first.logprobs) == ("a", [])
    assert [(one.name, one.arguments) for one in second.tool_calls] == [("look", '{"at": 1}')]
    assert first.finished is END


def test_the_body_that_came_and_what_became_of_it(stage: Staged) -> None:
    one = stage()
    body = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    one.http.post("/v1/chat/completions", json=body)
    (entry,) = one.server.record.entries()
    kept = one.server.record.evidence.get(entry.id)
    assert kept is not None
    assert httpx.Response(200, content=kept.body).json() == body
    assert kept.request.messages[0].plain_text == "Hi"
    assert kept.results[0].text == "Hello"
    assert [state for state, _ in entry.phases] == ["queued", "prefill", "streaming"]


def test_a_setting_of_0_keeps_the_numbers_alone(stage: Staged) -> None:
    one = stage(wire_mb=0)
    one.http.post(
        "/v1/messages", json={"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    )
    (entry,) = one.server.record.entries()
    assert entry.completion_tokens == 2
    assert one.server.record.evidence.get(entry.id) is None


def test_all_protocols_leave_evidence(api: Api) -> None:
    text = [{"role": "user", "content": "What is the capital of France?"}]
    asks = {
        "/v1/chat/completions": {"messages": text, "max_tokens": 16},
        "/v1/responses": {"input": text, "max_output_tokens": 16},
        "/v1/messages": {"messages": text, "max_tokens": 16},
        "/v1/completions": {"prompt": "Once", "max_tokens": 4},
    }
    with httpx.Client(base_url=api.url, headers={"x-api-key": api.key}, timeout=60) as http:
        for path, body in asks.items():
            answer = http.post(path, json=body | {"model": "pocket/qwen3", "temperature": 0})
            assert answer.status_code == 200, answer.text
            entry = next(one for one in reversed(api.server.record.entries()) if one.path == path)
            kept = api.server.record.evidence.get(entry.id)
            assert kept is not None, path
            said = kept.results[0].text or kept.results[0].thinking
            assert said.strip() in answer.text, path
            assert said.strip()


LARGE = {"type": "string", "enum": ["x" * 6_000, "y" * 6_000]}


@pytest.mark.parametrize(
    "more",
    [
        {"tools": (Tool("f", "x" * 11_000),)},
        {"tools": (Tool("f", "", {"type": "object", "properties": {"a": LARGE}}),)},
        {"json_schema": LARGE},
        {"sampling": Sampling(stop=("x" * 11_000,))},
        {"messages": (Message(Role.ASSISTANT, (ToolCallPart("c", "f", {"a": [{"b": "x" * 11_000}]}),)),)},
    ],
)
def test_all_that_a_request_holds_counts(more: dict[str, Any]) -> None:
    evidence = Evidence(40_000)
    assert evidence.open("small", asked(), 1, b"") is not None
    assert evidence.open("large", replace(asked(), **more), 1, b"{}") is None


def test_what_is_kept_is_counted_as_it_grows_ends_and_leaves() -> None:
    evidence = Evidence(400_000)
    ids = [str(number) for number in range(8)]
    for place, id in enumerate(ids):
        exchange = evidence.open(id, asked("x" * 100 * place), 1, b"body")
        assert exchange is not None
        exchange.add(TextDelta("y" * 1000), 0)
        if place % 2:
            evidence.end(id)
    for gone in ("2", "3"):
        evidence.forget(gone)
    left = [kept for kept in map(evidence.get, ids) if kept is not None]
    assert len(left) == 6
    assert evidence.nbytes == sum(kept.nbytes for kept in left)
    for id in ids[4:]:
        evidence.forget(id)
    evidence.forget("0")
    last = evidence.get("1")
    assert last is not None
    assert evidence.nbytes == last.nbytes
    evidence.on = False
    assert evidence.nbytes == 0
