"""`assay serve` as a process: told to end whatever its requests are at, and over an engine that dies."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.pocket import MODELS_DIR
from tests import ROOT
from tests.server.serving import Server, chat, environment, serving
from tests.server.streams import check_anthropic, check_openai, heard
from tests.server.test_hostile_templates import ENDLESS
from tests.server.waiting import wait_for

READS, SEES, ENDLESS_ID = "pocket/qwen3", "pocket/qwen2-vl", "bad/endless"
OPENAI, ANTHROPIC, COUNT = "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"
STORY = "Tell me a long story."
TOLD = ("request_cancelled", "server_closing")


def asked(server: Server, path: str, body: dict[str, Any]) -> httpx.Response:
    """A whole answer: a connection that is cut raises."""
    return server.http.post(path, json=body)


def error_of(path: str, answer: httpx.Response, stream: bool) -> dict[str, Any]:
    """The error with which an answer ends, as its protocol has it."""
    if answer.status_code == 200 and stream:
        events = [event for event in heard(answer.content) if event.event != "ping"]
        if path == OPENAI:
            return dict(check_openai(events)[0]["error"])
        return dict(events[0].data["error"] if len(events) == 1 else check_anthropic(events)["error"])
    assert answer.status_code in (499, 503)
    return dict(answer.json()["error"])


@pytest.mark.parametrize("held", [True, False], ids=["the engine is at a load", "the engine hears"])
def test_every_request_is_told_when_the_server_ends(tmp_path: Path, held: bool) -> None:
    """Of one model's requests one runs and the others queue; others wait for a load, and for a template's end."""
    folder = tmp_path / "models" / ENDLESS_ID
    shutil.copytree(MODELS_DIR / "qwen3", folder)
    (folder / "chat_template.jinja").write_text(ENDLESS)
    settings = {"ASSAY_MODEL_FOLDERS": json.dumps([str(tmp_path / "models")]), "ASSAY_MAX_BATCH": "1"}
    with serving(tmp_path, READS, arguments=("--drain", "0.2"), faulty=True, **settings) as server:
        cases = [
            (path, model, stream)
            for path in (OPENAI, ANTHROPIC)
            for model in (READS, SEES, ENDLESS_ID)
            for stream in (True, False)
        ]
        cases.append((COUNT, ENDLESS_ID, False))
        with ThreadPoolExecutor(len(cases)) as pool:
            if held:
                server.fault("load 4")

            def ask(case: tuple[str, str, bool]) -> httpx.Response:
                path, model, stream = case
                return asked(server, path, chat(model, STORY, max_tokens=2000, stream=stream))

            asking = {case: pool.submit(ask, case) for case in cases}
            wait_for(lambda: server.fault("stats")["live"] == len(cases))
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0, server.stderr[-3000:]
            for (path, _, stream), answer in asking.items():
                error = error_of(path, answer.result(10), stream)
                assert error["message"]
                assert path != OPENAI or error["code"] in TOLD


def test_a_signal_is_heard_whatever_thread_it_is_given_to(tmp_path: Path) -> None:
    with serving(tmp_path, faulty=True) as server:
        server.fault("signal")
        assert server.process.wait(20) == 0


def test_an_engine_that_dies_is_started_anew_twice(tmp_path: Path) -> None:
    with serving(tmp_path, arguments=("--model", READS), faulty=True) as server:
        for times in (1, 2):
            with server.http.stream("POST", OPENAI, json=chat(READS, STORY, max_tokens=4000, stream=True)) as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith("data:")
                server.fault("die")
                told = [line for line in lines if "error" in line]
            assert "The engine has died: Injected: a fault of the test's." in told[0]
            wait_for(lambda times=times: server.stderr.count("The engine answers again.") == times)
            assert server.http.get("/health").status_code == 200
            assert server.fault("stats")["models"] == [READS], "it is there again, as it was asked for"
            asked(server, OPENAI, chat(SEES, "Hi")).raise_for_status()
        server.fault("die")
        assert server.process.wait(20) == 5
        last = server.stderr.strip().splitlines()[-1]
        assert "The engine has died: Injected: a fault of the test's. It was started anew 2 times" in last


STARTS_NEVER = """
from core.mlx import thread

def fail(*_):
    raise ValueError("current limit exceeds maximum limit")

thread._make_scheduler = fail
from tui.cli.main import main
main()
"""


def test_an_address_that_cannot_answer_is_not_printed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_NEVER, "serve", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(tmp_path), cwd=ROOT, timeout=60)
    assert done.returncode == 5
    assert done.stdout == ""
    assert "assay: The engine has died: ValueError: current limit exceeds maximum limit." in done.stderr


def test_where_the_system_allows_few_open_files_it_serves_all_the_same(tmp_path: Path) -> None:
    few = ("sh", "-c", 'ulimit -n 1024 && exec "$0" "$@"')
    with serving(tmp_path, READS, before=few, faulty=True) as server:
        assert server.http.get("/health").status_code == 200
        assert server.fault("stats")["files"] == [1024, 1024]


def test_what_a_client_is_told_of_is_in_the_log_under_its_id(tmp_path: Path) -> None:
    with serving(tmp_path, arguments=("--model", READS), faulty=True) as server:
        server.fault("raise")
        answer = asked(server, OPENAI, chat(READS, "Hi"))
        told, id = answer.json()["error"]["message"], answer.headers["x-request-id"]
        log = tmp_path / "data" / "assay.log"
        assert told.endswith(f"log has the details under {id}.")
        assert f"ERROR server.errors: {id}: " in log.read_text()
        assert log.stat().st_mode & 0o777 == 0o600
        assert str(log) in server.stderr
        assert id not in server.stderr
