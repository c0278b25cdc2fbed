"""What a request may ask for, over the wire: bodies, fields, model names, and the answers' details."""

from __future__ import annotations

import base64
import json

import anthropic
import httpx
import pytest

from core.calls.events import Prefill, TextDelta, ThinkingDelta, TokenLogprob
from tests import pictures
from tests.conftest import Api
from tests.server.conftest import Staged
from tests.server.scripted import END
from tests.server.streams import check_anthropic, heard

PATHS = ("/v1/chat/completions", "/v1/messages")
CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "missing"),
        (b"[1]", "not a JSON object"),
        (b'{"model": "toy", ', "not JSON"),
        (b'{"model": "toy"}', "messages is missing"),
        (b'{"model": "toy", "messages": []}', "messages must have at least 1 item, not []"),
        (
            b'{"model": "toy", "messages": [{"role": "user", "content": [{"text": "x"}]}]}',
            "messages[0].content[0].type is missing",
        ),
        (
            b'{"model": "toy", "messages": [{"role": "user", "content": 5}]}',
            "messages[0].content must be a list, not 5.",
        ),
        (b'{"model": "toy", "messages": [{"role": "user", "content": ""}], "tool_choice": {"x": 1}}', "tool_choice"),
        (b'{"model": 7, "messages": [{"role": "user"}]}', "model must be a text, not 7."),
        (b'{"model": "' + b"\xff" + b'"}', "not UTF-8: byte 0xff at place 11"),
        (b'{"model": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_bodies_that_cannot_be_read_are_400_with_the_field(stage: Staged, path: str, body: bytes, says: str) -> None:
    answer = stage().http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "detail" not in answer.json()
    assert says in answer.json()["error"]["message"]


def test_half_a_character_becomes_a_question_mark_and_whole_ones_stay(stage: Staged) -> None:
    one = stage()
    for text, meant in (('"a\\ud83d b"', "a? b"), ('"\\ud83d\\ude00"', "😀"), ('"😀"', "😀")):
        body = '{"model": "toy", "messages": [{"role": "user", "content": ' + text + "}]}"
        answer = one.http.post(PATHS[0], content=body.encode(), headers={"content-type": "application/json"})
        assert answer.status_code == 200
        assert one.engine.plays[-1].request.messages[0].plain_text == meant
    deep = b'{"a": "\\ud800", "b": ' + b"[" * 100_000
    answer = one.http.post(PATHS[0], content=deep, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"max_tokens": "many"}, 'max_tokens must be a whole number, not "many".'),
        ({"temperature": [1]}, "temperature must be a number, not [1]."),
        ({"stream": "perhaps"}, 'stream must be true or false, not "perhaps".'),
        ({"tools": {}}, "tools must be a list, not {}."),
        ({"tools": ["x" * 99]}, f'tools[0] must be an object, not "{"x" * 58}….'),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, ".text must be a text, not 1."),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_field_of_the_wrong_kind_is_told_what_it_must_be(
    stage: Staged, path: str, fields: dict[str, object], says: str
) -> None:
    answer = stage().http.post(path, json=CHAT | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith(says)


def test_a_field_of_an_unknown_word_is_told_which_there_are(stage: Staged) -> None:
    answer = stage().http.post(PATHS[0], json=CHAT | {"tool_choice": "maybe", "tools": []})
    assert answer.json()["error"]["message"] == "tool_choice must be 'none', 'auto' or 'required', not \"maybe\"."
    answer = stage().http.post(PATHS[0], json=CHAT | {"tools": [{"type": "function"}]})
    assert answer.json()["error"]["message"].startswith("tools[0].function is missing")
    source = {"type": "image", "source": {"data": ""}}
    answer = stage().http.post(PATHS[1], json=CHAT | {"messages": [{"role": "user", "content": [source]}]})
    assert answer.json()["error"]["message"].startswith("messages[0].content[0].source.type is missing")


def test_an_image_too_narrow_for_its_model_is_a_sentence_in_both_protocols(api: Api) -> None:
    data = base64.b64encode(pictures.png("red", (1, 2000)).data).decode()
    parts = (
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
    )
    for path, part in zip(PATHS, parts, strict=True):
        body = CHAT | {"model": "pocket/qwen2-vl", "messages": [{"role": "user", "content": [part]}]}
        answer = httpx.post(api.url + path, json=body, headers={"x-api-key": api.key}, timeout=60)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == (
            "pocket/qwen2-vl cannot take an image of 1 x 2000 pixels: one side is 2,000 times the other, and less than "
            "200 times is possible. Crop the image, or pad it on its short side."
        )


def test_unknown_fields_are_accepted_and_reported(stage: Staged) -> None:
    one = stage()
    answer = one.http.post(PATHS[0], json=CHAT | {"user": "é", "x\ny": 1})
    assert answer.status_code == 200
    assert answer.headers["x-assay-warnings"] == "no effect: user, x?y"
    assert "x-assay-warnings" not in one.http.post(PATHS[0], json=CHAT).headers
    many = {f"field_{number}": 1 for number in range(1000)}
    told = one.http.post(PATHS[0], json=CHAT | many).headers["x-assay-warnings"]
    assert told.endswith("field_99, ...")
    long = {f"{'field' * 10}{number}": 1 for number in range(99)}
    assert len(one.http.post(PATHS[0], json=CHAT | long).headers["x-assay-warnings"]) == 2000


def test_unknown_routes_and_methods_answer_in_the_protocol_s_words(stage: Staged) -> None:
    one = stage()
    answer = one.http.get("/v1/nowhere")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    answer = one.http.get("/v1/messages")
    assert (answer.status_code, answer.json()["type"]) == (405, "error")
    answer = one.http.get("/v1/nowhere", headers={"anthropic-version": "2023-06-01"})
    assert answer.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_model_is_404_with_the_nearest_names(stage: Staged, path: str) -> None:
    one = stage()
    body = json.dumps(CHAT | {"model": "../../etc/passwd\ud800"})
    answer = one.http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 404
    message = answer.json()["error"]["message"]
    assert message.endswith("There are toy, a/b/c: GET /v1/models lists them.")
    assert one.engine.plays == []
    if path == PATHS[0]:
        assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == ("model_not_found", "model")
    else:
        assert answer.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["Default", "QUICK", "fulL"])
