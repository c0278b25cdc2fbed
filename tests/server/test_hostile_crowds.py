"""Many connections, slow ones, and such as stand still: what they may cost the others, in time and in memory."""

from __future__ import annotations

import json
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import httpx
import pytest

import server.connection
import server.crowd
import server.intake
import server.lifecycle
from core.calls.events import Prefill, TextDelta
from server.crowd import raise_descriptors
from tests.server.conftest import Staged
from tests.server.scripted import HELLO, Play
from tests.server.serving import serving
from tests.server.sockets import BODY, CHAT, MB, PATH, answered, connect, head, rest, said
from tests.server.waiting import wait_for


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of time that a test can wait for."""
    monkeypatch.setattr(server.crowd, "LOOK_S", 0.05)
    monkeypatch.setattr(server.connection, "HEAD_S", 0.5)
    monkeypatch.setattr(server.connection, "LINGER_S", 0.5)
    monkeypatch.setattr(server.lifecycle, "KEEP_ALIVE_S", 0.5)
    monkeypatch.setattr(server.intake, "LOOK_S", 0.05)
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
def test_a_body_that_stands_makes_way_for_those_that_wait(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.intake, "IDLE_S", 60.0)
    monkeypatch.setattr(server.intake, "POOL", MB)
    one = stage()
    body = BODY[:-1] + b" " * 8 * MB + b"}"
    with connect(one.url) as first, connect(one.url) as second, connect(one.url) as honest:
        for hog in (first, second):
            hog.sendall(head(one.key, "content-length: 9000000") + b" " * 2 * MB)
        wait_for(lambda: len(one.server.record.live) == 2)
        honest.sendall(head(one.key, f"content-length: {len(body)}", "connection: close") + body)
        assert answered(rest(honest))[0] == 200
        assert {answered(rest(hog))[0] for hog in (first, second)} == {408}


def test_more_bodies_than_can_be_read_are_told_to_come_again(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.intake, "READING", 1)
    one = stage()
    with connect(one.url) as line:
        line.sendall(head(one.key, "content-length: 10"))
        wait_for(lambda: len(one.server.record.live) == 1)
        answers = [one.http.post(path, json=CHAT) for path in (PATH, "/v1/messages")]
    assert [answer.status_code for answer in answers] == [429, 529]
    assert answers[0].json()["error"]["code"] == "too_many_bodies"
    assert [entry.status for entry in one.server.record.entries() if entry.state == "failed"] == [429, 529]
    assert all(answer.headers["retry-after"] == "2" for answer in answers)
    assert all("x-should-retry" not in answer.headers for answer in answers)


def test_a_body_that_finds_no_room_is_told_to_come_again(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.intake, "POOL", 0)
    monkeypatch.setattr(server.intake, "WAIT_S", 0.1)
    one = stage()
    with connect(one.url) as first, connect(one.url) as second:
        first.sendall(head(one.key, "content-length: 10"))
        wait_for(lambda: len(one.server.record.live) == 1)
        second.sendall(head(one.key, f"content-length: {9 * MB}") + b" " * MB)
        assert answered(rest(second))[0] == 429


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


def test_bodies_that_do_not_end_make_room_for_requests(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.crowd, "BESIDE_QUEUE", 10)
    one = stage(max_queue=10)
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(one.url)) for _ in range(20)]
        for line in lines:
            line.sendall(head(one.key, "content-length: 10"))
        wait_for(lambda: len(one.server.record.live) == 20)
        for _ in range(3):
            assert httpx.get(one.url + "/health").status_code == 200
        assert answered(rest(lines[0]))[2]["error"]["code"] == "too_many_connections"
        assert len(one.server.record.live) > 15


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
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for soft, hard, found in ((256, 8192, "4096 1280"), (256, 1024, "1024 768"), (256, 256, "256 128")):
        if most != resource.RLIM_INFINITY and hard > most:
            continue  # a library of this process has lowered what may be asked for
        run = [sys.executable, "-c", code, str(soft), str(hard), "0"]
        assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == found


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
                assert said(url, head("", "connection: close", first="GET /health HTTP/1.1"))[0] == 200
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
    assert grown[0] < 100 * MB
    assert grown[1] < 120 * MB
    assert times[len(times) // 2] < 1.0
    assert times[-1] < 10.0
