"""What clients asked, told to the owner's programs: all of it, in order, as it comes, and read back as it was."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx

from core.calls.events import (
    Finished,
    FinishReason,
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
    ToolResultPart,
)
from core.calls.witness import SeenImage, Witness
from core.keys import add_key
from server.exchange_json import exchange_from_json, exchange_to_json
from server.wire import WireRecord, WireState
from tests.conftest import Api
from tests.pictures import png
from tests.server.conftest import Stage, Staged

CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


def ask(one: Stage, text: str = "Hi", client: str = "codex") -> None:
    body = CHAT | {"messages": [{"role": "user", "content": text}]}
    assert one.http.post("/v1/chat/completions", json=body, headers={"user-agent": client}).status_code == 200


def page(one: Stage, **parameters: Any) -> dict[str, Any]:
    answer = one.http.get("/admin/exchanges", params=parameters)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def texts(told: dict[str, Any]) -> list[str]:
    return [exchange_from_json(one).request.messages[-1].plain_text for one in told["data"]]


def test_they_are_told_in_order_and_from_a_cursor_on(stage: Staged) -> None:
    one = stage()
    ask(one, "first")
    now = page(one, after="now")
    assert (now["data"], now["lost"]) == ([], 0)
    ask(one, "second")
    ask(one, "third")
    told = page(one)
    assert texts(told) == ["first", "second", "third"]
    assert (told["data"][0]["client"], told["data"][0]["state"], told["lost"]) == ("codex", "done", 0)
    assert exchange_from_json(told["data"][0]).results[0].text == "Hello"
    assert texts(page(one, after=now["next"])) == ["second", "third"]
    assert texts(page(one, after=told["next"])) == []
    assert texts(page(one, after="f00.9")) == ["first", "second", "third"]  # of a server that is no more
    assert [entry.path for entry in one.server.record.entries()] == ["/v1/chat/completions"] * 3


def test_one_is_waited_for(stage: Staged) -> None:
    one = stage()
    found: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: found.append(page(one, after="now", wait_s=20)))
    began = time.monotonic()
    waiting.start()
    while not found and time.monotonic() - began < 20:
        with httpx.Client(base_url=one.url, headers=one.http.headers) as other:
            other.get("/v1/models")  # no answer in words
            other.post("/v1/chat/completions", json=CHAT)
        waiting.join(0.05)
    assert texts(found[0])[:1] == ["Hi"]
    assert time.monotonic() - began < 15


def test_who_waits_holds_up_no_end(stage: Staged) -> None:
    one = stage()
    found: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: found.append(page(one, wait_s=60)))
    waiting.start()
    listeners = one.server.record._listeners
    while len(listeners) < 2:  # the metrics are one
        waiting.join(0.01)
    began = time.monotonic()
    one.server.stop(10)
    waiting.join()
    assert time.monotonic() - began < 5
    assert found[0]["data"] == []


def test_what_is_not_kept_is_counted_and_off_is_said(stage: Staged) -> None:
    one = stage(wire_mb=0.05)
    ask(one, "x" * 20_000)
    ask(one)
    told = page(one)
    assert (texts(told), told["lost"]) == (["Hi"], 1)
    one.server.record.evidence.on = False
    refused = one.http.get("/admin/exchanges")
    assert refused.status_code == 409
    assert "switched off in the Wire pane" in refused.json()["error"]["message"]
    nothing = stage(wire_mb=0).http.get("/admin/exchanges")
    assert "wire_mb is 0" in nothing.json()["error"]["message"]


def test_a_programs_key_hears_nothing(stage: Staged) -> None:
    one = stage()
    key = add_key(one.engine.settings.data_dir, "codex")
    told = httpx.get(f"{one.url}/admin/exchanges", headers={"x-api-key": key})
    assert (told.status_code, told.json()["error"]["code"]) == (403, "owner_only")


def test_an_exchange_is_read_back_as_it_was() -> None:
    request = GenerationRequest(
        "pocket/qwen3",
        (
            Message.text(Role.SYSTEM, "Be brief."),
            Message.text(Role.USER, "Look", png("green")),
            Message(
                Role.ASSISTANT, (ThinkingPart("hm"), TextPart("Well."), ToolCallPart("c1", "look", {"at": [1, None]}))
            ),
            Message(Role.TOOL, (ToolResultPart("c1", (TextPart("a cat"), ImagePart(png("red"))), is_error=True),)),
        ),
        tools=(Tool("look", "Looks.", {"type": "object"}, strict=True),),
        tool_choice=ToolChoice(name="look"),
        sampling=Sampling(temperature=0.5, logit_bias={7: 1.5}, stop=("END",), seed=2**40),
        thinking=False,
        json_schema={"type": "object"},
        source="openai",
    )
    record = WireRecord(evidence_bytes=1_000_000)
    call = record.open("r", client="c", protocol="openai", method="POST", path="/v1/chat/completions", key="codex")
    call.begin("pocket/qwen3", True, lambda: None, request)
    witness = Witness("f00", 9, ("a", "b"), images=(SeenImage("abc", 4),), sampling={"seed": 1})
    events = (
        ThinkingDelta("hm"),
        TextDelta("It is a cat."),
        ToolCallStart(0, "c2", "look"),
        ToolCallDelta(0, '{"at": 2}'),
        Finished(FinishReason.TOOL_CALLS, Usage(9, 4), Timing(ttft_s=0.2), witness=witness),
    )
    for event in events:
        call.event(event)
    call.end(WireState.DONE, 200)
    entry, exchange = record.entry("r"), record.evidence.get("r")
    assert entry is not None
    assert exchange is not None
    heard = exchange_from_json(httpx.Response(200, json=exchange_to_json(entry, exchange)).json())
    assert heard.request == GenerationRequest(**vars(request) | {"id": heard.request.id})
    assert heard.results == tuple(exchange.results)
    assert heard.answer is not None
    assert (heard.id, heard.client, heard.state) == ("r", "c", WireState.DONE)


def test_answers_of_the_real_engine_come_with_their_witness(api: Api) -> None:
    with httpx.Client(base_url=api.url, headers={"x-api-key": api.key}, timeout=60) as http:
        start = http.get("/admin/exchanges", params={"after": "now"}).json()["next"]
        body = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16}
        http.post("/v1/messages", json=body | {"model": "pocket/qwen3", "temperature": 0})
        (told,) = http.get("/admin/exchanges", params={"after": start, "wait_s": 20}).json()["data"]
    heard = exchange_from_json(told)
    assert heard.answer is not None
    assert heard.answer.text
    assert heard.answer.finished is not None
    assert heard.answer.finished.witness is not None
    assert heard.answer.finished.witness.prompt_tokens > 0
