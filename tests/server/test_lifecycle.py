"""The toggle: on and off, as often as one likes, whatever the clients do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import server.answer
import server.lifecycle
from core.calls.events import Prefill, TextDelta
from core.catalog import ModelKind
from core.errors import EngineError, PortInUse, SettingsError
from core.settings import load_settings
from server.errors import SWITCHED_OFF
from server.lifecycle import ApiServer, bind
from tests.server.conftest import Stage, Staged
from tests.server.scripted import END, Play, ScriptedEngine
from tests.server.streams import check_anthropic, check_openai, heard
from tests.server.waiting import wait_for

PATHS = ("/v1/chat/completions", "/v1/messages")
CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 9}


def test_importing_the_toggle_is_cheap() -> None:
    script = (
        "import sys, server.lifecycle; "
        "print([m for m in ('fastapi', 'starlette', 'uvicorn', 'textual', 'mlx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_on_off_and_on_again_on_the_same_port(stage: Staged) -> None:
    one = stage()
    assert one.server.running
    assert one.server.url == one.url
    assert one.server.start() == one.url, "starting twice changes nothing"
    port = httpx.URL(one.url).port
    one.server.stop()
    one.server.stop()
    assert not one.server.running
    assert one.server.url is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(one.url + "/health")
    assert one.server.start(port) == one.url
    assert httpx.get(one.url + "/health").json() == {"status": "ok"}


def test_many_toggles_leak_nothing(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, hf_cache=tmp_path, port=0)
    server = ApiServer(ScriptedEngine(settings), settings)  # type: ignore[arg-type]

    def toggle() -> None:
        url = server.start()
        with httpx.Client(headers={"x-api-key": server.key or ""}) as client:
            body = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}]}
            assert client.post(url + "/v1/chat/completions", json=body).status_code == 200
        server.stop()

    def held() -> tuple[int, int]:
        gc.collect()
        return threading.active_count(), len(os.listdir("/dev/fd"))

    toggle()
    threads, files = held()
    for _ in range(30):
        toggle()
    after = held()
    assert after[0] <= threads
    assert after[1] <= files


def test_the_end_of_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, hf_cache=tmp_path, port=0)
    server = ApiServer(ScriptedEngine(settings), settings)  # type: ignore[arg-type]
    took = []
    with contextlib.closing(http.client.HTTPConnection(httpx.URL(server.start()).netloc.decode())) as connection:
        for _ in range(30):  # on one connection: its first answers are acknowledged at once
            began = time.monotonic()
            connection.request("GET", "/health")
            connection.getresponse().read()
            took.append(time.monotonic() - began)
    server.stop()
    assert min(took[5:]) < 0.025, "Nagle's algorithm holds the second packet back for 40 ms"


def test_a_port_in_use_is_named_and_a_free_one_offered(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = load_settings(data_dir=tmp_path, port=port)
        server = ApiServer(ScriptedEngine(settings), settings)  # type: ignore[arg-type]
        with pytest.raises(PortInUse) as caught:
            server.start()
        assert not server.running
        error = caught.value
        assert isinstance(error, EngineError)
        assert error.port == port
        assert str(port) in error.message
        assert str(error.free_port) in error.message
        assert server.start(error.free_port).endswith(f":{error.free_port}")
        server.stop()


def test_an_address_that_is_not_this_machine_s_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        bind("192.0.2.1", 0)
    with pytest.raises(SettingsError, match="no-such-host"):
        bind("no-such-host.invalid", 0)


def test_stopping_ends_open_streams_with_an_error_and_does_not_hang(stage: Staged) -> None:
    def script(play: Play) -> None:
        play.say(Prefill(0, 7), TextDelta("Hel"))
        play.until_cancelled()

    one = stage(script)
    bodies: dict[str, bytes] = {}

    def read(path: str) -> None:
        with one.http.stream("POST", path, json=CHAT) as response:
            bodies[path] = b"".join(response.iter_bytes())

    readers = [threading.Thread(target=read, args=(path,)) for path in ("/v1/chat/completions", "/v1/messages")]
    for reader in readers:
        reader.start()
    wait_for(lambda: sum(entry.state == "streaming" for entry in one.server.record.live) == 2)
    began = time.monotonic()
    one.server.stop()
    assert time.monotonic() - began < 5
    for reader in readers:
        reader.join(5)
    assert check_openai(heard(bodies["/v1/chat/completions"]))[0]["error"]["code"] == "request_cancelled"
    assert check_anthropic(heard(bodies["/v1/messages"]))["error"]["type"] == "invalid_request_error"


def test_draining_lets_a_running_answer_finish(stage: Staged) -> None:
    stopping = threading.Event()

    def script(play: Play) -> None:
        play.say(Prefill(0, 7), TextDelta("Hel"))
        stopping.wait(10)
        play.say(TextDelta("lo"), END)

    one = stage(script)
    with one.http.stream("POST", "/v1/chat/completions", json=CHAT) as response:
        raw = response.iter_bytes()
        first = next(raw)
        stopper = threading.Thread(target=one.server.stop, args=(10.0,))
        stopper.start()
        wait_for(lambda: refuses(one.url))
        stopping.set()
        (message,) = check_openai(heard(first + b"".join(raw)))
    stopper.join(5)
    assert not stopper.is_alive()
    assert message["content"] == "Hello"


def test_a_request_that_hears_no_cancel_cannot_hold_the_server(stage: Staged) -> None:
    held = threading.Event()
    one = stage(lambda play: held.wait(30) and None)
    answers: list[httpx.Response] = []
    body = CHAT | {"stream": False}
    reader = threading.Thread(target=lambda: answers.append(one.http.post("/v1/chat/completions", json=body)))
    reader.start()
    wait_for(lambda: len(one.engine.plays) == 1)
    one.server.stop()
    reader.join(5)
    held.set()
    assert not one.server.running
    assert answers[0].status_code == 503
    assert answers[0].json()["error"]["code"] == "server_closing"


def test_a_stream_whose_engine_hears_no_cancel_ends_with_an_error_event(
    stage: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the engine reads a model for longer than the drain."""
    monkeypatch.setattr(server.lifecycle, "GRACE_S", 0.3)
    held = threading.Event()

    def script(play: Play) -> None:
        play.say(Prefill(0, 7), TextDelta("Hel"))
        held.wait(30)

    one = stage(script)
    bodies = stopped(one, PATHS, lambda: len(one.server.record.live) == 2 and "queued" not in states(one))
    held.set()
    assert check_openai(heard(bodies[PATHS[0]].content))[0]["error"]["code"] == "server_closing"
    message = check_anthropic(heard(bodies[PATHS[1]].content))
    assert message["error"] == {"type": "api_error", "message": SWITCHED_OFF.message}
    assert message["content"] == [{"type": "text", "text": "Hel"}]
    assert [entry.state for entry in one.server.record.entries()] == ["cancelled", "cancelled"]


