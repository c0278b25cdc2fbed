"""/v1/responses over the wire, by an engine that follows a script: kept, fetched, cancelled, deleted, refused."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from core.calls.events import Finished, FinishReason, Prefill, TextDelta, Timing, ToolCallDelta, ToolCallStart, Usage
from core.calls.requests import Role
from core.calls.witness import FIELD
from core.errors import ContextOverflow, InvalidRequest, QueueFull
from server.wire import WireState
from tests.server.conftest import Stage, Staged
from tests.server.response_streams import check_body, check_page, check_response
from tests.server.scripted import HELLO, Play
from tests.server.streams import heard
from tests.server.waiting import wait_for

PATH = "/v1/responses"
HI: dict[str, Any] = {"model": "toy", "input": "Hi"}


def ask(stage: Stage, **fields: Any) -> dict[str, Any]:
    answer = stage.http.post(PATH, json=HI | fields)
    assert answer.status_code == 200, answer.text
    check_body(answer.json())
    body: dict[str, Any] = answer.json()
    return body


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    return error


def test_an_answer_and_a_stream_are_the_same_and_are_kept(stage: Staged) -> None:
    one = stage()
    body = ask(one, metadata={"a": "b"})
    assert body["output"][0]["content"][0]["text"] == "Hello"
    assert body["metadata"] == {"a": "b"}
    streamed = check_response(heard(one.http.post(PATH, json=HI | {"stream": True}).content))
    assert streamed["output"][0]["content"] == body["output"][0]["content"]
    for made in (body, streamed):
        assert one.http.get(f"{PATH}/{made['id']}").json() == made


def test_a_response_is_gone_on_from_and_its_instructions_are_not(stage: Staged) -> None:
    one = stage()
    first = ask(one, instructions="Be brief.")
    second = ask(one, input="And?", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    turns = [(message.role, message.plain_text) for message in one.engine.plays[-1].request.messages]
    assert turns == [(Role.USER, "Hi"), (Role.ASSISTANT, "Hello"), (Role.USER, "And?")]
    assert one.http.delete(f"{PATH}/{first['id']}").json() == {"id": first["id"], "object": "response", "deleted": True}
    ask(one, input="Still?", previous_response_id=second["id"])
    assert len(one.engine.plays[-1].request.messages) == 5


def test_an_item_is_named_instead_of_sent(stage: Staged) -> None:
    one = stage()
    first = ask(one)
    named = [{"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "And?"}]
    ask(one, input=named)
    assert [message.role for message in one.engine.plays[-1].request.messages] == [Role.ASSISTANT, Role.USER]
    error = error_of(one.http.post(PATH, json=HI | {"input": [{"id": "msg_x"}]}))
    assert error["param"] == "input[0].id"
    assert "Send the item itself" in error["message"]


def test_a_conversation_that_grows_by_responses_is_bounded_too(stage: Staged) -> None:
    one = stage()
    many = [{"role": "user", "content": "x"}] * 5_000
    first = ask(one, input=many)
    answer = one.http.post(PATH, json=HI | {"input": many, "previous_response_id": first["id"]})
    assert answer.status_code == 400
    error = error_of(answer)
    assert "has 10,001 items" in error["message"]
    assert error["param"] == "previous_response_id"


def test_a_tools_result_finds_the_call_of_the_response_before(stage: Staged) -> None:
    def play(play: Play) -> None:
        end = Finished(FinishReason.TOOL_CALLS, Usage(5, 5), Timing())
        play.say(Prefill(5, 5), ToolCallStart(0, "call_1", "f"), ToolCallDelta(0, '{"a": 1}'), end)

    one = stage(play)
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    first = ask(one, tools=[tool])
    assert first["output"][0]["call_id"] == "call_1"
    output = [{"type": "function_call_output", "call_id": "call_1", "output": "42"}]
    ask(one, input=output, previous_response_id=first["id"], tools=[tool])
    roles = [message.role for message in one.engine.plays[-1].request.messages]
    assert roles == [Role.USER, Role.ASSISTANT, Role.TOOL]


def test_what_is_not_to_be_kept_is_not(stage: Staged) -> None:
    one = stage()
    body = ask(one, store=False)
    assert body["store"] is False
    for path in ("", "/input_items"):
        error = error_of(one.http.get(f"{PATH}/{body['id']}{path}"))
        assert error["code"] == "response_not_found"
    assert one.http.delete(f"{PATH}/{body['id']}").status_code == 404
    assert one.http.post(f"{PATH}/{body['id']}/cancel", json={}).status_code == 404
    refused = one.http.post(PATH, json=HI | {"previous_response_id": body["id"]})
    assert refused.status_code == 400
    error = error_of(refused)
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


def test_one_that_is_too_large_to_be_kept_says_so(stage: Staged) -> None:
    one = stage(responses_mb=0.001)
    answer = one.http.post(PATH, json=HI | {"input": "a" * 3000, "store": True})
    assert answer.json()["store"] is False
    assert "responses_mb is 0.001" in answer.headers["x-assay-warnings"]


def test_responses_on_disk_outlive_the_server(stage: Staged) -> None:
    first = ask(stage(responses_on_disk=True))
    second = ask(stage(responses_on_disk=True), input="And?", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]


def test_items_are_paged(stage: Staged) -> None:
    one = stage()
    first = ask(one, input=[{"role": "user", "content": str(number)} for number in range(5)])
    second = ask(one, input="last", previous_response_id=first["id"])
    items = f"{PATH}/{second['id']}/input_items"
    everything = one.http.get(items).json()
    check_page(everything)
    assert [item["content"][0]["text"] for item in everything["data"]] == ["last", "Hello", "4", "3", "2", "1", "0"]
    assert everything["has_more"] is False
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = one.http.get(items, params={"limit": 3, "order": "asc"} | after).json()
        check_page(page)
        seen += [item["id"] for item in page["data"]]
        after = {"after": page["last_id"]}
        if not page["has_more"]:
            break
    assert seen == [item["id"] for item in reversed(everything["data"])]
    for query in ({"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "msg_x"}):
        refused = one.http.get(items, params=query)
        assert refused.status_code == 400
        assert error_of(refused)["param"] in query


def test_a_running_response_is_seen_and_stopped(stage: Staged) -> None:
    said = threading.Event()

    def play(play: Play) -> None:
        play.say(Prefill(5, 5), TextDelta("Hel"))
        said.set()
        play.until_cancelled()

    one = stage(play)
    with one.http.stream("POST", PATH, json=HI | {"stream": True}) as answer:
        chunks = answer.iter_raw()
        raw = next(chunks)
        assert said.wait(20)
        id = heard(raw[: raw.index(b"\n\n") + 2])[0].data["response"]["id"]
        running = one.http.get(f"{PATH}/{id}").json()
        assert running["status"] == "in_progress"
        assert check_page(one.http.get(f"{PATH}/{id}/input_items").json()).data[0].type == "message"
        stopped = one.http.post(f"{PATH}/{id}/cancel", json={}).json()
        assert stopped["status"] == "cancelled"
        response = check_response(heard(raw + b"".join(chunks)))
    assert response["status"] == "cancelled"
    assert response["output"][0]["content"][0]["text"] == "Hel"
    for fetched in (one.http.get(f"{PATH}/{id}"), one.http.post(f"{PATH}/{id}/cancel", json={})):
        assert fetched.json() == response


def test_cancelling_needs_no_body_but_a_web_page_cannot(stage: Staged) -> None:
    one = stage()
    path = f"{PATH}/{ask(one)['id']}/cancel"
    assert one.http.post(path).json()["status"] == "completed"
    assert one.http.post(path, content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert one.http.post(path, headers={"origin": "http://example.com"}).status_code == 403
    assert one.http.post(PATH).status_code == 415


def test_a_client_that_leaves_leaves_nothing_behind(stage: Staged) -> None:
    def play(play: Play) -> None:
        play.say(Prefill(5, 5), TextDelta("Hel"))
        play.until_cancelled()

    one = stage(play)
    with one.http.stream("POST", PATH, json=HI | {"stream": True}) as answer:
        raw = next(answer.iter_raw())
        id = heard(raw[: raw.index(b"\n\n") + 2])[0].data["response"]["id"]
    assert one.engine.plays[-1].over.wait(20)
    wait_for(lambda: one.http.get(f"{PATH}/{id}").status_code == 404)


def test_a_server_that_ends_tells_its_streams(stage: Staged) -> None:
    said = threading.Event()

    def play(play: Play) -> None:
        play.say(Prefill(5, 5), TextDelta("Hel"))
        said.set()
        play.until_cancelled()

    one = stage(play)
    told: list[bytes] = []
    reader = threading.Thread(target=lambda: told.append(one.http.post(PATH, json=HI | {"stream": True}).content))
    reader.start()
    assert said.wait(20)
    wait_for(lambda: [entry.state for entry in one.server.record.live] == [WireState.STREAMING])
    one.server.stop()
    reader.join(20)
    response = check_response(heard(told[0]))
    assert response["status"] == "cancelled"
    assert response["output"][0]["content"][0]["text"] == "Hel"


def test_a_stream_of_what_was_streamed_is_refused(stage: Staged) -> None:
    one = stage()
    refused = one.http.get(f"{PATH}/{ask(one)['id']}", params={"stream": "true"})
    assert refused.status_code == 400
    assert error_of(refused)["param"] == "stream"


def test_failures_before_the_first_byte_have_their_status_and_our_names(stage: Staged) -> None:
    one = stage()
    for refusal, status, param in (
        (InvalidRequest("max_tokens is 0; it must be at least 1.", "max_tokens"), 400, "max_output_tokens"),
        (InvalidRequest("No result.", "messages"), 400, "input"),
        (QueueFull("Full."), 429, None),
    ):
        one.engine.refusal = refusal
        answer = one.http.post(PATH, json=HI | {"stream": True})
        assert (answer.status_code, error_of(answer)["param"]) == (status, param)
    one.engine.refusal = None
    one.engine.script = lambda play: play.fail(ContextOverflow("Too long.", 9, 5))
    for stream in (True, False):
        answer = one.http.post(PATH, json=HI | {"stream": stream})
        assert answer.status_code == 400
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    missing = one.http.post(PATH, json=HI | {"model": "none"})
    assert (missing.status_code, error_of(missing)["param"]) == (404, "model")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": "toy"}', "input is missing"),
        (b'{"input": "x"}', "model is missing"),
        (b'{"model": "toy", "input": []}', "input must have at least 1 item"),
        (b'{"model": "toy", "input": [{"role": "user", "content": 5}]}', "input[0].content must be a list"),
        (b'{"model": "toy", "input": "x", "metadata": {"a": 1}}', "metadata.a must be a text"),
        (b'{"model": "toy", "input": "x", "truncation": "some"}', "truncation must be"),
        (b'{"model": "toy", "input": "x", "tools": [{}]}', "tools[0].type is missing"),
        (
            b'{"model": "toy", "input": [' + b"{}," * 10_000 + b"{}]}",
            "input must have at most 10,000 items, not 10,001",
        ),
        (b'{"model": "toy", "input": "x", "user": "' + b"u" * 513 + b'"}', "user must have at most 512 characters"),
        (b'{"model": "toy", "input": ' + b"[" * 101, "nested too deeply"),
    ],
)
def test_bodies_that_cannot_be_read_are_400_with_the_field(stage: Staged, body: bytes, says: str) -> None:
    answer = stage().http.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert says in error_of(answer)["message"]


def test_tokens_are_counted_without_a_model_being_named(stage: Staged) -> None:
    answer = stage().http.post(f"{PATH}/input_tokens", json={"input": "Hi", "instructions": "Be brief."})
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 7}


def test_the_record_calls_them_responses_and_the_witness_is_told(stage: Staged) -> None:
    one = stage()
    answer = one.http.post(PATH, json=HI, headers={"x-assay-witness": "1"})
    assert answer.json()[FIELD] == [None]
    wait_for(lambda: one.server.record.entries()[0].state is WireState.DONE)
    (entry,) = one.server.record.entries()
    assert (entry.protocol, entry.path) == ("responses", PATH)
    raw = one.http.post(PATH, json=HI | {"stream": True}, headers={"x-assay-witness": "1"}).content
    events = heard(raw)
    assert [event.event for event in events[-2:]] == [FIELD, "response.completed"]
    check_response([event for event in events if event.event != FIELD])
    assert len(HELLO) == 5
