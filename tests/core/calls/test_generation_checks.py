"""What is refused before a model is touched, and what odd requests become: a sentence, never a stopped engine."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from core.calls.generation_checks import MAX_SCHEMA_BYTES, MAX_STOP_CHARACTERS, MAX_STOPS
from core.calls.requests import GenerationRequest, Message, Role, Sampling, TextPart, Tool
from core.engine import Engine
from core.errors import ContextOverflow, InvalidRequest
from core.mlx.models.sampling import Defaults, make_sampler, resolve

TEXT, VISION = "pocket/qwen3", "pocket/qwen2-vl"
HELLO = (Message.text(Role.USER, "Hello!"),)


@pytest.mark.parametrize(
    ("sampling", "sentence"),
    [
        ({"stop": ("x",) * (MAX_STOPS + 1)}, "There are 65 stop strings; at most 64"),
        ({"stop": ("x" * (MAX_STOP_CHARACTERS + 1),)}, "A stop string has 1001 characters; at most 1000"),
        ({"stop": "Paris"}, "stop must be a sequence of strings"),
        ({"logit_bias": {5: float("nan")}}, "logit_bias gives token 5 the bias nan"),
        ({"logit_bias": {5.0: 1.0}}, "logit_bias gives token 5.0"),
        ({"logit_bias": {5: float("inf")}}, "logit_bias gives token 5 the bias inf"),
        ({"logit_bias": {True: 1.0}}, "logit_bias gives token True"),
        ({"logit_bias": {5: 10**400}}, "logit_bias gives token 5"),
        ({"logit_bias": [5]}, "logit_bias is of type list; it must be a mapping"),
        ({"stop": None}, "stop must be a sequence"),
        ({"temperature": "1"}, "temperature is '1'; it must be a number"),
        ({"temperature": float("nan")}, "temperature is nan; it must lie between 0 and 2"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
        ({"logprobs": 2.0}, "logprobs is 2.0; it must be a whole number"),
        ({"max_tokens": 0}, "max_tokens is 0; it must be at least 1"),
        ({"max_tokens": -4}, "max_tokens is -4; it must not be negative"),
    ],
)
def test_values_that_make_no_sense_are_refused(engine: Engine, sampling: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.generate(GenerationRequest(TEXT, HELLO, sampling=Sampling(**sampling)))
    assert sentence in caught.value.message


def test_as_much_as_is_allowed_passes(engine: Engine) -> None:
    stop = ("never said " * 90,) * MAX_STOPS
    request = GenerationRequest(TEXT, HELLO, sampling=Sampling(stop=stop, max_tokens=2, logit_bias={5: -100}))
    assert engine.generate(request).result().finished is not None


def test_a_role_that_is_none_is_refused(engine: Engine) -> None:
    message = Message("user", ())  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="role 'user'"):
        engine.generate(GenerationRequest(TEXT, (message,)))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": 5}, "model is of type int; it must be a string"),
        ({"prompt": b"x"}, "prompt is of type bytes; it must be a string"),
        ({"sampling": {"seed": 1}}, "sampling is of type dict; it must be a Sampling"),
        ({"messages": "Hello!"}, "messages is of type str; it must be a tuple of Message"),
        ({"messages": ({"role": "user"},)}, "messages[0] is of type dict; it must be a Message"),
        ({"messages": (Message(Role.USER, "Hi"),)}, "messages[0].parts is of type str"),  # type: ignore[arg-type]
        ({"messages": (Message(Role.USER, ("Hi",)),)}, "A part of messages[0] is of type str"),  # type: ignore[arg-type]
        ({"messages": (Message(Role.USER, (TextPart(None),)),)}, "is of type NoneType"),  # type: ignore[arg-type]
        ({"tools": ({"name": "a"},)}, "tools[0] is of type dict; it must be a Tool"),
        ({"tool_choice": "auto"}, "tool_choice is of type str; it must be a ToolChoice"),
        ({"json_schema": [1]}, "The JSON schema is of type list; it must be a mapping"),
    ],
)
def test_wrong_types_are_told_by_name(engine: Engine, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.generate(GenerationRequest(**{"model": TEXT, "messages": HELLO, **fields}))
    assert sentence in caught.value.message


def test_a_huge_schema_is_refused_with_its_size(engine: Engine) -> None:
    schema = {"enum": [f"value {number}" for number in range(20_000)]}
    with pytest.raises(InvalidRequest, match=rf"bytes as JSON; at most {MAX_SCHEMA_BYTES:,}"):
        engine.generate(GenerationRequest(TEXT, HELLO, json_schema=schema))
    with pytest.raises(InvalidRequest, match="schema of the tool look_up has"):
        engine.generate(GenerationRequest(TEXT, HELLO, tools=(Tool("look_up", "", schema),)))


def test_a_schema_that_cannot_be_followed_is_told_in_one_line(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    request = GenerationRequest(TEXT, HELLO, json_schema={"$ref": "#"}, sampling=Sampling(max_tokens=8))
    with pytest.raises(InvalidRequest) as caught:
        engine.generate(request).result()
    assert "could not be followed: it allows no next token" in caught.value.message
    assert len(caught.value.message) < 300
    assert "\n" not in caught.value.message
    assert capfd.readouterr() == ("", "")  # the library writes its warnings there, over whatever is on the screen


@pytest.mark.parametrize("model", [TEXT, VISION])
def test_an_empty_prompt_is_refused(engine: Engine, model: str) -> None:
    with pytest.raises(InvalidRequest, match="The prompt is empty"):
        engine.generate(GenerationRequest(model, prompt="")).result()


def test_a_prompt_with_half_a_character_is_read_without_it(engine: Engine) -> None:
    request = GenerationRequest(TEXT, prompt="The capital \ud83d of", sampling=Sampling(max_tokens=2))
    assert engine.generate(request).result().finished is not None


def test_more_messages_than_the_window_has_tokens_are_counted(engine: Engine) -> None:
    asked = GenerationRequest(TEXT, HELLO * 5000)
    counted = engine.count_tokens(asked).result(60).tokens
    with pytest.raises(ContextOverflow, match=f"has {counted} tokens") as caught:
        engine.generate(asked).result()
    assert caught.value.prompt_tokens == counted > 5000


def test_a_top_p_of_zero_leaves_the_likeliest() -> None:
    equals = mx.log(mx.array([[0.2, 0.4, 0.4]]))
    sample = make_sampler(resolve(Sampling(temperature=2.0, top_p=0.0), Defaults()))
    assert {int(sample(equals).item()) for _ in range(30)} == {1}
