"""`assay golden record` and `shadow` over the real engine: clients ask, and what they asked is told."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from core.golden.lint import lint_folder
from core.keys import add_key
from tests import ROOT
from tests.conftest import Api
from tests.server.conftest import Staged, stage
from tests.tui.cli.test_golden import command, process
from tui.cli.golden_shadow import _no_room
from tui.cli.golden_traffic import Traffic, span_s

__all__ = ["stage"]

CAPITALS = ("France", "Italy", "Spain")


def capital(country: str, model: str = "pocket/qwen3") -> dict[str, Any]:
    question = {"role": "user", "content": f"What is the capital of {country}?"}
    return {"model": model, "messages": [question], "max_tokens": 40, "temperature": 0}


@pytest.fixture
def ask(api: Api) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Ask as a client does."""
    headers = {"authorization": f"Bearer {api.key}", "user-agent": "codex/1.2"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=60) as http:

        def asked(body: dict[str, Any]) -> None:
            assert http.post("/v1/chat/completions", json=body).status_code == 200

        yield asked


@pytest.fixture
def fresh(api: Api) -> None:
    """A record that holds nothing of other tests."""
    api.server.record.evidence.on = False
    api.server.record.evidence.on = True


@contextmanager
def meanwhile(ask: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Clients that ask the three questions again and again."""
    done = threading.Event()

    def client() -> None:
        while not done.is_set():
            for country in CAPITALS:
                ask(capital(country))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def at(api: Api) -> list[str]:
    return ["--url", api.url, "--key", api.key]


@pytest.mark.usefixtures("fresh")
def test_live_traffic_becomes_a_suite_that_holds(
    api: Api, ask: Callable[[dict[str, Any]], None], golden: Any, clean_env: dict[str, str], tmp_path: Path
) -> None:
    suite = tmp_path / "suite"
    with meanwhile(ask):
        done = golden("record", "--suite", suite, "--requests", 7, *at(api))
    assert done.exit_code == 0, done.output
    assert "7 requests: 3 new cases, 4 equal to one, 0 left out." in done.output
    assert sorted(path.stem for path in (suite / "wire").glob("*.txt")) == [
        f"what-is-the-capital-of-{country.lower()}" for country in CAPITALS
    ]
    found, problems = lint_folder(suite)
    assert found is not None
    assert problems == []
    ran = process(clean_env, "run", str(suite))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "quick 3/3 · full 3/3" in ran.stdout


@pytest.mark.usefixtures("fresh")
def test_what_the_server_holds_is_recorded_and_what_is_left_out_is_said(
    api: Api, ask: Callable[[dict[str, Any]], None], golden: Any, tmp_path: Path
) -> None:
    ask(capital("France"))
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    ask(capital("Italy") | {"messages": turns + capital("Italy")["messages"]})
    ask(capital("my key sk-" + "a" * 30))
    done = golden("record", "--suite", tmp_path / "suite", "--held", "--for", "0s", *at(api))
    assert done.exit_code == 0, done.output
    for line in ("1 new case,", "1 left out: conversations", "1 left out: with what looks like a secret"):
        assert line in done.output
    assert "sk-aaaa" not in "".join(path.read_text() for path in (tmp_path / "suite").rglob("*.t*"))


@pytest.mark.usefixtures("fresh")
def test_another_model_is_compared(
    api: Api, ask: Callable[[dict[str, Any]], None], golden: Any, tmp_path: Path
) -> None:
    for country in ("France", "Italy", "France"):
        ask(capital(country))
    out = tmp_path / "out.json"
    arguments = ("shadow", "--model", "pocket/gemma3", "--held", "--for", "0s", "--json", out, *at(api))
    done = golden(*arguments)
    assert done.exit_code == 1, done.output
    assert "pocket/gemma3 would have answered 0 of 2 requests as pocket/qwen3 did." in done.output
    assert "1 left out: equal to another" in done.output
    told = json.loads(out.read_text())
    assert (told["summary"]["compared"], told["summary"]["exit_code"]) == (2, 1)
    first = told["pairs"][0]
    assert (first["likeness"], first["client"]) == ("differs", "codex/1.2")
    assert first["missed"] == ['no word "paris"']
    assert first["other"]["text"]
    assert first["other"]["completion_tokens"] > 0
    assert golden(*arguments, "--at-least", "0").exit_code == 0
    again = golden("shadow", "--model", "pocket/qwen3", "--held", "--for", "0s", *at(api))
    assert again.exit_code == 4, again.output  # its own answers are nothing to compare
    assert "answered by pocket/qwen3 itself" in again.output
    entries = [one.client for one in api.server.record.entries()]
    assert "assay-golden-shadow" in entries


@pytest.mark.usefixtures("fresh")
def test_clients_are_followed_while_they_ask(api: Api, ask: Callable[[dict[str, Any]], None], golden: Any) -> None:
    with meanwhile(ask):
        done = golden("shadow", "--model", "pocket/qwen2-vl", "--requests", 4, *at(api))
    assert done.exit_code in (0, 1), done.output
    assert "of 3 requests as pocket/qwen3 did" in done.output


def test_ctrl_c_keeps_what_was_recorded(
    api: Api, ask: Callable[[dict[str, Any]], None], clean_env: dict[str, str], tmp_path: Path
) -> None:
    suite = tmp_path / "suite"
    words = ["record", "--suite", str(suite), "--for", "1h", *at(api)]
    with (
        meanwhile(ask),
        subprocess.Popen(command(*words), cwd=ROOT, env=clean_env, stdout=subprocess.PIPE, text=True) as running,
    ):
        assert running.stdout is not None
        for line in running.stdout:
            if "+ wire/" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
        assert running.wait(30) == 130
    assert "new case" in rest
    assert lint_folder(suite)[0] is not None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["record", "--suite", "s", "--url", "http://127.0.0.1:9"], 4, "No server answers at http://127.0.0.1:9"),
        (["shadow", "--model", "m", "--url", "http://127.0.0.1:9"], 4, "Start a server with `assay serve`"),
        (["record", "--suite", "s", "--for", "1x"], 2, "is no time"),
    ],
)
def test_what_goes_wrong_is_said(arguments: list[str], code: int, says: str, golden: Any) -> None:
    done = golden(*arguments)
    assert done.exit_code == code
    assert says in done.output.replace("\n", " ")


def test_who_may_not_and_what_is_not_there(api: Api, golden: Any, tmp_path: Path) -> None:
    key = add_key(api.server._settings.data_dir, "codex-of-traffic")
    done = golden("record", "--suite", tmp_path / "s", "--url", api.url, "--key", key, "--for", "1s")
    assert (done.exit_code, "for the owner of this server" in done.output) == (2, True)
    done = golden("shadow", "--model", "no/such", "--for", "1s", *at(api))
    assert (done.exit_code, "The server has no model no/such." in done.output) == (2, True)
    api.server.record.evidence.on = False
    try:
        done = golden("record", "--suite", tmp_path / "s", "--for", "1s", *at(api))
    finally:
        api.server.record.evidence.on = True
    assert (done.exit_code, "is not kept here" in done.output) == (2, True)


def test_a_model_that_writes_nothing_is_refused_before_it_is_asked(tiny_api: Api, golden: Any) -> None:
    done = golden("shadow", "--model", "tiny/reranker", "--for", "1s", *at(tiny_api))
    assert (done.exit_code, "is a model of kind reranker, which answers nothing" in done.output) == (2, True)


def test_spans() -> None:
    assert [span_s(text) for text in ("45", "90s", "10m", "1h", "1h30m", "0.5h", "0s")] == [
        45, 90, 600, 3600, 5400, 1800, 0,
    ]  # fmt: skip
    for text in ("", "h", "1d", "1m2h", "-5"):
        with pytest.raises(typer.BadParameter):
            span_s(text)


def test_a_server_that_goes_away_is_waited_for(stage: Staged) -> None:
    one = stage()
    notes: list[str] = []
    traffic = Traffic(one.url, one.key, notes.append)
    port = int(one.url.rpartition(":")[2])
    heard: list[str] = []

    def ask_for(text: str) -> None:
        body = {"model": "toy", "messages": [{"role": "user", "content": text}]}
        httpx.post(f"{one.url}/v1/chat/completions", json=body, headers=one.http.headers).raise_for_status()

    async def follow() -> None:
        async for request in traffic.follow(None, 2, held=True):
            heard.append(request.request.messages[0].plain_text)
            if len(heard) == 1:
                await asyncio.to_thread(one.server.stop)
                starting.start()

    def start_again() -> None:
        while not notes:
            threading.Event().wait(0.05)
        one.server.start(port)
        ask_for("after")

    starting = threading.Thread(target=start_again)
    ask_for("before")
    asyncio.run(follow())
    starting.join()
    assert heard == ["before", "after"]
    assert notes[0].startswith("The server does not answer any more")
    assert notes[1:] == ["The server answers again."]


@pytest.mark.usefixtures("clean_env")
def test_a_model_without_room_is_asked_later() -> None:
    told: dict[str, Any] = {"memory_bytes": {"budget": 3_000_000, "active": 2_000_000, "kept": 500_000}, "data": []}
    assert "takes" in _no_room("pocket/gemma3", told)
    told["memory_bytes"] = {"budget": 3_000_000_000, "active": 2_000_000, "kept": 0}
    assert _no_room("pocket/gemma3", told) == ""
    assert _no_room("somewhere/else", told) == ""
