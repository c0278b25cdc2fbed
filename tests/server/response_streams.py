"""Reads the events of a response, and checks them against OpenAI's own types and the order that clients rely on."""

from __future__ import annotations

from typing import Any

from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from tests.server.streams import Heard

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
HEAD = ("id", "object", "created_at", "model", "instructions", "metadata", "tools", "tool_choice", "text", "reasoning")

KINDS = {
    "message": ("response.content_part", "response.output_text", "content_index"),
    "reasoning": ("response.content_part", "response.reasoning_text", "content_index"),
    "summary": ("response.reasoning_summary_part", "response.reasoning_summary_text", "summary_index"),
}


def check_body(body: dict[str, Any]) -> Response:
    """Assert that a body is a response, by OpenAI's types and by what must hold of it in the end."""
    response = Response.model_validate(_official(body), strict=True)
    assert len({item["id"] for item in body["output"]}) == len(body["output"])
    if body["status"] == "completed":
        assert all(item["status"] == "completed" for item in body["output"])
        assert (body["error"], body["incomplete_details"]) == (None, None)
        assert body["completed_at"] >= body["created_at"]
    assert (body["status"] == "incomplete") == (body["incomplete_details"] is not None)
    return response


def check_page(body: dict[str, Any]) -> ResponseItemList:
    """Assert that a page of input items is one by OpenAI's types."""
    return ResponseItemList.model_validate(body, strict=True)


def _official(body: dict[str, Any]) -> dict[str, Any]:
    """The body with the one code that OpenAI sends and does not list."""
    error = body.get("error")
    if error and error["code"] == "context_length_exceeded":
        return body | {"error": error | {"code": "invalid_prompt"}}
    return body


def check_event(heard: Heard) -> dict[str, Any]:
    """Assert that an event is one of OpenAI's, and return it."""
    data: dict[str, Any] = heard.data
    assert heard.event == data["type"]
    known = data | {"response": _official(data["response"])} if "response" in data else data
    try:
        EVENT.validate_python(known, strict=True)
    except ValidationError as error:
        raise AssertionError(f"{data['type']}: {error}") from error
    return data


def check_response(events: list[Heard]) -> dict[str, Any]:
    """Assert types, numbers and order of a stream's events, and return the response that it ends with.

    What the deltas of an item add up to must be what its last event and the response say.
    """
    datas = [check_event(event) for event in events]
    assert [data["sequence_number"] for data in datas] == list(range(len(datas)))
    assert [data["type"] for data in datas[:2]] == ["response.created", "response.in_progress"]
    begun = datas[0]["response"]
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    items: list[dict[str, Any]] = []
    open_item: dict[str, Any] | None = None
    part: tuple[str, str, str] | None = None
    pieces: list[str] = []
    logprobs: list[Any] = []
    for position, data in enumerate(datas[2:], 2):
        kind = data["type"]
        if "output_index" in data and kind != "response.output_item.added":
            assert open_item is not None, f"{kind} outside an item"
            assert data["output_index"] == len(items)
            assert data.get("item_id", open_item["id"]) == open_item["id"]
        family, _, what = kind.rpartition(".")
        match what:
            case "in_progress":
                assert data["response"]["id"] == begun["id"]
            case "added" if family == "response.output_item":
                assert open_item is None, "items overlap"
                assert data["output_index"] == len(items)
                open_item, pieces, logprobs = data["item"], [], []
                assert open_item["status"] == "in_progress"
                assert [open_item[part] for part in ("content", "summary", "arguments") if open_item.get(part)] == []
            case "added":
                assert part is None
                assert open_item is not None
                part = next(found for found in KINDS.values() if found[0] == family and _fits(found, open_item, data))
                assert data[part[2]] == 0
                assert data["part"]["text"] == ""
            case "delta":
                assert data["delta"] or data.get("logprobs"), "an empty delta"
                assert family == (part[1] if part else "response.function_call_arguments")
                pieces.append(data["delta"])
                logprobs += data.get("logprobs", [])
            case "done" if family == "response.output_item":
                assert part is None, "a part is open"
                item = data["item"]
                assert (item["id"], item["type"]) == (open_item["id"], open_item["type"])  # type: ignore[index]
                assert item["status"] in ("completed", "incomplete")
                assert said(item) == "".join(pieces)
                items.append(item)
                open_item = None
            case "done" if part is not None and family == part[0]:
                assert data["part"]["text"] == "".join(pieces)
                part = None
            case "done":
                assert data.get("text", data.get("arguments")) == "".join(pieces)
                assert data.get("logprobs", []) == logprobs
            case "error":
                assert position == len(datas) - 2
                assert data["error"]["message"] == data["message"]
            case "failed":
                assert position == len(datas) - 1
                assert datas[position - 1]["type"] == "error"
                assert data["response"]["status"] in ("failed", "cancelled")
            case "completed" | "incomplete":
                assert position == len(datas) - 1
                assert open_item is None
                assert data["response"]["status"] == what
                assert data["response"]["output"] == items
            case _:
                raise AssertionError(f"unknown event {kind}")
    last = datas[-1]
    assert last["type"] in ("response.completed", "response.incomplete", "response.failed")
    response: dict[str, Any] = last["response"]
    assert {name: response[name] for name in HEAD} == {name: begun[name] for name in HEAD}
    check_body(response)
    return response


def _fits(kind: tuple[str, str, str], item: dict[str, Any], data: dict[str, Any]) -> bool:
    if item["type"] == "message":
        return kind == KINDS["message"]
    return kind == KINDS["summary" if data["part"]["type"] == "summary_text" else "reasoning"]


def said(item: dict[str, Any]) -> str:
    """The text, thinking or arguments of an item."""
    if item["type"] == "function_call":
        return str(item["arguments"])
    return "".join(part["text"] for part in [*item.get("content", []), *item.get("summary", [])])
