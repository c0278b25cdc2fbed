"""What comes over a socket that is no request, or not yet one, and what it may cost the others."""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import anthropic
import httpx
import openai
import pytest

import server.connection
import server.crowd
import server.intake
import server.lifecycle
from core.calls.events import Prefill, TextDelta
from server.crowd import raise_descriptors
from server.http11 import MAX_FIELDS, MAX_HEAD, MAX_TARGET
from server.intake import MAX_BODY
from tests.server.conftest import Staged
from tests.server.scripted import HELLO, Play
from tests.server.serving import serving
from tests.server.waiting import wait_for

PATH = "/v1/chat/completions"
CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
BODY = json.dumps(CHAT).encode()
MB = 2**20


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=20)


def head(key: str, *lines: str, first: str = f"POST {PATH} HTTP/1.1") -> bytes:
    usual = ("host: localhost", f"x-api-key: {key}", "content-type: application/json")
    return "\r\n".join((first, *usual, *lines, "", "")).encode()


def rest(line: socket.socket) -> bytes:
    """All that comes until the server closes."""
    heard = b""
    while piece := line.recv(65536):
        heard += piece
    return heard


def answered(heard: bytes) -> tuple[int, dict[str, str], Any]:
    """The last answer of what was heard: its status, headers, and JSON."""
    start = [found.start() for found in re.finditer(rb"HTTP/1\.1 \d{3} ", heard)][-1]
    top, _, body = heard[start:].partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, json.loads(body) if body else None


def said(url: str, raw: bytes) -> tuple[int, dict[str, str], Any]:
    with connect(url) as line:
        line.sendall(raw)
        return answered(rest(line))


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
        ("TRACE", "/", "HEAD"),
    ):
        answer = one.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert one.http.head("/health").content == b""
    assert said(one.url, head(one.key, "connection: close", first="OPTIONS * HTTP/1.1"))[0] == 404
    assert said(one.url, head(one.key, "connection: close", first="CONNECT a:1 HTTP/1.1"))[0] == 404


