"""How each protocol has a conversation: the model's own turns, its calls, and what tools returned."""

from __future__ import annotations

from core.calls.events import GenerationResult, ToolCall
from core.calls.requests import GenerationRequest, Message, Role
from core.golden.conversation import following, stuck
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.golden.suite import Turn

CALL = ToolCall("c1", "look", '{"at": "é"}')
OPENING = (Message.text(Role.USER, "Look!"),)
ASKED = (*OPENING, *following(Turn(results={"look": "a cat"}), GenerationResult(text="Well.", tool_calls=[CALL]), ()))
SAID = (*OPENING, *following(Turn(user="Sure?"), GenerationResult(text="A cat."), ()))


def request(*messages: Message) -> GenerationRequest:
    return GenerationRequest(model="m", messages=messages)


def test_openai_has_a_message_for_each_result() -> None:
    function = {"name": "look", "arguments": '{"at": "é"}'}
    assert OpenAI().encode(request(*ASKED))["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Well.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    ]
    assert OpenAI().encode(request(*SAID))["messages"][1] == {"role": "assistant", "content": "A cat."}


def test_responses_has_items() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]}
    assert Responses().encode(request(*ASKED))["input"][1:] == [
        said,
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": "é"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
    ]


def test_anthropic_has_blocks() -> None:
    assert Anthropic().encode(request(*ASKED))["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Well."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "é"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "a cat"}]},
    ]


def test_a_turn_that_cannot_follow_says_why() -> None:
    results = Turn(results={"look": "a cat"})
    assert stuck(results, ["look", "look"]) == ""
    assert stuck(results, []).startswith("no tool was called, and the next turn tells what look returns")
    assert stuck(results, ["look", "go"]).startswith("go was called, and the next turn tells only what look returns")
    assert stuck(Turn(user="And?"), ["go"]).startswith("go was called, and the next turn tells no result")
    assert stuck(Turn(user="And?"), []) == ""
