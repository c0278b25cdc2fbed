"""`assay models search`, `download`, `show`, `delete` against the Hub of the tests; where it matters, as processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from huggingface_hub import constants, scan_cache_dir
from typer.testing import CliRunner

from core.catalog import Catalog
from core.hub.fetch import CHUNK
from core.hub.records import read_records
from core.settings import Settings
from tests.hub import Fault, File, Hub, Repository, pocket_repository
from tests.hub.server import TOKEN
from tests.tui.cli.processes import ASSAY
from tui.cli.commands import app

Command = Callable[..., Result]
MODEL = "mlx-community/qwen3"
WEIGHTS = f"{MODEL}/model.safetensors"
SLOW = Fault(pace=(1 << 15, 0.01))
LOST = 1 << 17
"""What a kill may cost here, where no more is on its way at a time: far less than a chunk, or beginning anew."""


@pytest.fixture
def environment(hub: Hub, hub_settings: Settings, tmp_path: Path) -> dict[str, str]:
    own = {
        "ASSAY_CONFIG": str(tmp_path / "none.toml"),
        "ASSAY_DATA_DIR": str(hub_settings.data_dir),
        "ASSAY_CACHE_DIR": str(hub_settings.cache_dir),
        "ASSAY_HF_CACHE": str(hub_settings.hf_cache),
        "ASSAY_MEMORY_BUDGET_GB": "8",
        "COLUMNS": "120",
    }
    return {**os.environ, **own}


def assay(environment: dict[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    run = [*ASSAY, "models", *arguments]
    return subprocess.run(run, env=environment | more, input="", capture_output=True, text=True, timeout=60)


@pytest.fixture
def command(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """`assay models` in this process, which is as true and much quicker where it is about words and codes."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments], env=environment | more)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def begin(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*ASSAY, "models", *arguments], env=environment, stdout=pipe, stderr=pipe, text=True)


def loads(folder: Path) -> bool:
    """Whether mlx_lm opens a folder, in a process of its own."""
    program = "import sys, mlx_lm; model, tokenizer = mlx_lm.load(sys.argv[1]); print(len(tokenizer.encode('hello')))"
    run = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=120)
    return run.returncode == 0 and int(run.stdout) > 0


def ready(settings: Settings) -> bool:
    return any(info.id == MODEL and info.problem is None for info in Catalog(settings).list(all=True))


def test_kills_cost_no_more_than_a_chunk_each(hub: Hub, hub_settings: Settings, environment: dict[str, str]) -> None:
    size = sum(hub.repositories[MODEL].commits[0][name].size for name in ("model.safetensors", "tokenizer.json"))
    dice, kills = random.Random(), 10
    moments = sorted(dice.randrange(size) for _ in range(kills))
    hub.faults["model.safetensors"] = hub.faults["tokenizer.json"] = SLOW
    for moment in moments:
        process = begin(environment, "download", MODEL)
        hub.wait_for(MODEL, moment)
        process.kill()
        process.communicate()
        assert not ready(hub_settings)
        assert len(read_records(hub_settings)) <= 1
    hub.faults.clear()
    run = assay(environment, "download", MODEL)
    assert run.returncode == 0, run.stderr
    files = {name: file for name, file in hub.repositories[MODEL].commits[0].items() if f"{MODEL}/{name}" in hub.served}
    whole = sum(file.size for file in files.values())
    assert whole <= hub.bytes_of(MODEL) <= whole + kills * LOST, f"killed at {moments}"
    assert ready(hub_settings)
    assert all((Path(run.stdout.strip()) / name).read_bytes() == file.content for name, file in files.items())
    assert loads(Path(run.stdout.strip()))


def test_ctrl_c_pauses_and_says_how_to_go_on(hub: Hub, hub_settings: Settings, environment: dict[str, str]) -> None:
    hub.faults["model.safetensors"] = SLOW
    process = begin(environment, "download", MODEL)
    hub.wait_for(MODEL, 500_000)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"Go on with: assay models download {MODEL}" in said
    assert "Traceback" not in said
    told = assay(environment, "show", MODEL, "--here").stdout
    assert f"assay models download {MODEL}" in told
    assert "{}" not in told
    hub.faults.clear()
    done = json.loads(assay(environment, "download", MODEL, "--json").stdout)
    assert [(one["state"], one["done_bytes"]) for one in done] == [("done", done[0]["total_bytes"])]
    assert hub.served[WEIGHTS] <= hub.repositories[MODEL].commits[0]["model.safetensors"].size + CHUNK