@pytest.mark.parametrize("path", ["/%00", "/v1/models/a%00b", "/v1/models/..%2f..%2f..%2fetc%2fpasswd", "/%ff%fe"])
def test_addresses_of_odd_bytes_are_not_found(stage: Staged, path: str) -> None:
    one = stage()
    status, _, body = said(one.url, head(one.key, "connection: close", first=f"GET {path} HTTP/1.1"))
    assert (status, body["error"]["type"]) == (404, "invalid_request_error")


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


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of time that a test can wait for."""
    monkeypatch.setattr(server.crowd, "LOOK_S", 0.05)
    monkeypatch.setattr(server.connection, "HEAD_S", 0.5)
    monkeypatch.setattr(server.connection, "LINGER_S", 0.5)
    monkeypatch.setattr(server.lifecycle, "KEEP_ALIVE_S", 0.5)
    monkeypatch.setattr(server.intake, "TICK_S", 0.05)
    monkeypatch.setattr(server.intake, "IDLE_S", 1.0)
    monkeypatch.setattr(server.intake, "PRESSED_S", 0.5)


@pytest.mark.usefixtures("short")
def test_headers_that_do_not_end_are_not_waited_for(stage: Staged) -> None:
    one = stage()
    with connect(one.url) as quiet, connect(one.url) as half, connect(one.url) as drip:
        half.sendall(b"GET /health HTTP/1.1\r\nhost:")
        over = threading.Event()

        def trickle() -> None:
            while not over.wait(0.02):
                try:
                    drip.sendall(b"a")
                except OSError:
                    return

        trickler = threading.Thread(target=trickle)
        trickler.start()
        heard = rest(drip)
        over.set()
        trickler.join()
        assert answered(heard)[0] == 408
        assert answered(rest(half))[2]["error"]["code"] == "request_timeout"
        assert rest(quiet) == b"", "one that sent nothing is told nothing"


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("framing", ["content-length: 1000", "content-length: 31000000", "transfer-encoding: chunked"])
@pytest.mark.parametrize("drips", [False, True])
def test_bodies_that_do_not_come_are_not_waited_for(stage: Staged, framing: str, drips: bool) -> None:
    one = stage()
    with connect(one.url) as line:
        line.sendall(head(one.key, framing))
        over = threading.Event()

        def trickle() -> None:
            while drips and not over.wait(0.1):
                try:
                    line.sendall(b"1\r\n \r\n")
                except OSError:
                    return

        trickler = threading.Thread(target=trickle)
        trickler.start()
        status, headers, body = answered(rest(line))
        over.set()
        trickler.join()
    assert (status, headers["connection"]) == (408, "close")
    assert "came too slowly" in body["error"]["message"]
    assert "x-should-retry" not in headers
    assert one.http.post(PATH, json=CHAT).status_code == 200


@pytest.mark.usefixtures("short")
def test_a_slow_line_that_makes_progress_is_waited_for(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.intake, "PRESSED_S", 0.1)
    monkeypatch.setattr(server.connection, "HEAD_S", 1.0)
    one = stage()
    body = BODY[:-1] + b" " * 29 * MB + b"}"
    size = len(body) // 12 + 1
    with connect(one.url) as line:
        line.sendall(head(one.key, f"content-length: {len(body)}", "connection: close"))
        for start in range(0, len(body), size):
            time.sleep(0.2)
            line.sendall(body[start : start + size])
        assert answered(rest(line))[0] == 200


@pytest.mark.usefixtures("short")
def test_who_sends_a_body_that_nobody_reads_is_cut_off(stage: Staged) -> None:
    one = stage()
    for framing in ("content-length: 10000000000", "content-length: 50000", "transfer-encoding: chunked"):
        with connect(one.url) as line:
            line.sendall(head("wrong", framing))
            assert answered(line.recv(65536))[0] == 401
            began = time.monotonic()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                while time.monotonic() - began < 10:
                    line.sendall(b"1\r\n \r\n")
    assert one.http.get("/health").status_code == 200


@pytest.mark.usefixtures("short")
def test_a_body_that_stands_makes_way_for_one_that_waits(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.intake, "READING", 1)
    monkeypatch.setattr(server.intake, "IDLE_S", 60.0)
    one = stage()
    with connect(one.url) as hog, connect(one.url) as honest:
        hog.sendall(head(one.key, "content-length: 1000"))
        wait_for(lambda: len(one.server.record.live) == 1)
        honest.sendall(head(one.key, f"content-length: {len(BODY)}", "connection: close"))
        honest.sendall(BODY)
        assert answered(rest(honest))[0] == 200
        assert answered(rest(hog))[0] == 408


@pytest.mark.parametrize(("limit", "value"), [("WAITING", 0), ("WAIT_S", 0.1)])
def test_more_bodies_than_can_wait_are_told_to_come_again(
    stage: Staged, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(server.intake, "READING", 0)
    monkeypatch.setattr(server.intake, limit, value)
    one = stage()
    answers = [one.http.post(path, json=CHAT) for path in (PATH, "/v1/messages")]
    assert [answer.status_code for answer in answers] == [429, 529]
    assert answers[0].json()["error"]["code"] == "too_many_bodies"
    assert all(answer.headers["retry-after"] == "2" for answer in answers)
    assert all("x-should-retry" not in answer.headers for answer in answers)


def test_bodies_share_their_memory_and_the_first_can_always_go_on(
    stage: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.intake, "POOL", MB)
    one = stage()
    bodies = [BODY[:-1] + b" " * 8 * MB + b"}" for _ in range(4)]
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(one.url)) for _ in bodies]
        for line, body in zip(lines, bodies, strict=True):
            line.sendall(head(one.key, f"content-length: {len(body)}", "connection: close") + body[:1000])
        senders = [
            threading.Thread(target=line.sendall, args=(body[1000:],)) for line, body in zip(lines, bodies, strict=True)
        ]
        for sender in reversed(senders):
            sender.start()
        assert [answered(rest(line))[0] for line in lines] == [200] * 4
        for sender in senders:
            sender.join()


def test_bodies_of_requests_that_are_not_answered_are_bounded(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.intake, "HELD", len(BODY) + 10)
    one = stage(Play.until_cancelled)
    with connect(one.url) as first:
        first.sendall(head(one.key, f"content-length: {len(BODY)}") + BODY)
        wait_for(lambda: len(one.engine.plays) == 1)
        assert one.http.post(PATH, json=CHAT).status_code == 429
        assert one.http.get("/health").status_code == 200
    assert one.engine.plays[0].over.wait(5)
    one.engine.script = lambda play: play.say(*HELLO)
    wait_for(lambda: one.http.post(PATH, json=CHAT).status_code == 200)


def test_who_has_waited_longest_makes_room(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.crowd, "BESIDE_QUEUE", 10)
    one = stage(max_queue=10)
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(one.url)) for _ in range(20)]
        for line in lines:
            line.sendall(b"GET /health HTTP/1.1\r\nhost:")
        assert httpx.get(one.url + "/health").status_code == 200
        assert rest(lines[0]) == b""
        lines[-1].sendall(b" localhost\r\nconnection: close\r\n\r\n")
        assert answered(rest(lines[-1]))[0] == 200


def test_when_all_connections_are_at_work_one_more_is_told(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.crowd, "BESIDE_QUEUE", 2)
    one = stage(Play.until_cancelled, max_queue=2)
    with ExitStack() as stack:
        for _ in range(4):
            line = stack.enter_context(connect(one.url))
            line.sendall(head(one.key, f"content-length: {len(BODY)}") + BODY)
        wait_for(lambda: len(one.engine.plays) == 4)
        answer = httpx.get(one.url + "/health")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["error"]["code"] == "too_many_connections"
    wait_for(lambda: httpx.get(one.url + "/health").status_code == 200)


def test_a_reader_that_pauses_gets_all_of_its_stream(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.crowd, "LOOK_S", 0.05)
    monkeypatch.setattr(server.connection, "STALL_S", 1.5)

    def script(play: Play) -> None:
        play.say(Prefill(7, 7), *(TextDelta("x" * 100_000) for _ in range(100)), *HELLO[2:])

    one = stage(script)
    body = json.dumps(CHAT | {"stream": True}).encode()
    with connect(one.url) as line:
        line.sendall(head(one.key, f"content-length: {len(body)}", "connection: close") + body)
        heard = b""
        for _ in range(3):
            time.sleep(0.7)
            heard += line.recv(1_000_000, socket.MSG_WAITALL)
        heard += rest(line)
    assert heard.count(b"x" * 100_000) == 100
    assert b"data: [DONE]" in heard


def test_the_soft_limit_of_open_files_is_raised_within_the_hard_one() -> None:
    code = (
        "import resource, sys; soft, hard, wanted = map(int, sys.argv[1:])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n"
        "from server.crowd import Crowd\n"
        "crowd = Crowd(256)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], crowd.most)"
    )
    for soft, hard, found in ((256, 8192, "4096 1280"), (256, 1024, "1024 768"), (256, 256, "256 128")):
        run = [sys.executable, "-c", code, str(soft), str(hard), "0"]
        assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == found


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


def push(lines: list[socket.socket], size: int) -> None:
    """Send `size` bytes over each, as far as they are taken: until nobody has taken any for a second."""
    left = dict.fromkeys(lines, size)
    last = time.monotonic()
    with selectors.DefaultSelector() as ready:
        for line in lines:
            line.setblocking(False)
            ready.register(line, selectors.EVENT_WRITE)
        while ready.get_map() and time.monotonic() - last < 1:
            for key, _ in ready.select(0.1):
                line = cast(socket.socket, key.fileobj)
                left[line] -= line.send(b" " * min(left[line], MB))
                last = time.monotonic()
                if not left[line]:
                    ready.unregister(line)


def test_thousands_of_partial_headers_and_unfinished_bodies_cost_a_real_server_little(tmp_path: Path) -> None:
    raise_descriptors(4096)
    times: list[float] = []
    over = threading.Event()
    with serving(tmp_path) as one, ExitStack() as stack:
        url, key = str(one.http.base_url), one.http.headers["x-api-key"]

        def probe() -> None:
            """On connections of its own, as a monitor does."""
            while not over.is_set():
                began = time.monotonic()
                assert httpx.get(url + "/health", timeout=20).status_code == 200
                times.append(time.monotonic() - began)

        def headers() -> None:
            for _ in range(2300):
                line = stack.enter_context(connect(url))
                line.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx: ")

        def bodies() -> None:
            lines = [stack.enter_context(connect(url)) for _ in range(40)]
            for line in lines:
                line.sendall(head(key, f"content-length: {29 * MB + 1}"))
            push(lines, 29 * MB)

        wait_for(lambda: one.http.get("/health").status_code == 200)
        prober = threading.Thread(target=probe)
        prober.start()
        try:
            grown = one.growth(headers), one.growth(bodies)
        finally:
            over.set()
            prober.join(30)
    times.sort()
    print([size // MB for size in grown], len(times), times[len(times) // 2], times[-1])
    assert grown[0] < 100 * MB
    assert grown[1] < 120 * MB
    assert times[len(times) // 2] < 0.5
    assert times[-1] < 5
