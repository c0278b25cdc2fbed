"""The same prompts through both protocols, over a real server with the official clients: the same answers, both shapes.

The four text prompts are the built-in golden suite's; what is expected of their answers is what the suite expects.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from transformers import AutoTokenizer

from core.calls.events import FinishReason
from core.golden.checks import Answer, Call, check, holds
from core.golden.suite import Case, Suite
from core.mlx.prompt.chat_template import tool_schema
from core.tiers import Tier
from tests.e2e.conftest import Target, on
from tests.server.streams import Heard, check_anthropic, check_openai, heard

PROMPTS = ("simple_greeting", "factual_question", "tool_call_request", "system_instruction")
STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
LONG = "Count from 1 to 20."


def find(target: Target, suite: Suite, prompt: str) -> Case:
    """A case of the suite; skips one with tools for a model that has none."""
    found = next(case for case in suite.cases if case.id.rsplit("/", 1)[-1] == prompt)
    if found.tools and not target.engine.catalog.get(target.model).tools:
        pytest.skip(f"{target.model} cannot call tools: its chat template takes none")
    return found


def openai_body(target: Target, case: Case, system: str = "system", **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": case.prompt}]
    if case.system:
        turns.insert(0, {"role": system, "content": case.system})
    body: dict[str, Any] = {"model": target.model, "messages": turns, "temperature": 0, "max_tokens": 256}
    if case.tools:
        body["tools"] = [tool_schema(tool) for tool in case.tools]
    return body | {"reasoning_effort": "none"} | more


def anthropic_body(target: Target, case: Case, blocks: bool = False, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": target.model, "max_tokens": 256, "temperature": 0}
    body["messages"] = [{"role": "user", "content": case.prompt}]
    if case.system:
        body["system"] = [{"type": "text", "text": case.system}] if blocks else case.system
    if case.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in case.tools
        ]
    return body | more


def post(target: Target, path: str, body: dict[str, Any]) -> httpx.Response:
    """By hand: what is on the wire counts here, not what a client makes of it."""
    headers = {"authorization": f"Bearer {target.api.key}", "anthropic-version": "2023-06-01"}
    answer = httpx.post(target.api.url + path, json=body, headers=headers, timeout=600)
    assert answer.status_code == 200, answer.text
    return answer


def counted(target: Target, case: Case) -> int:
    """Prompt tokens by the model's own tokenizer and template, without any code of ours."""
    info = target.engine.catalog.get(target.model)
    turns = [{"role": "system", "content": case.system}] if case.system else []
    turns.append({"role": "user", "content": case.prompt})
    tools = [tool_schema(tool) for tool in case.tools] or None
    tokens = AutoTokenizer.from_pretrained(info.path).apply_chat_template(
        turns, tools=tools, add_generation_prompt=True, enable_thinking=False, return_dict=False
    )
    return len(tokens)


@on("anthropic")
@pytest.mark.parametrize("prompt", PROMPTS)
def test_both_protocols_give_one_answer_in_their_own_shape(target: Target, suite: Suite, prompt: str) -> None:
    case = find(target, suite, prompt)
    one = post(target, "/v1/chat/completions", openai_body(target, case)).json()
    two = post(target, "/v1/messages", anthropic_body(target, case)).json()
    text, calls = check_completion(one, target)
    other, uses = check_message(two, target)
    assert (text, calls) == (other, uses)
    (choice,) = one["choices"]
    assert STOPS[choice["finish_reason"]] == two["stop_reason"]
    finish = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
    answer = Answer(text, finish, tuple(Call(name, arguments) for name, arguments in calls))
    expected = case.expected(Tier.QUICK)
    assert holds(expected, answer), f"{answer}: {[found.failed for found in check(expected, answer)]}"


@on("anthropic")
@pytest.mark.parametrize("prompt", PROMPTS)
def test_usage_is_the_tokenizers_count_in_both(target: Target, suite: Suite, prompt: str) -> None:
    case = find(target, suite, prompt)
    tokens = counted(target, case)
    one = post(target, "/v1/chat/completions", openai_body(target, case)).json()["usage"]
    two = post(target, "/v1/messages", anthropic_body(target, case)).json()["usage"]
    assert one["prompt_tokens"] == tokens
    assert two["input_tokens"] + two["cache_read_input_tokens"] + two["cache_creation_input_tokens"] == tokens
    assert one["completion_tokens"] == two["output_tokens"] > 0
    assert one["total_tokens"] == tokens + one["completion_tokens"]
    with target.anthropic() as claude:
        body = anthropic_body(target, case)
        asked = {name: body[name] for name in ("model", "messages", "system", "tools") if name in body}
        assert claude.messages.count_tokens(**asked).input_tokens == tokens


