"""Two ranks on loopback, over MLX's ring: the tokens of one process, one face, and no rank that waits for ever."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import mlx.core as mx
import pytest

from core.engine import Engine
from core.settings import Settings
from tests import ROOT
from tests.core.mlx.ranks import launched
from tests.tiny.layers import make_layered

pytestmark = pytest.mark.skipif(
    not mx.distributed.is_available("ring"), reason="this build of MLX has no ring back end (mx.distributed)"
)

SERVE = ["-c", "from tui.cli.main import main; main()", "serve", "--port", "0", "--model", launched.MODEL]

Launch = Callable[..., list["subprocess.Popen[str]"]]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts a program as ranks 0 and 1, with the environment that mlx.launch gives them; ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> list[subprocess.Popen[str]]:
        hosts = tmp_path / "hosts.json"
        hosts.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in free_ports(2)]))
        for rank in range(2):
            environment = {
                **os.environ,
                "MLX_RANK": str(rank),
                "MLX_HOSTFILE": str(hosts),
                "ASSAY_CONFIG": str(tmp_path / "no-settings.toml"),
                "ASSAY_DATA_DIR": str(tmp_path / "data"),
                "ASSAY_HF_CACHE": str(tmp_path / "cache"),
                "ASSAY_MODEL_FOLDERS": str(tmp_path / f"models-{rank}"),
            }
            pipe = subprocess.PIPE
            started.append(
                subprocess.Popen(
                    [sys.executable, *arguments],
                    cwd=ROOT,
                    env=environment,
                    text=True,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=pipe,
                )
            )
        return started

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def free_ports(count: int) -> list[int]:
    """Ports that the system has just given out; the ring takes no port 0."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """What a rank wrote before it ended by itself."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == code, err
    return out, err


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = ended(process)
    found: dict[str, Any] = json.loads(out)
    return found


def test_two_ranks_give_the_tokens_of_one(launch: Launch, settings: Settings, tmp_path: Path) -> None:
    folders = [tmp_path / f"models-{rank}" / "tiny" for rank in range(2)]
    for folder in folders:
        make_layered(folder / "layered")
    make_layered(folders[0] / "missing")
    for length, folder in enumerate(folders):
        make_layered(folder / "unlike", max_position_embeddings=1024 + length)
    first, second = launch("-m", "tests.core.mlx.ranks.launched", "work")
    two, follower = answer(first), answer(second)
    with Engine(settings.model_copy(update={"model_folders": [folders[0].parent]})) as engine:
        one = json.loads(json.dumps(launched.scenario(engine)))
    assert {name: two[name] for name in one} == one
    assert one["batch"][1]["tokens"] == one["again"][0]["tokens"]
    assert one["next_turn"][0]["cached_tokens"] > 0
    assert one["cancelled"] == "cancelled"
    assert one["too_long"].startswith("context_length_exceeded")
    assert one["unloaded"][0].startswith("model_unloaded")
    assert one["second_load"] == 2
    assert two["vision"].startswith("unsupported_input: pocket/gemma3 is a model of kind vision")
    assert two["missing"].startswith("load_failed: Rank 1 could not follow: ")
    assert two["unlike"].startswith("load_failed: The model's files are not the same on every rank.")
    assert two["value"].startswith("invalid_request: The request holds a value that cannot be sent")
    assert follower["refused"].startswith("engine_closed: This is rank 1 of a launch")


def test_a_rank_that_falls_silent_is_given_up_with_a_sentence(launch: Launch) -> None:
    first, second = launch("-m", "tests.core.mlx.ranks.launched", "silent")
    assert second.stdout is not None
    assert first.stdin is not None
    first.stdin.write(f"{json.loads(second.stdout.readline())['pid']}\n")
    first.stdin.flush()
    found = answer(first)
    died = "engine_closed: The engine has died: The other 1 rank(s) have not answered for 2 s. Launch all ranks again."
    assert found == {"lost": died, "after": died}


def served(first: subprocess.Popen[str], tmp_path: Path) -> httpx.Client:
    """A client of the server that rank 0 has announced."""
    assert first.stdout is not None
    url = first.stdout.readline().strip()
    key = (tmp_path / "data" / "api_key").read_text().strip()
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60)


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": launched.MODEL, "messages": [{"role": "user", "content": text}], "temperature": 0} | more


def test_a_launched_server_answers_on_rank_0_and_takes_the_others_along(launch: Launch, tmp_path: Path) -> None:
    first, second = launch(*SERVE)
    with served(first, tmp_path) as client:
        got = client.post("/v1/chat/completions", json=body("What is the capital of France?", max_tokens=8))
    assert got.json()["usage"]["completion_tokens"] == 8
    for process in (second, first):
        process.send_signal(signal.SIGINT)  # as ctrl+c in a terminal does
    ended(first)
    out, err = ended(second)
    assert out == ""
    assert "Rank 1 follows rank 0" in err


def test_a_launched_server_that_loses_a_rank_leaves_with_a_sentence(launch: Launch, tmp_path: Path) -> None:
    first, second = launch(*SERVE)
    asked = body("Count from 1 to 40.", max_tokens=400, stream=True)
    with served(first, tmp_path) as client, client.stream("POST", "/v1/chat/completions", json=asked) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("data:")
        second.kill()
        told = [line for line in lines if "error" in line]
    assert told
    _, err = ended(first, code=5)
    assert "The engine has died: " in err
    assert "Launch all ranks again." in err
