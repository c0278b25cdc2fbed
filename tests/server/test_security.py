"""Who is turned away, and how: each refusal in the words of the protocol that was spoken."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from core.errors import SettingsError
from core.settings import load_settings
from server.intake import MAX_BODY
from server.lifecycle import ApiServer
from server.security import is_loopback
from tests.server.conftest import Staged
from tests.server.scripted import ScriptedEngine

CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"authorization": "Basic KEY"}, {"x-api-key": ""}],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/toy", "/openapi.json", "/nowhere", "/"])
def test_every_route_wants_the_key(stage: Staged, path: str, headers: dict[str, str]) -> None:
    one = stage()
    answer = httpx.get(one.url + path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert one.key not in answer.text


def test_the_key_is_taken_from_either_header(stage: Staged) -> None:
    one = stage()
    for headers in (
        {"authorization": f"Bearer {one.key}"},
        {"authorization": f"bearer {one.key}"},
        {"x-api-key": one.key},
        {"authorization": "Bearer other", "x-api-key": one.key},
    ):
        assert httpx.get(one.url + "/v1/models", headers=headers).status_code == 200


def test_liveness_needs_no_key_and_tells_nothing_else(stage: Staged) -> None:
    one = stage()
    assert httpx.get(one.url + "/health").json() == {"status": "ok"}
    assert httpx.head(one.url + "/").status_code == 200
    one.engine.alive = False
    down = httpx.get(one.url + "/health")
    assert (down.status_code, down.json()) == (503, {"status": "unavailable"})
    assert one.server.record.entries() == [], "probes are not shown among the requests"


def test_the_key_may_be_switched_off_on_loopback_only(stage: Staged, tmp_path: Path) -> None:
    one = stage(api_key_required=False)
    assert one.server.key is None
    assert httpx.get(one.url + "/v1/models").status_code == 200
    assert httpx.get(one.url + "/v1/models", headers={"host": "evil.example"}).status_code == 403
    open_to_all = load_settings(data_dir=tmp_path, host="0.0.0.0", port=0, api_key_required=False)
    with pytest.raises(SettingsError, match=r"0\.0\.0\.0"):
        ApiServer(ScriptedEngine(open_to_all), open_to_all).start()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::1", "a@localhost:x"]
)
def test_a_name_that_is_not_ours_is_refused_even_with_the_key(stage: Staged, host: str) -> None:
    answer = stage().http.get("/v1/models", headers={"host": host})
    assert answer.status_code in (400, 403)
    if answer.status_code == 403:
        assert answer.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:9", "[::1]:8", "studio.lan"])
def test_names_of_ours_are_accepted(stage: Staged, host: str) -> None:
    assert stage(allowed_hosts=["studio.lan"]).http.get("/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1"])
def test_a_page_from_elsewhere_is_refused(stage: Staged, origin: str) -> None:
    answer = stage().http.post("/v1/chat/completions", json=CHAT, headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin_not_allowed"
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_page_of_the_server_s_own_address_is_accepted(stage: Staged) -> None:
    one = stage()
    assert one.http.post("/v1/chat/completions", json=CHAT, headers={"origin": one.url}).status_code == 200


def test_a_simple_cross_site_post_is_refused(stage: Staged) -> None:
    one = stage()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = one.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
    assert one.engine.plays == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_read_to_its_end_and_refused(stage: Staged, chunked: bool) -> None:
    one = stage()
    big = b'{"x": "' + b"a" * MAX_BODY + b'"}'
    content = iter([big[: MAX_BODY // 2], big[MAX_BODY // 2 :]]) if chunked else big
    headers = {"content-type": "application/json"}
    answer = one.http.post("/v1/messages", content=content, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"
    assert one.http.get("/v1/models").status_code == 200


def test_refusals_are_on_the_record(stage: Staged) -> None:
    one = stage()
    httpx.get(one.url + "/v1/models", headers={"user-agent": "probe\x1b[2J/1"})
    (entry,) = one.server.record.entries()
    assert (entry.state, entry.status, entry.path) == ("failed", 401, "/v1/models")
    assert entry.client == "probe\\x1b[2J/1"


def test_what_counts_as_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.9.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.2", "studio.lan", "")))