@on("anthropic")
@pytest.mark.parametrize("prompt", PROMPTS)
def test_both_streams_keep_their_order_and_say_the_same(target: Target, suite: Suite, prompt: str) -> None:
    case = find(target, suite, prompt)
    whole = post(target, "/v1/chat/completions", openai_body(target, case)).json()
    text, calls = check_completion(whole, target)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = heard(post(target, "/v1/chat/completions", openai_body(target, case, **options)).content)
    (message,) = check_openai(chunks, usage=True)
    assert message["content"] == text
    assert [(call["name"], json.loads(call["arguments"])) for call in message["tool_calls"].values()] == calls
    assert message["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert usage_of(chunks) == whole["usage"] | {"prompt_tokens_details": usage_of(chunks)["prompt_tokens_details"]}
    events = heard(post(target, "/v1/messages", anthropic_body(target, case, stream=True)).content)
    streamed = check_anthropic(events)
    blocks = streamed["content"]
    assert "".join(block["text"] for block in blocks if block["type"] == "text") == text
    uses = [(block["name"], json.loads(block["fragments"])) for block in blocks if block["type"] == "tool_use"]
    assert uses == calls
    assert streamed["stop_reason"] == STOPS[message["finish_reason"]]


@on("anthropic")
def test_a_cut_answer_and_a_stop_sequence_are_told_in_both(target: Target, suite: Suite) -> None:
    case = find(target, suite, "simple_greeting")
    short: dict[str, Any] = {"messages": [{"role": "user", "content": LONG}], "max_tokens": 3}
    one = post(target, "/v1/chat/completions", openai_body(target, case, **short)).json()["choices"][0]
    two = post(target, "/v1/messages", anthropic_body(target, case, **short)).json()
    assert (one["finish_reason"], two["stop_reason"], two["stop_sequence"]) == ("length", "max_tokens", None)
    whole = post(target, "/v1/chat/completions", openai_body(target, case, messages=short["messages"], max_tokens=40))
    words = whole.json()["choices"][0]["message"]["content"].split()
    stop = words[1]
    stopped = short | {"max_tokens": 40}
    one = post(target, "/v1/chat/completions", openai_body(target, case, **stopped, stop=[stop])).json()["choices"][0]
    two = post(target, "/v1/messages", anthropic_body(target, case, **stopped, stop_sequences=[stop])).json()
    assert one["finish_reason"] == "stop"
    assert (two["stop_reason"], two["stop_sequence"]) == ("stop_sequence", stop)
    text = "".join(block["text"] for block in two["content"])
    assert one["message"]["content"] == text
    assert stop not in text


@on("anthropic")
def test_a_system_prompt_is_one_however_it_is_sent(target: Target, suite: Suite) -> None:
    case = find(target, suite, "system_instruction")
    answers = []
    for role in ("system", "developer"):
        (choice,) = post(target, "/v1/chat/completions", openai_body(target, case, role)).json()["choices"]
        answers.append(choice["message"]["content"])
    for blocks in (False, True):
        found = post(target, "/v1/messages", anthropic_body(target, case, blocks)).json()["content"]
        answers.append("".join(block["text"] for block in found))
    assert len(set(answers)) == 1


@on("anthropic")
def test_a_tools_result_is_read_in_both(target: Target, suite: Suite) -> None:
    case = find(target, suite, "tool_call_request")
    with target.openai() as client, target.anthropic() as claude:
        body = openai_body(target, case)
        called = client.chat.completions.create(**body).choices[0].message
        assert called.tool_calls is not None
        result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "Sunny, 21 degrees."}
        turns = [*body["messages"], called.model_dump(exclude_none=True), result]
        after = client.chat.completions.create(**(body | {"messages": turns})).choices[0]
        assert after.message.content
        assert after.finish_reason == "stop"
        body = anthropic_body(target, case)
        temperature = {"temperature": body.pop("temperature")}
        message = claude.messages.create(**body, extra_body=temperature)
        (use,) = (block for block in message.content if block.type == "tool_use")
        block = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny, 21 degrees."}
        said = [part.model_dump(exclude_none=True) for part in message.content]
        body["messages"] += [{"role": "assistant", "content": said}, {"role": "user", "content": [block]}]
        answer = claude.messages.create(**body, extra_body=temperature)
    texts = [part.text for part in answer.content if part.type == "text"]
    assert texts == [after.message.content]


def check_completion(body: dict[str, Any], target: Target) -> tuple[str, list[tuple[str, Any]]]:
    """Assert every required field of a chat.completion; the text and the calls."""
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"]) == ("chat.completion", target.model)
    assert isinstance(body["created"], int)
    (choice,) = body["choices"]
    assert choice["index"] == 0
    assert choice["logprobs"] is None
    message = choice["message"]
    assert (message["role"], message["refusal"]) == ("assistant", None)
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= body["usage"].keys()
    calls = []
    for call in message.get("tool_calls", ()):
        assert call["type"] == "function"
        assert call["id"]
        calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
    return message["content"] or "", calls


def check_message(body: dict[str, Any], target: Target) -> tuple[str, list[tuple[str, Any]]]:
    """Assert every required field of a message; the text and the calls."""
    assert body["id"].startswith("msg_")
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", target.model)
    assert body["stop_sequence"] is None
    assert {"input_tokens", "output_tokens"} <= body["usage"].keys()
    text, calls = "", []
    for block in body["content"]:
        assert block["type"] in ("text", "tool_use")
        if block["type"] == "text":
            text += block["text"]
        else:
            assert block["id"]
            calls.append((block["name"], block["input"]))
    return text, calls


def usage_of(chunks: list[Heard]) -> dict[str, Any]:
    found: dict[str, Any] = next(chunk.data["usage"] for chunk in reversed(chunks) if chunk.data != "[DONE]")
    return found