def test_a_request_whose_image_is_being_fetched_is_told(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    fetching = threading.Semaphore(0)

    async def fetch(*_: object) -> None:
        fetching.release()
        await asyncio.sleep(60)

    monkeypatch.setattr(server.lifecycle, "GRACE_S", 0.3)
    monkeypatch.setattr(server.answer, "fetch_image", fetch)
    one = stage()
    infos = one.engine.catalog.infos
    infos["toy"] = replace(infos["toy"], kind=ModelKind.VISION, images=True)  # or the address is not looked up
    address = "https://example.com/a.png"
    parts = {
        PATHS[0]: {"type": "image_url", "image_url": {"url": address}},
        PATHS[1]: {"type": "image", "source": {"type": "url", "url": address}},
    }
    bodies = {path: CHAT | {"messages": [{"role": "user", "content": [part]}]} for path, part in parts.items()}
    answers = stopped(one, PATHS, lambda: fetching.acquire() and fetching.acquire(), bodies)
    assert {answer.status_code for answer in answers.values()} == {503}
    assert answers[PATHS[0]].json()["error"]["code"] == "server_closing"
    assert answers[PATHS[1]].json()["error"] == {"type": "api_error", "message": SWITCHED_OFF.message}


def test_a_drain_can_be_cut_short(stage: Staged) -> None:
    def script(play: Play) -> None:
        play.say(Prefill(0, 7), TextDelta("Hel"))
        play.until_cancelled()

    one = stage(script)
    hurry = threading.Event()
    began = time.monotonic()
    answers = stopped(one, PATHS[:1], lambda: states(one) == ["streaming"], drain_s=60.0, hurry=hurry)
    assert time.monotonic() - began < 20
    assert check_openai(heard(answers[PATHS[0]].content))[0]["error"]["code"] == "request_cancelled"


def states(one: Stage) -> list[str]:
    return [entry.state.value for entry in one.server.record.live]


def stopped(
    one: Stage,
    paths: Sequence[str],
    begun: Callable[[], bool],
    bodies: Mapping[str, Any] | None = None,
    drain_s: float = 0.0,
    hurry: threading.Event | None = None,
) -> dict[str, httpx.Response]:
    """What clients of these paths hear from a server that is stopped once they have `begun`."""
    answers: dict[str, httpx.Response] = {}

    def ask(path: str) -> None:
        answers[path] = one.http.post(path, json=bodies[path] if bodies else CHAT)

    readers = [threading.Thread(target=ask, args=(path,)) for path in paths]
    for reader in readers:
        reader.start()
    wait_for(begun)
    if hurry is not None:
        stopper = threading.Thread(target=one.server.stop, args=(drain_s, hurry))
        stopper.start()
        wait_for(lambda: refuses(one.url))
        hurry.set()
        stopper.join(20)
    else:
        one.server.stop(drain_s)
    assert not one.server.running
    for reader in readers:
        reader.join(20)
    return answers


def refuses(url: str) -> bool:
    try:
        httpx.get(url + "/health")
    except httpx.HTTPError:
        return True
    return False


def test_nothing_is_written_to_the_terminal_and_no_signal_handler_is_taken(tmp_path: Path) -> None:
    script = f"""
import signal, socket, sys
from core.settings import load_settings
from server.lifecycle import ApiServer
from tests.server.scripted import ScriptedEngine

settings = load_settings(data_dir={str(tmp_path)!r}, port=0)
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
engine = ScriptedEngine(settings, lambda play: play.over.wait(30))
server = ApiServer(engine, settings)
server.start()
port = int(server.url.rpartition(":")[2])
with socket.create_connection(("127.0.0.1", port)) as rude:
    rude.sendall(b"\\x16\\x03\\x01 no HTTP\\r\\n\\r\\n")
    assert rude.recv(100).startswith(b"HTTP/1.1 400")
body = b'{{"model": "toy", "messages": [{{"role": "user", "content": "Hi"}}]}}'
head = f"POST /v1/chat/completions HTTP/1.1\\r\\nhost: localhost\\r\\nx-api-key: {{server.key}}\\r\\n"
head += f"content-type: application/json\\r\\ncontent-length: {{len(body)}}\\r\\n\\r\\n"
with socket.create_connection(("127.0.0.1", port)) as waiting:
    waiting.sendall(head.encode() + body)
    while not engine.plays:
        pass
    server.stop()
assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_schema_of_the_bodies_is_served(stage: Staged) -> None:
    schema = stage().http.get("/openapi.json").json()
    assert "/v1/messages" in schema["paths"]
    assert "max_completion_tokens" in schema["components"]["schemas"]["ChatRequest"]["properties"]


def test_a_data_folder_that_cannot_hold_the_key_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = load_settings(data_dir=tmp_path / "file", port=0)
    with pytest.raises(SettingsError, match="API key"):
        ApiServer(ScriptedEngine(settings), settings).start()  # type: ignore[arg-type]
