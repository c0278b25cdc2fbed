"""What comes over a socket that is no request, or an odd one, and what is said to it."""

from __future__ import annotations

import errno

import anthropic
import openai
import pytest

from core.calls.events import Prefill, TextDelta
from server.connection import _Line
from server.http11 import MAX_FIELDS, MAX_HEAD, MAX_TARGET
from server.intake import MAX_BODY
from tests.server.conftest import Staged
from tests.server.scripted import Play
from tests.server.sockets import BODY, CHAT, PATH, answered, connect, head, rest, said
from tests.server.waiting import wait_for


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        (b"GET /health\r\n", 400, "a line of HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 400, "a line of HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "not https://"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "not HTTP/2.0"),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\nno header\r\n\r\n", 400, "illegal header line"),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n", 400, "illegal header line"),
        (b"GET /health HTTP/1.1\r\n\r\n", 400, "Missing mandatory Host"),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n", 400, "multiple Host"),
        (b"GET /" + b"a" * MAX_TARGET, 414, "8 KB"),
        (b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_FIELDS + 9), 431, "100 headers"),
        (b"GET /health HTTP/1.1\r\na: " + b"b" * MAX_HEAD, 431, "16 KB"),
        (head("", "content-length: 2", "transfer-encoding: chunked") + b"0\r\n\r\n", 400, "its end is in doubt"),
        (head("", "content-length: 2", "content-length: 3"), 400, "conflicting Content-Length"),
        (head("", "content-length: -2"), 400, "bad Content-Length"),
        (head("", "transfer-encoding: gzip, chunked"), 501, "chunked is supported"),
        (head("", "transfer-encoding: chunked", first="POST / HTTP/1.0") + b"0\r\n\r\n", 400, "its end is in doubt"),
    ],
)
def test_what_is_no_request_is_told_so_in_the_shape_of_errors(
    stage: Staged, raw: bytes, status: int, says: str
) -> None:
    one = stage()
    found, headers, body = said(one.url, raw)
    assert found == status
    assert says in body["error"]["message"]
    assert body["error"]["code"] == "invalid_request"
    assert headers["connection"] == "close"
    assert headers["x-request-id"].startswith("req_")
    assert one.http.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        (b"zz\r\n", "illegal chunk header"),
        (b"f" * 21 + b"\r\n", "illegal chunk header"),
        (b"2\r\n{}!!", "malformed chunk footer"),
        (b"1;" + b"x" * 8000 + b"\r\n{\r\n" + (b"1;" + b"x" * 8000 + b"\r\n \r\n") * 12, "larger chunks"),
        (b"1\r\n{\r\n" + b"1\r\n \r\n" * 50_000, "larger chunks"),
        (b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 9000, "Receive buffer too long"),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/v1/messages"])
def test_chunks_that_are_none_end_their_request_alone(stage: Staged, path: str, chunks: bytes, says: str) -> None:
    one = stage()
    raw = head(one.key, "transfer-encoding: chunked", first=f"POST {path} HTTP/1.1")
    status, headers, body = said(one.url, raw + chunks)
    assert status in (400, 431)
    assert says in body["error"]["message"]
    assert ("request-id" in headers) == (body.get("type") == "error") == (path != PATH)
    assert one.engine.plays == []
    assert one.http.post(PATH, json=CHAT).status_code == 200


