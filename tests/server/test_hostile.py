"""Bodies that are large, odd or made to hurt: refused in a sentence, cheaply, and nobody else waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.conftest import Staged
from tests.server.serving import Server, chat, serving

READS = "pocket/qwen3"
PATHS = ("/v1/chat/completions", "/v1/messages")
MOST = 200e6
"""Bytes by which a body that is not answered may make the process grow: docs/api.md promises it."""
LONGEST_S = 1.0
"""What a busy machine may make of a tenth of a second. Before, each of these took 1.4 to 9.7 s."""
TRIES = 3
LONGEST_ANSWER = 2_000
JSON = {"content-type": "application/json"}


def body(**more: Any) -> bytes:
    return json.dumps(chat(READS, "Hi") | more).encode()


def turns(count: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": "a"} for place in range(count)]


def called(arguments: str) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "tool_calls": [call]}


def answered(result: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": "c", "content": result}


def schema(value: Any) -> bytes:
    return body(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": value}})


def said(text: bytes) -> bytes:
    begin = f'{{"model": "{READS}", "max_tokens": 4, "messages": [{{"role": "user", "content": "'
    return begin.encode() + text + b'"}]}'


VALUES = "holds more than 100,000 values"
LARGE: dict[str, tuple[Any, str]] = {
    "a name of 20 MB": (lambda: body(model="x" * 20_000_000), "model must have at most 512 characters, not 20,000,000"),
    "500,000 messages": (lambda: body(messages=turns(500_000)), VALUES),
    "too many messages": (lambda: body(messages=turns(20_000)), "messages must have at most 10,000 items, not 20,000"),
    "many messages": (lambda: body(messages=turns(9_999)), "reads at most 4096"),
    "700,000 parts": (
        lambda: body(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}] * 700_000}]),
        VALUES,
    ),
    "a million unknown fields": (lambda: body(**{f"f{place}": 1 for place in range(1_000_000)}), VALUES),
    "30 MB of surrogate pairs": (lambda: said(b"\\ud83d\\ude00" * 2_500_000), "reads at most 4096"),
    "30 MB of halves": (lambda: said(b"\\ud83d" * 5_000_000), "reads at most 4096"),
    "90,000 faults": (lambda: body(messages=[7] * 90_000), "messages[0] must be an object, not 7."),
    "30 MB of brackets": (lambda: b"[" * 30_000_000, "nested too deeply"),
    "ten million lists": (lambda: b"[" + b"[]," * 10_000_000, VALUES),
    "a number of 20 MB": (lambda: b'{"model":' + b"7" * 20_000_000 + b"}", "a whole number of 20,000,000 digits"),
    "a role of 20 MB": (
        lambda: body(messages=[{"role": "x" * 20_000_000, "content": ""}]),
        "messages[0].role must have at most 512 characters",
    ),
    "90,000 biases": (lambda: body(logit_bias={str(place): 1 for place in range(90_000)}), "names 90,000 tokens"),
    "90,000 stops": (lambda: body(stop=["a"] * 90_000), "There are 90000 stop strings; at most 64"),
    "a schema of 1 MB": (lambda: schema({"enum": [f"{place:0>99}" for place in range(9_000)]}), "at most 131,072"),
    "many patterns": (
        lambda: schema(
            {"properties": {f"p{place}": {"pattern": f"^[a-z]{{1,{place + 1}}}(x|y)*$"} for place in range(700)}}
        ),
        "The JSON schema",
    ),
    "a tool of 4 MB": (
        lambda: body(tools=[{"type": "function", "function": {"name": "f", "description": "a " * 2_000_000}}]),
        "reads at most 4096",
    ),
    "a call of 3 MB": (
        lambda: body(messages=[*turns(1), called(json.dumps({"a": [1] * 1_000_000})), answered("a")]),
        "reads at most 4096",
    ),
    "300 patterns of names": (
        lambda: schema({"patternProperties": {f"^a{place}.*b{place}$": {} for place in range(300)}}),
        "more than 64 names in patternProperties",
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), READS) as server:
        yield server


@pytest.mark.parametrize("name", LARGE)
def test_a_body_that_is_too_much_costs_little_and_stops_nobody(server: Server, name: str) -> None:
    make, says = LARGE[name]
    data = make()
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(server.http.post(PATHS[0], content=data, headers=JSON))

    gaps: list[float] = []
    growth = server.growth(lambda: gaps.append(server.gap(READS, ask)))
    while gaps[-1] > LONGEST_S and len(gaps) < TRIES:  # the machine has other work, too
        gaps.append(server.gap(READS, ask))
    for answer in answers:
        assert answer.status_code == 400
        assert says in answer.json()["error"]["message"]
        assert len(answer.content) < LONGEST_ANSWER
    assert min(gaps) < LONGEST_S
    assert growth < MOST


ODD = {
    "a long number": (b'{"model": 7, "seed": ' + b"1" * 4301 + b"}", "a whole number of 4,301 digits; at most 300"),
    "a large float": (b'{"temperature": 1e999}', "the number 1e999, which is too large".replace("1e999", '"1e999"')),
    "NaN": (b'{"temperature": NaN}', "holds NaN, which JSON has not"),
    "Infinity": (b'{"temperature": -Infinity}', "holds -Infinity, which JSON has not"),
    "depth": (b'{"a": ' * 101, "nested too deeply: at most 100"),
    "a name twice": (b'{"model": "a", "model": "b"}', 'names "model" twice in one object'),
    "NUL": (b'{"model": "a\x00b"}', "the control character U+0000 at character 12"),
    "a tab": (b'{"model": "a\tb"}', "the control character U+0009 at character 12"),
    "a mark": (b'\xef\xbb\xbf{"model": "a"}', "begins with a byte order mark"),
    "UTF-16": ('{"model": "a"}'.encode("utf-16"), "looks like UTF-16"),
    "UTF-16, little": ('{"model": "a"}'.encode("utf-16-le"), "looks like UTF-16"),
    "UTF-32, big": ('{"model": "a"}'.encode("utf-32-be"), "looks like UTF-16 or UTF-32"),
    "no UTF-8": (b'{"model": "\xc3("}', "not UTF-8: byte 0xc3 at place 11"),
    "a comma": (b'{"model": "a",}', "not JSON: Expecting property name enclosed in double quotes at character 14."),
    "an end": (b'{"model": "a', "not JSON: Unterminated string starting at character 10."),
    "a word": (b"model", "not JSON: Expecting value at character 0."),
    "nothing": (b"", "body is missing"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_json_is_told_as_what_it_is_in_both_protocols(stage: Staged, name: str) -> None:
    data, says = ODD[name]
    one = stage()
    answers = [one.http.post(path, content=data, headers=JSON) for path in (*PATHS, "/v1/embeddings")]
    for answer in answers:
        assert answer.status_code == 400
        assert says in answer.json()["error"]["message"]
    openai, anthropic, _ = (answer.json() for answer in answers)
    assert (openai["error"]["type"], openai["error"]["code"]) == ("invalid_request_error", "invalid_request")
    assert (anthropic["type"], anthropic["error"]["type"]) == ("error", "invalid_request_error")


def test_what_is_repeated_is_cut(stage: Staged) -> None:
    one = stage()
    long = "x" * 100_000
    for fields in (
        {"max_tokens": long},
        {"tool_choice": long},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": [long]}]}]},
        {"messages": [{"role": "user", "content": [{long: 1}]}]},
        {"stop": {long: long}},
        {"response_format": {"type": long}},
    ):
        answer = one.http.post(PATHS[0], json=chat("toy", "Hi") | fields)
        assert answer.status_code == 400
        assert len(answer.content) < LONGEST_ANSWER
    for fields in ({long: 1}, {f"{long}{place}": 1 for place in range(100)}):
        answer = one.http.post(PATHS[1], json=chat("toy", "Hi") | fields)
        assert answer.status_code == 200
        assert answer.headers["x-assay-warnings"].startswith("no effect: xxx")
        assert len(answer.headers["x-assay-warnings"]) <= 2000


def test_many_calls_without_results_are_not_all_named(server: Server) -> None:
    calls = [{"id": f"call_{place}", "function": {"name": "f"}} for place in range(9_000)]
    messages = [{"role": "user", "content": "Go."}, {"role": "assistant", "tool_calls": calls}]
    answer = server.http.post(PATHS[0], content=body(messages=messages), headers=JSON)
    assert answer.status_code == 400
    assert "'call_7' (f) and 8,992 more. Send one for each call" in answer.json()["error"]["message"]


def test_arguments_of_calls_are_counted_as_the_body_is(stage: Staged) -> None:
    one = stage()

    def calls(*arguments: str) -> dict[str, Any]:
        made = [
            {"id": f"{place}", "function": {"name": "f", "arguments": text}} for place, text in enumerate(arguments)
        ]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "a"} for call in made]
        return chat("toy", "Hi") | {"messages": [{"role": "assistant", "tool_calls": made}, *results]}

    for text in ("[" * 100_000, '{"a":[' + "[]," * 5_000_000):  # as a weak model writes them: the conversation goes on
        answer = one.http.post(PATHS[0], json=calls(text, "{}"))
        assert answer.status_code == 200
        assert "arguments is not a JSON object and was passed on as a string" in answer.headers["x-assay-warnings"]
    many = '{"a":[' + "7," * 60_000 + "7]}"
    answer = one.http.post(PATHS[0], json=calls(many, many))
    assert answer.status_code == 400
    assert "The arguments of the calls up to messages[0] hold more than 100,000" in answer.json()["error"]["message"]


def test_blocks_of_the_other_protocol_are_bounded_too(stage: Staged) -> None:
    one = stage()
    block = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    for fields, status, says in (
        ({"system": [block] * 9_000}, 200, "no effect: system[].cache_control"),
        ({"system": [block] * 11_000}, 400, "system must have at most 10,000 items, not 11,000."),
        ({"metadata": {f"k{place}": place for place in range(90_000)}}, 200, "no effect: metadata"),
        ({"tools": [{"name": "f", "input_schema": {}}] * 2_000}, 400, "tools must have at most 1,024 items"),
        ({"stop_sequences": ["a"] * 90_000 + [1]}, 400, "stop_sequences[90000] must be a text, not 1."),
        ({"messages": [{"role": "user", "content": nested(90)}]}, 400, "nested too deeply"),
        ({"messages": [{"role": "user", "content": nested(40)}]}, 200, ""),
    ):
        answer = one.http.post(PATHS[1], json=chat("toy", "Hi") | fields)
        assert answer.status_code == status
        told = answer.json()["error"]["message"] if status == 400 else answer.headers.get("x-assay-warnings", "")
        assert says in told


def nested(depth: int) -> list[dict[str, Any]]:
    """Search results in search results."""
    inner: list[dict[str, Any]] = [{"type": "text", "text": "a"}]
    for _ in range(depth):
        inner = [{"type": "search_result", "content": inner}]
    return inner


def test_forms_and_texts_to_embed_are_bounded(server: Server) -> None:
    def ask() -> None:
        many = {f"field{place}": "a" for place in range(100)}
        for data, file, says in (
            (many, b"RIFF", "Too many fields"),
            ({"model": "m" * 2_000_000}, b"RIFF", "Part exceeded maximum size"),
            ({"model": "m" * 900}, b"\r\n--" * 6_000_000, "model must have at most 512 characters, not 900."),
            ({"model": "none"}, b"\r\n" * 15_000_000, "There is no model 'none'"),
        ):
            answer = server.http.post("/v1/audio/transcriptions", data=data, files={"file": ("a.wav", file)})
            assert answer.status_code in (400, 404)
            assert says in answer.json()["error"]["message"]
        for given, says in ((list(range(90_000)), "token numbers"), (["a"] * 200_000, VALUES)):
            answer = server.http.post("/v1/embeddings", json={"model": READS, "input": given})
            assert answer.status_code == 400
            assert says in answer.json()["error"]["message"]

    gaps = [server.gap(READS, ask)]
    while gaps[-1] > LONGEST_S and len(gaps) < TRIES:
        gaps.append(server.gap(READS, ask))
    assert min(gaps) < LONGEST_S
