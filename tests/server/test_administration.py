"""What the owner asks and does over HTTP: probes, metrics, models, requests, keys."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.calls.events import Prefill
from core.engine import Engine
from core.keys import add_key, revoke_key
from core.pocket import MODELS_DIR
from core.settings import Settings
from core.text_safety import escaped
from server.lifecycle import ApiServer
from tests.conftest import Api, served
from tests.core.test_engine_pool import held
from tests.server.conftest import Staged
from tests.server.scripted import Play
from tests.server.sockets import answered, connect, head, rest

CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


@pytest.fixture
def http(api: Api) -> Iterator[httpx.Client]:
    """A client with the owner's key, over the real engine."""
    with httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {api.key}"}, timeout=60) as client:
        yield client


def figures(http: httpx.Client) -> dict[tuple[str, ...], float]:
    """What /metrics says, by name and the values of its labels, in the order of their names."""
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_probes_tell_more_to_who_has_the_key(stage: Staged) -> None:
    one = stage()
    assert httpx.get(f"{one.url}/health").json() == {"status": "ok"}
    told = one.http.get("/health").json()
    assert told["queue"] == {"running": 0, "waiting": 0, "limit": 256}
    assert told["engine"]["models"] == 1
    assert httpx.get(f"{one.url}/ready").json() == {"status": "ready"}
    assert httpx.head(f"{one.url}/ready").status_code == 200
    assert httpx.get(f"{one.url}/version").status_code == 401
    one.engine.alive = False
    for path in ("/health", "/ready"):
        assert httpx.get(one.url + path).status_code == 503


def test_the_version_names_the_libraries(http: httpx.Client) -> None:
    told = http.get("/version").json()
    assert told["version"]
    assert told["mlx"].startswith("0.")
    assert "cpu" in told["device"] or "gpu" in told["device"]


def test_models_are_loaded_pinned_and_freed(http: httpx.Client, engine: Engine) -> None:
    name = "pocket/qwen3"
    http.post("/admin/models/unload", json={"model": name})
    told = http.post("/admin/models/pin", json={"model": name})
    assert (told.status_code, told.json()["error"]["param"]) == (400, "model")
    assert "not in memory" in told.json()["error"]["message"]
    told = http.post("/admin/models/load", json={"model": name, "pin": True})
    assert told.status_code == 200
    assert (told.json()["state"], told.json()["pinned"]) == ("ready", True)
    assert http.post("/admin/models/unpin", json={"model": name}).json()["pinned"] is False
    assert http.post("/admin/models/pin", json={"model": name}).json()["pinned"] is True
    listed = http.get("/admin/models").json()
    assert [one["id"] for one in listed["data"] if one["id"] == name] == [name]
    assert listed["memory_bytes"]["active"] > 0
    assert http.post("/admin/models/unload", json={"model": name}).json() == {"id": name, "unloaded": True}
    assert name not in [one.id for one in engine.status().models]
    for hand in ("load", "unload", "pin", "unpin"):
        missing = http.post(f"/admin/models/{hand}", json={"model": "none/such"})
        assert missing.status_code == 404
        assert "GET /v1/models lists them" in missing.json()["error"]["message"], hand
    assert http.post("/admin/models/load", json={"modle": name}).status_code == 400