def test_two_programs_do_not_fetch_the_same(hub: Hub, environment: dict[str, str]) -> None:
    hub.faults["model.safetensors"] = Fault(pace=(1 << 12, 0.05))  # half a minute, in which two programs start
    first = begin(environment, "download", MODEL)
    hub.wait_for(MODEL, 30_000)
    second = assay(environment, "download", MODEL)
    assert second.returncode == 2
    assert "another program" in second.stderr
    assert "under way, " in assay(environment, "show", MODEL, "--here").stdout
    refused = assay(environment, "delete", MODEL, "--yes")
    assert "being downloaded" in refused.stderr
    hub.faults.clear()
    assert first.communicate(timeout=30)
    assert first.returncode == 0
    assert hub.served[WEIGHTS] == hub.repositories[MODEL].commits[0]["model.safetensors"].size


def test_downloads_end_with_the_codes_of_their_failures(
    hub: Hub, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(pocket_repository("gemma3", gated="manual"))
    for model, code, told in (
        ("mlx-community/nothing", 2, "no model mlx-community/nothing"),
        ("../../etc", 2, "no name of a model"),
        ("mlx-community/gemma3", 2, "hf auth login"),
    ):
        run = command("download", model)
        assert (run.exit_code, run.stdout) == (code, "")
        assert told in run.stderr
        assert json.loads(command("show", "--json").stdout)["models"] == [], "nothing is left behind"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    away = command("download", MODEL)
    assert away.exit_code == 4
    assert "cannot be reached" in away.stderr


def test_offline_is_what_the_environment_says(hub: Hub, environment: dict[str, str]) -> None:
    run = assay(environment, "download", MODEL, HF_HUB_OFFLINE="1")
    assert run.returncode == 4
    assert "HF_HUB_OFFLINE" in run.stderr
    assert hub.asked == []


def test_a_proxy_is_used(hub: Hub, environment: dict[str, str]) -> None:
    quiet = {"NO_PROXY": "", "no_proxy": "", "HTTP_PROXY": hub.url, "http_proxy": hub.url}
    run = assay(environment, "download", MODEL, HF_ENDPOINT="http://hub.example", **quiet)
    assert any(asked.host == "hub.example" for asked in hub.asked), run.stderr


def test_nothing_but_the_program_and_its_libraries_is_told(hub: Hub, environment: dict[str, str]) -> None:
    assay(environment, "download", MODEL, HF_HUB_DISABLE_TELEMETRY="0")
    agents = {asked.headers["user-agent"] for asked in hub.asked}
    assert len(agents) == 1
    assert {part.partition("/")[0].strip() for part in agents.pop().split(";")} == {"mlx-assay", "hf_hub", "python"}
    assert {asked.path.split("/")[1] for asked in hub.asked} == {"api", "mlx-community", "cdn"}


def test_search_says_what_models_are_and_whether_they_fit(hub: Hub, command: Command) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository("someone/qwen3-copy\x1b[2J", [files]), Repository("someone/qwen3-copy", [files], downloads=5))
    found = json.loads(command("search", "qwen3", "--json").stdout)
    assert [one["id"] for one in found] == [MODEL, "someone/qwen3-copy"]
    assert (found[0]["kind"], found[0]["fit"], found[0]["on_disk"], found[0]["licence"]) == (
        "text",
        "fits",
        "no",
        "mit",
    )
    assert found[0]["memory_bytes"] > found[0]["size_bytes"] / 2
    small = json.loads(command("search", "qwen3", "--json", ASSAY_MEMORY_BUDGET_GB="0.001").stdout)
    assert {one["fit"] for one in small} == {"no"}
    lines = command("search", "qwen3").stdout.splitlines()
    assert lines[0].split()[:3] == ["model", "kind", "family"]
    assert len(lines) == 3
    nothing = command("search", "qwen3", "--kind", "audio")
    assert nothing.exit_code == 0
    assert "nothing like" in nothing.stderr
    assert command("search", "x", "--kind", "smell").exit_code == 2


