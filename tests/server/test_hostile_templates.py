"""A chat template that never ends, behind the API: its requests get a sentence, everyone else an answer."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.pocket import MODELS_DIR
from tests.server.serving import Server, chat, serving

READS = "pocket/qwen3"
ENDLESS = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "models" / "bad" / "endless"
    shutil.copytree(MODELS_DIR / "qwen3", folder)
    (folder / "chat_template.jinja").write_text(ENDLESS)
    with serving(tmp_path, READS, ASSAY_MODEL_FOLDERS=json.dumps([str(tmp_path / "models")])) as server:
        yield server


def test_nobody_else_waits_and_the_server_ends_when_told_to(server: Server) -> None:
    told: list[str] = []

    def ask() -> None:
        answer = server.http.post("/v1/chat/completions", json=chat("bad/endless", "Hi"))
        counted = server.http.post("/v1/messages/count_tokens", json=chat("bad/endless", "Hi"))
        assert (answer.status_code, counted.status_code) == (400, 400)
        told.extend(one.json()["error"]["message"] for one in (answer, counted))

    assert server.gap(READS, ask) < 3
    assert all("was stopped: it did not end within" in message for message in told)
    # One is at work when the server is told to end.
    children = psutil.Process(server.process.pid).children()
    with server.http.stream("POST", "/v1/chat/completions", json=chat("bad/endless", "Hi", stream=True)):
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert server.process.wait(30) is not None
    assert time.monotonic() - began < 20
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
