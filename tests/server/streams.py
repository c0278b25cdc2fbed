"""Reads streams byte by byte as the wire has them, and checks the rules that clients rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from server.frames import Frame


@dataclass(frozen=True)
class Heard:
    """One server-sent event; `data` is parsed JSON, or the text if it is none."""

    event: str | None
    data: Any


def heard(raw: bytes) -> list[Heard]:
    """The events of a stream, comments left out. Asserts that every line has a known field."""
    found = []
    for block in raw.decode().split("\n\n"):
        event, data = None, None
        for line in filter(None, block.split("\n")):
            name, _, value = line.partition(": ")
            assert name in ("event", "data", ""), line
            if name == "event":
                event = value
            elif name == "data":
                assert data is None, "one data line for each event: some clients read no more"
                data = value
        if data is not None:
            found.append(Heard(event, data if data == "[DONE]" else json.loads(data)))
    return found


def encoded(frames: list[Frame]) -> list[Heard]:
    return heard(b"".join(frame.encode() for frame in frames))


def check_anthropic(events: list[Heard]) -> dict[str, Any]:
    """Assert the order of a message's events and return the message that a client would put together from them."""
    events = [event for event in events if event.event != "ping"]
    assert all(event.event == event.data["type"] for event in events)
    assert events[0].event == "message_start"
    message: dict[str, Any] = dict(events[0].data["message"])
    assert message["type"] == "message"
    assert message["role"] == "assistant"
    assert message["content"] == []
    assert message["usage"]["input_tokens"] >= 0
    content: list[dict[str, Any]] = []
    open_index: int | None = None
    fragments = ""
    for position, event in enumerate(events[1:], 1):
        data = event.data
        match event.event:
            case "content_block_start":
                assert open_index is None, "blocks overlap"
                assert data["index"] == len(content), "indices are not contiguous"
                open_index, fragments = data["index"], ""
                content.append(dict(data["content_block"]))
                if content[-1]["type"] == "tool_use":
                    assert content[-1]["input"] == {}
            case "content_block_delta":
                assert data["index"] == open_index
                block, delta = content[-1], data["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        assert not block["signature"], "thinking after the signature"
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        fragments += delta["partial_json"]
                    case other:
                        raise AssertionError(f"unknown delta {other}")
            case "content_block_stop":
                assert data["index"] == open_index
                if content[-1]["type"] == "thinking":
                    assert content[-1]["signature"], "a thinking block without a signature"
                if content[-1]["type"] == "tool_use":
                    content[-1]["fragments"] = fragments
                open_index = None
            case "message_delta":
                assert open_index is None
                assert position == len(events) - 2
                assert data["delta"]["stop_reason"]
                assert "stop_sequence" in data["delta"]
                message |= data["delta"]
                message["usage"] = message["usage"] | data["usage"]
                assert data["usage"]["output_tokens"] >= 0
            case "message_stop":
                assert position == len(events) - 1
            case "error":
                assert open_index is None
                assert position == len(events) - 1, "something after an error"
                message["error"] = data["error"]
            case other:
                raise AssertionError(f"unknown event {other}")
    assert events[-1].event in ("message_stop", "error")
    message["content"] = content
    return message


def check_openai(events: list[Heard], *, choices: int = 1, usage: bool = False) -> list[dict[str, Any]]:
    """Assert the order of a completion's chunks and return the message of each choice."""
    assert all(event.event is None for event in events)
    datas = [event.data for event in events]
    if isinstance(datas[-1], dict) and "error" in datas[-1]:
        return [{"error": datas[-1]["error"]}]
    assert datas[-1] == "[DONE]"
    chunks = datas[:-1]
    if usage:
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["total_tokens"] >= 0
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
        chunks = chunks[:-1]
    else:
        assert all("usage" not in chunk for chunk in chunks)
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    messages: list[dict[str, Any]] = []
    for number in range(choices):
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == number]
        assert mine[0]["delta"]["role"] == "assistant"
        assert all("role" not in choice["delta"] for choice in mine[1:])
        assert [choice["finish_reason"] for choice in mine[:-1]] == [None] * (len(mine) - 1)
        assert mine[-1]["finish_reason"] in ("stop", "length", "tool_calls")
        message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": {}}
        message["finish_reason"] = mine[-1]["finish_reason"]
        for choice in mine:
            message["content"] += choice["delta"].get("content") or ""
            message["reasoning_content"] += choice["delta"].get("reasoning_content", "")
            for call in choice["delta"].get("tool_calls", []):
                if "id" in call:
                    assert call["type"] == "function"
                    message["tool_calls"][call["index"]] = {"id": call["id"], **call["function"]}
                else:
                    assert "name" not in call["function"]
                    known = message["tool_calls"].setdefault(call["index"], {"arguments": ""})
                    known["arguments"] += call["function"]["arguments"]
        messages.append(message)
    return messages