def test_metrics_count_what_was_done(http: httpx.Client) -> None:
    name = "pocket/qwen3"
    http.post("/admin/models/unload", json={"model": name})
    before = figures(http)
    body = {"model": name, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 8, "temperature": 0}
    answers = [http.post("/v1/chat/completions", json=body).json()["usage"] for _ in range(2)]
    assert http.post("/v1/chat/completions", json=body | {"model": "made-up"}).status_code == 404
    after = figures(http)

    def grown(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    assert grown("assay_requests_total", name, "ok", "openai", "200") == 2
    assert grown("assay_requests_total", "", "failed", "openai", "404") == 1
    assert grown("assay_prompt_tokens_total", name) == sum(one["prompt_tokens"] for one in answers)
    written = sum(one["completion_tokens"] for one in answers)
    assert grown("assay_completion_tokens_total", name) == written
    assert grown("assay_time_to_first_token_seconds_count", name) == 2
    assert grown("assay_request_seconds_count", name) == 2
    assert 0 < grown("assay_inter_token_seconds_count", name) <= written
    assert grown("assay_model_loads_total", name) == 1
    assert after["assay_up",] == 1
    assert after["assay_memory_bytes", "active"] > 0
    assert after["assay_model_memory_bytes", name, "ready"] > 0
    assert not any("made-up" in part for key in after for part in key)


def test_a_streamed_answer_is_counted_with_its_status(http: httpx.Client, api: Api) -> None:
    body = {"model": "pocket/qwen3", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 8}
    before = figures(http)
    told = http.post("/v1/chat/completions", json=body | {"stream": True})
    key = ("assay_requests_total", "pocket/qwen3", "ok", "openai", "200")
    assert figures(http).get(key, 0) - before.get(key, 0) == 1
    entry = api.server.record.entry(told.headers["x-request-id"])
    assert entry is not None
    assert (entry.state, entry.status) == ("done", 200)


def test_a_name_that_steers_terminals_is_spelled_in_the_figures(settings: Settings, tmp_path: Path) -> None:
    name = "odd\x1b]0;title\x07\u202e\nassay_up 7"
    shutil.copytree(MODELS_DIR / "qwen3", tmp_path / "models" / name)
    with Engine(settings.model_copy(update={"model_folders": [tmp_path / "models"], "data_dir": tmp_path})) as engine:
        for api in served(engine, settings.model_copy(update={"data_dir": tmp_path})):
            with httpx.Client(base_url=api.url, headers={"x-api-key": api.key}, timeout=60) as http:
                body = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
                answer = http.post("/v1/chat/completions", json=body | {"model": f"models/{name}"})
                assert answer.status_code == 200, answer.text
                text = http.get("/metrics").text
                assert text == escaped(text)
                assert {part for key in figures(http) for part in key if "odd" in part} == {
                    "models/odd\\x1b]0;title\\x07\\u202e\\nassay_up 7"
                }
                nearly = http.post("/v1/chat/completions", json=body | {"model": "models/od"}).json()
                assert "Did you mean models/odd\\x1b]0;title" in nearly["error"]["message"]
                assert "\n" not in nearly["error"]["message"]


def test_counters_outlive_the_switch(engine: Engine, settings: Settings) -> None:
    server = ApiServer(engine, settings)
    body = CHAT | {"model": "pocket/qwen3"}
    for count in (1, 2):
        with httpx.Client(base_url=server.start(), headers={"x-api-key": server.key or ""}, timeout=60) as http:
            assert http.post("/v1/chat/completions", json=body).status_code == 200
            assert figures(http)["assay_requests_total", "pocket/qwen3", "ok", "openai", "200"] == count
        server.stop()


def test_a_request_is_listed_and_stopped(stage: Staged) -> None:
    begun = threading.Event()

    def script(play: Play) -> None:
        play.say(Prefill(0, 7, 3))
        play.until_cancelled()

    one = stage(script)
    heard: list[int] = []
    client = threading.Thread(target=lambda: heard.append(one.http.post("/v1/chat/completions", json=CHAT).status_code))
    forget = one.server.record.listen(lambda entry: begun.set() if entry.state == "prefill" else None)
    client.start()
    assert begun.wait(20)
    forget()
    (running,) = one.http.get("/admin/requests").json()["data"]
    assert (running["model"], running["path"], running["state"]) == ("toy", "/v1/chat/completions", "prefill")
    told = one.http.delete(f"/admin/requests/{running['id']}")
    assert told.json() == {"id": running["id"], "stopped": True}
    client.join(20)
    assert heard == [499]
    assert one.http.get("/admin/requests").json()["data"] == []
    gone = one.http.delete(f"/admin/requests/{running['id']}")
    assert gone.status_code == 404
    assert "GET /admin/requests" in gone.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages/count_tokens"])
def test_a_request_is_stopped_before_it_has_come_to_the_engine(stage: Staged, path: str) -> None:
    one = stage()
    opened = threading.Event()
    forget = one.server.record.listen(lambda entry: opened.set() if entry.path == path else None)
    body = json.dumps(CHAT).encode()
    with connect(one.url) as line:
        line.sendall(head(one.key, f"content-length: {len(body)}", "connection: close", first=f"POST {path} HTTP/1.1"))
        assert opened.wait(20)
        forget()
        (listed,) = one.http.get("/admin/requests").json()["data"]
        assert listed["state"] == "queued"
        told = one.http.delete(f"/admin/requests/{listed['id']}")
        assert told.json() == {"id": listed["id"], "stopped": True}
        line.sendall(body)
        status, _, answer = answered(rest(line))
    assert status == 499
    assert "stopped on the server's side" in answer["error"]["message"]


def test_models_are_not_deleted_over_the_network(stage: Staged) -> None:
    one = stage()
    with openai.OpenAI(base_url=f"{one.url}/v1", api_key=one.key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError, match="is not deleted over the API"):
            client.models.delete("toy")
        assert [model.id for model in client.models.list()] == ["toy", "a/b/c"]


def test_a_program_has_a_key_of_its_own(stage: Staged, tmp_path: Path) -> None:
    one = stage()
    key = add_key(tmp_path, "codex")
    with openai.OpenAI(base_url=f"{one.url}/v1", api_key=key, max_retries=0) as client:
        client.chat.completions.create(**CHAT)  # type: ignore[call-overload]
        (entry,) = one.server.record.entries()
        assert entry.key == "codex"
        own = {"authorization": f"Bearer {key}"}
        for method, path in (("GET", "/admin/models"), ("DELETE", "/admin/requests/x")):
            refused = httpx.request(method, one.url + path, headers=own)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "owner_only")
        assert httpx.get(f"{one.url}/metrics", headers=own).status_code == 200
        revoke_key(tmp_path, "codex")
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


@pytest.mark.parametrize("path", ["/admin/models", "/admin/requests", "/metrics", "/version"])
def test_nothing_is_told_without_a_key(stage: Staged, path: str) -> None:
    assert httpx.get(stage().url + path).status_code == 401


def test_monitors_leave_no_trace_in_the_record(stage: Staged) -> None:
    one = stage()
    for path in ("/health", "/ready", "/metrics"):
        one.http.get(path)
    assert one.server.record.entries() == []


def test_an_eviction_is_counted_as_one(settings: Settings, tmp_path: Path) -> None:
    """Where two models do not fit, the second takes the first one's place."""
    small = settings.model_copy(update={"memory_budget_gb": 0.034 + held() / 1e9, "data_dir": tmp_path})
    with Engine(small) as engine:
        for api in served(engine, small):
            with httpx.Client(base_url=api.url, headers={"x-api-key": api.key}, timeout=60) as http:
                for name in ("pocket/qwen3", "pocket/gemma3"):
                    told = http.post("/admin/models/load", json={"model": name})
                    assert told.status_code == 200, told.text
                assert figures(http)["assay_model_evictions_total", "pocket/qwen3"] == 1