def test_a_special_name_in_another_case_is_suggested(stage: Staged, path: str, name: str) -> None:
    answer = stage().http.post(path, json=CHAT | {"model": name})
    assert answer.status_code == 404
    told = f"Did you mean {name.lower()}? GET /v1/models lists what is there."
    assert answer.json()["error"]["message"].endswith(told)


def test_image_addresses_reach_nothing_inside_and_are_counted(stage: Staged) -> None:
    one = stage()
    content = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/"}}]
    body = CHAT | {"messages": [{"role": "user", "content": content}]}
    assert one.http.post(PATHS[0], json=body).json()["error"]["code"] == "unsupported_input"
    assert one.http.post(PATHS[0], json=body | {"model": "none"}).json()["error"]["code"] == "model_not_found"
    one.engine.catalog.see("toy")
    inside = [f"http://127.0.0.1:{httpx.URL(one.url).port}/health", "http://169.254.169.254/latest", "http://[::1]/"]
    for url in inside:
        content = [{"type": "image_url", "image_url": {"url": url}}]
        answer = one.http.post(PATHS[0], json=CHAT | {"messages": [{"role": "user", "content": content}]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    source = [{"type": "image", "source": {"type": "url", "url": f"https://example.com/{n}"}} for n in range(17)]
    answer = one.http.post(PATHS[1], json=CHAT | {"messages": [{"role": "user", "content": source}]})
    assert "17 image addresses" in answer.json()["error"]["message"]
    assert one.engine.plays == []


def test_models_that_are_not_loaded_are_refused_when_loading_is_off(stage: Staged) -> None:
    one = stage(load_on_request=False)
    answer = one.http.post(PATHS[0], json=CHAT | {"model": "a/b/c"})
    assert answer.status_code == 404
    assert "load_on_request" in answer.json()["error"]["message"]
    assert one.http.post(PATHS[0], json=CHAT).status_code == 200
    assert stage().http.post(PATHS[0], json=CHAT | {"model": "a/b/c"}).status_code == 200


def test_default_is_what_is_loaded(stage: Staged) -> None:
    assert stage().http.post(PATHS[0], json=CHAT | {"model": "default"}).json()["model"] == "toy"


def test_the_list_of_models_has_both_shapes(stage: Staged) -> None:
    one = stage()
    body = one.http.get("/v1/models").json()
    assert [(model["id"], model["loaded"]) for model in body["data"]] == [("toy", True), ("a/b/c", False)]
    assert one.http.get("/v1/models/a/b/c").json()["object"] == "model"
    assert one.http.get("/v1/models/a/b").status_code == 404
    version = {"anthropic-version": "2023-06-01"}
    body = one.http.get("/v1/models?limit=1", headers=version).json()
    assert (body["has_more"], body["first_id"], body["last_id"]) == (True, "toy", "toy")
    body = one.http.get("/v1/models?after_id=toy", headers=version).json()
    assert ([model["id"] for model in body["data"]], body["has_more"]) == (["a/b/c"], False)
    assert one.http.get("/v1/models?limit=x", headers=version).status_code == 400
    with anthropic.Anthropic(base_url=one.url, api_key=one.key) as client:
        assert [model.id for model in client.models.list(limit=1)] == ["toy", "a/b/c"]
        assert client.models.retrieve("a/b/c").display_name == "a/b/c"


def test_logprobs_in_both_forms(stage: Staged) -> None:
    logprob = TokenLogprob(5, "Hé", -0.5, (TokenLogprob(5, "Hé", -0.5), TokenLogprob(6, "Ho", -1.0)))
    one = stage(lambda play: play.say(TextDelta("Hé", (logprob,)), END))
    content = one.http.post(PATHS[0], json=CHAT | {"logprobs": True}).json()["choices"][0]["logprobs"]["content"]
    assert (content[0]["token"], content[0]["bytes"], content[0]["logprob"]) == ("Hé", [72, 195, 169], -0.5)
    assert [top["token"] for top in content[0]["top_logprobs"]] == ["Hé", "Ho"]
    body = {"model": "toy", "prompt": "ab", "logprobs": 2, "echo": True}
    choice = one.http.post("/v1/completions", json=body).json()["choices"][0]
    assert choice["text"] == "abHé"
    assert choice["logprobs"]["text_offset"] == [2]
    assert choice["logprobs"]["top_logprobs"] == [{"Hé": -0.5, "Ho": -1.0}]


def test_thinking_without_its_text_keeps_the_signature(stage: Staged) -> None:
    one = stage(lambda play: play.say(Prefill(7, 7), ThinkingDelta("Hm."), TextDelta("Yes"), END))
    thinking = {"type": "adaptive", "display": "omitted"}
    blocks = one.http.post(PATHS[1], json=CHAT | {"thinking": thinking}).json()["content"]
    assert (blocks[0]["thinking"], blocks[1]["text"]) == ("", "Yes")
    raw = one.http.post(PATHS[1], json=CHAT | {"thinking": thinking, "stream": True}).content
    streamed = check_anthropic(heard(raw))["content"]
    assert streamed[0]["signature"] == blocks[0]["signature"]