def test_show_and_delete(hub: Hub, hub_settings: Settings, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads(command("show", MODEL, "--json").stdout)
    assert "here" not in before
    assert before["hub"]["on_disk"] == "no"
    command("download", MODEL)
    after = json.loads(command("show", MODEL, "--json").stdout)
    assert after["here"]["parameters"] == before["hub"]["parameters"]
    assert [one["refs"] for one in after["revisions"]] == [["main"]]
    text = command("show", MODEL).stdout
    assert "revision" in text
    assert "licence" in text
    assert "only there" in text
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        offline = command("show", MODEL)
    assert offline.exit_code == 0
    assert "HF_HUB_OFFLINE" in offline.stderr
    assert command("show", MODEL, "--card").stdout.startswith("# qwen3")
    assert "1 model takes" in command("show").stdout
    assert "built in" in command("delete", "pocket/qwen3", "--yes").stderr
    asked = command("delete", MODEL)
    assert asked.exit_code == 2
    assert "--yes" in asked.stderr
    gone = command("delete", MODEL, "--yes", "--json")
    assert json.loads(gone.stdout)["freed_bytes"] == after["disk"]["size_bytes"]
    assert hub_settings.hf_cache is not None
    assert not scan_cache_dir(hub_settings.hf_cache).repos
    assert command("delete", MODEL, "--yes").exit_code == 2


def test_an_older_revision_says_that_its_name_means_the_newer_one(
    hub: Hub, hub_settings: Settings, command: Command
) -> None:
    repository = hub.repositories[MODEL]
    repository.commits.append(repository.commits[0] | {"new.json": File(b"{}")})
    old = command("download", MODEL, "--revision", repository.sha(0))
    assert f"Try it: assay chat --model {MODEL}" in old.stderr, "there is no other one"
    command("download", MODEL)
    run = command("download", MODEL, "--revision", repository.sha(0))
    assert run.stdout.strip() == str(Catalog(hub_settings).get(MODEL).path.with_name(repository.sha(0)))
    assert "Try it" not in run.stderr
    assert f"--model {MODEL} is revision {repository.sha(1)[:8]}" in run.stderr


def test_a_deleted_revision_is_named(hub: Hub, hub_settings: Settings, command: Command) -> None:
    command("download", MODEL)
    older = hub.repositories[MODEL].sha()
    hub.repositories[MODEL].commits.append({**hub.repositories[MODEL].commits[0], "config.json": File(b"{}")})
    command("download", MODEL)
    gone = command("delete", MODEL, "--revision", older, "--yes")
    assert f"Of {MODEL}, revision {older[:8]} is deleted; " in gone.stderr
    assert "0.0 MB" not in gone.stderr
    assert "KB" in gone.stderr or " B " in gone.stderr


def test_a_gate_that_is_open_is_no_problem(hub: Hub, command: Command) -> None:
    hub.add(pocket_repository("gemma3", gated="auto"))
    assert "licence has to be accepted" in command("search", "gemma3").stdout
    assert "licence" not in command("search", "gemma3", HF_TOKEN=TOKEN).stdout


def test_what_is_wrong_on_the_hub_is_not_to_be_downloaded_again(hub: Hub, command: Command) -> None:
    hub.repositories[MODEL].commits[0]["config.json"] = File(b"{")
    told = command("search", "qwen3").stdout
    assert "tell its maker" in told
    assert "download the model again" not in told


def test_a_name_without_an_organisation_is_none(hub: Hub, command: Command) -> None:
    assert "it is ORGANISATION/MODEL" in command("show", "gated").stderr


def test_a_search_that_finds_nothing_says_what_finds_more(hub: Hub, command: Command) -> None:
    files = {"model.gguf": File(bytes(2_000_000))}
    hub.add(Repository("mlx-community/llama-gguf", [files]))
    assert "Fewer words or filters find more" in command("search", "qwen3", "--kind", "audio").stderr
    nowhere = command("search", "nowhere").stderr
    assert "Fewer or other words" in nowhere
    assert "filter" not in nowhere
    assert "--all shows" in command("search", "llama-gguf").stderr


def test_offline_a_model_that_is_here_is_its_folder(
    hub: Hub, hub_settings: Settings, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = command("download", MODEL).stdout
    (blobs,) = {path.parent for path in Path(hub_settings.hf_cache or "").rglob("blobs/*")}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.asked)
    again = command("download", MODEL)
    assert (again.exit_code, again.stdout) == (0, there)
    assert command("download", MODEL, "--revision", hub.repositories[MODEL].sha()).stdout == there
    assert len(hub.asked) == asked
    (blobs / f"{'a' * 40}.incomplete").touch()
    assert command("download", MODEL).exit_code == 4


def test_a_model_that_came_and_cannot_be_loaded_is_not_offered_for_a_chat(hub: Hub, command: Command) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository("me/broken", [files | {"config.json": File(b'{"model_type": "nobodys"}')}]))
    run = command("download", "me/broken")
    assert run.exit_code == 0
    assert "But it cannot be loaded: unsupported" in " ".join(run.output.split())
    assert "assay chat" not in run.output


def test_a_size_that_is_not_known_is_no_size(hub: Hub, command: Command) -> None:
    hub.faults[f"{MODEL}/revision/{hub.repositories[MODEL].sha()}"] = Fault(401)
    assert "0B" not in command("search", "qwen3", "--all").stdout