def test_chunks_of_any_honest_kind_are_read(stage: Staged) -> None:
    one = stage()
    pieces = b"".join(b'5;a="b"\r\n' + b"     \r\n" for _ in range(5000))
    raw = head(one.key, "transfer-encoding: chunked", "connection: close") + pieces
    status, _, body = said(one.url, raw + f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\nx-trailer: 1\r\n\r\n")
    assert (status, body["choices"][0]["message"]["content"]) == (200, "Hello")


def test_an_absolute_address_is_served_and_its_host_is_the_one_that_counts(stage: Staged) -> None:
    one = stage()
    end = ("connection: close", f"content-length: {len(BODY)}")
    status, _, body = said(one.url, head(one.key, *end, first=f"POST {one.url}{PATH}?a=b HTTP/1.1") + BODY)
    assert (status, body["object"]) == (200, "chat.completion")
    status, _, body = said(one.url, head(one.key, "connection: close", first="GET http://evil.example/health HTTP/1.1"))
    assert (status, body["error"]["code"]) == (403, "host_not_allowed")
    assert said(one.url, head("", "connection: close", first=f"GET {one.url} HTTP/1.1"))[0] == 401


def test_every_origin_of_several_must_be_ours(stage: Staged) -> None:
    one = stage()
    for others in (("http://localhost", "http://evil.example"), ("http://evil.example", "http://localhost")):
        lines = (*(f"origin: {other}" for other in others), f"content-length: {len(BODY)}", "connection: close")
        status, _, body = said(one.url, head(one.key, *lines) + BODY)
        assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
    assert one.engine.plays == []


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate, gzip"])
def test_a_compressed_body_is_told_as_what_it_is(stage: Staged, coding: str) -> None:
    one = stage()
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = one.http.post(PATH, content=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert f"compressed (Content-Encoding: {coding})" in answer.json()["error"]["message"]
    assert one.http.post(PATH, json=CHAT, headers={"content-encoding": "identity"}).status_code == 200


def test_expectations_are_met_or_refused(stage: Staged) -> None:
    one = stage()
    status, _, body = said(one.url, head(one.key, "expect: 200-ok", "content-length: 2", "connection: close") + b"{}")
    assert (status, body["error"]["code"]) == (417, "expectation_failed")
    with connect(one.url) as line:
        line.sendall(head(one.key, "expect: 100-continue", f"content-length: {len(BODY)}", "connection: close"))
        assert line.recv(1000).startswith(b"HTTP/1.1 100 ")
        line.sendall(BODY)
        assert answered(rest(line))[0] == 200
    for key, size, status in ((one.key, MAX_BODY + 1, 413), ("wrong", 10, 401)):
        with connect(one.url) as line:
            line.sendall(head(key, "expect: 100-continue", f"content-length: {size}"))
            heard = rest(line)
        assert b" 100 Continue" not in heard
        assert (answered(heard)[0], answered(heard)[1]["connection"]) == (status, "close")


def test_methods_that_an_address_does_not_take_are_told_those_that_it_does(stage: Staged) -> None:
    one = stage()
    for method, path, allow in (
        ("DELETE", "/health", "GET, HEAD"),
        ("OPTIONS", PATH, "POST"),
        ("HEAD", "/v1/models", "GET"),
        ("GET", "/v1/messages", "POST"),
        ("PUT", PATH, "POST"),
        ("PATCH", "/v1/models", "GET"),
        ("TRACE", "/", "HEAD"),
    ):
        answer = one.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert one.http.head("/health").content == b""
    assert said(one.url, head(one.key, "connection: close", first="OPTIONS * HTTP/1.1"))[0] == 404
    assert said(one.url, head(one.key, "connection: close", first="CONNECT a:1 HTTP/1.1"))[0] == 404


@pytest.mark.parametrize("path", ["/%00", "/v1/models/a%00b", "/v1/models/..%2f..%2f..%2fetc%2fpasswd", "/%ff%0a%fe"])
def test_addresses_of_odd_bytes_are_not_found(stage: Staged, path: str) -> None:
    one = stage()
    status, _, body = said(one.url, head(one.key, "connection: close", first=f"GET {path} HTTP/1.1"))
    assert (status, body["error"]["type"]) == (404, "invalid_request_error")
    assert "\n" not in body["error"]["message"]


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_an_upgrade_is_not_taken_up_and_its_leaving_is_seen(stage: Staged, upgrade: str) -> None:
    def script(play: Play) -> None:
        play.say(Prefill(7, 7), TextDelta("Hel"))
        play.until_cancelled()

    one = stage(script)
    with connect(one.url) as line:
        line.sendall(head(one.key, "connection: upgrade", f"upgrade: {upgrade}", f"content-length: {len(BODY)}") + BODY)
        wait_for(lambda: len(one.engine.plays) == 1)
    assert one.engine.plays[0].over.wait(5)


def test_pipelined_requests_are_answered_in_order(stage: Staged) -> None:
    one = stage()
    many = b"".join(head("", first=f"GET /{place} HTTP/1.1") for place in range(300))
    with connect(one.url) as line:
        line.sendall(many + head("", "connection: close", first="GET /health HTTP/1.1"))
        heard = rest(line)
    assert heard.count(b"HTTP/1.1 401 ") == 300
    assert answered(heard)[0] == 200


def test_a_tls_handshake_is_in_the_log_once(stage: Staged, caplog: pytest.LogCaptureFixture) -> None:
    one = stage()
    for _ in range(20):
        said(one.url, b"\x16\x03\x01\x02\x00\x01\x00")
        said(one.url, b"nonsense\r\n")
    assert [record.message for record in caplog.records if "TLS" in record.message] == [
        "This port speaks plain HTTP, and a client began with a TLS handshake. Use an address with http://, not "
        "https://. (This is said once in 60 s.)"
    ]
    assert len(caplog.records) == 1


def test_who_tears_the_connection_down_while_being_refused_is_no_error(
    stage: Staged, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says then is "not connected": when it does is its own affair, so that it is said here."""

    def gone(line: _Line) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(_Line, "write_eof", gone, raising=False)
    one = stage()
    assert said(one.url, head("wrong", "content-length: 99999") + b"{")[0] == 401
    assert [record.getMessage() for record in caplog.records] == []


def test_official_clients_hear_of_all_this_what_they_know(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stage()
    with openai.OpenAI(base_url=one.url + "/v1", api_key=one.key, max_retries=0) as client:
        long = [{"role": "user", "content": "x" * MAX_BODY}]
        with pytest.raises(openai.APIStatusError, match="larger than the limit"):
            client.chat.completions.create(model="toy", messages=long)  # type: ignore[arg-type]
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").chat.completions.create(model="toy", messages=long)  # type: ignore[arg-type]
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "Hello"
    with anthropic.Anthropic(base_url=one.url, api_key=one.key, max_retries=0) as other:
        with pytest.raises(anthropic.APIStatusError, match="larger than the limit"):
            other.messages.create(**CHAT | {"messages": long})
        assert other.messages.create(**CHAT).content[0].text == "Hello"
