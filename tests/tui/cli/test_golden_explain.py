"""`assay golden explain` as a person meets it: two answers of a run held against each other, and scored."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from core.golden import draw
from core.settings import Settings
from tests import ROOT
from tests.tui.cli.processes import ASSAY
from tui.cli.golden_explained import chance, strip

FULL, COPY = "pocket/gemma3", "tiny/gemma3-4bit"
QUESTION = "Describe this image in one sentence. What shape do you see and what color is it?"
SIDECAR = 'images = "square.png"\nexpect = "red"\ntemperature = 1.0\nrepeats = 6\ncontrols.blind = true\n'


@pytest.fixture(scope="module")
def place(quantised_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a data folder in which a suite has been run on pocket/gemma3 and its copy in 4 bits."""
    folder = tmp_path_factory.mktemp("explained")
    (models,) = quantised_settings.model_folders
    (folder / "settings.toml").write_text(f"model_folders = [{json.dumps(str(models))}]\n")
    suite = folder / "suite"
    suite.mkdir()
    (suite / "shape.txt").write_text(QUESTION)
    (suite / "shape.toml").write_text(SIDECAR)
    (suite / "hello.txt").write_text("Hello!")
    draw.red_square().save(suite / "square.png")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")} | {
        "ASSAY_DATA_DIR": str(folder / "data"),
        "ASSAY_CONFIG": str(folder / "settings.toml"),
        "ASSAY_HF_CACHE": str(folder / "cache"),
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
    done = assay(environment, "run", str(suite), "--quick", COPY, "--full", FULL, "--no-controls")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return environment


def assay(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*ASSAY, "golden", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_a_copy_in_4_bits_is_explained_beside_its_original(place: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "explained.json"
    done = assay(place, "explain", "shape", "last:full", "last:quick", "--model", "pocket/qwen2-vl", "--json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "They part at token 7, after 'The image shows a red'." in done.stdout
    assert f"Noise floor of {COPY}: " in done.stdout
    assert "beyond the noise floor" in done.stdout
    assert f"Where {COPY} parts from {FULL} (KL by token):" in done.stdout
    assert "  The image shows a red " in done.stdout
    told = json.loads(out.read_text())
    fork = told["first_divergence"]
    assert (fork["kind"], fork["pos"], fork["within_noise_floor"]) == ("parted", 6, False)
    assert [told[side]["model"] for side in ("left", "right")] == [FULL, COPY]
    assert told["left"]["tokens_told"]
    own, copy, other = told["likelihood"]["models"]
    assert copy["kl"]["max"] > 0.01
    assert own["kl"] is other["kl"] is None
    assert other["bits_per_byte"] > own["bits_per_byte"]


def test_two_draws_of_one_model_are_found_without_naming_runs(place: dict[str, str]) -> None:
    done = assay(place, "explain", "shape", "--json", "-")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["left"]["model"] == told["right"]["model"]
    assert told["first_divergence"]["left"]["margin_nats"] == -told["first_divergence"]["right"]["margin_nats"]
    assert "They part at token" in done.stderr


def test_the_accepted_answer_is_scored_in_place_of_the_runs(place: dict[str, str]) -> None:
    unkept = assay(place, "explain", "shape", "accepted", "last:full")
    assert unkept.returncode == 2
    assert "keeps no accepted text of pocket/gemma3 for shape" in unkept.stderr
    assert assay(place, "accept", "--case", "hello", "--tier", "full").returncode == 0
    done = assay(place, "explain", "hello", "accepted", "last:full", "--model", COPY)
    assert done.returncode == 0, done.stderr
    assert f"Where {COPY} parts from {FULL} (KL by token):" in done.stdout


def test_answers_that_are_the_same_are_told_so(place: dict[str, str]) -> None:
    done = assay(place, "explain", "hello")
    assert done.returncode == 0, done.stderr
    assert "The answers are the same, token for token." in done.stdout


def test_a_text_in_a_file_is_scored(place: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("The image shows a blue circle.\n")
    done = assay(place, "explain", "shape", "last:full", "last:full", "--answer", str(file))
    assert done.returncode == 0, done.stderr
    assert "How likely is 'The image shows a blue circle.'?" in done.stdout
    assert "' ' for ' a', token 4" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("shapes",), 'No case matches shapes (did you mean "shape"?)'),
        (("*",), "* means 2 cases: name one of hello, shape."),
        (("shape", "last:ful"), 'was answered by ful (did you mean "full"?)'),
        (("shape", "yesterday"), "There is no run yesterday"),
        (("shape", "--model", "nobody/here"), "nobody/here"),
        (("shape", "--answer", "nowhere.txt"), "nowhere.txt cannot be read: No such file or directory."),
        (("shape", "--json", "nowhere/out.json"), "nowhere/out.json cannot be written"),
    ],
)
def test_what_cannot_be_explained_is_told_in_a_sentence(
    place: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    done = assay(place, "explain", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_case_that_is_asked_otherwise_now_is_refused(place: dict[str, str], tmp_path: Path) -> None:
    for name, text in {"shape.txt": "What is this?", "hello.txt": "Hello!"}.items():
        (tmp_path / name).write_text(text)
    done = assay(place, "explain", "shape", "--suite", str(tmp_path))
    assert done.returncode == 2
    assert "shape is asked otherwise now than when" in done.stderr


def test_a_strip_stands_under_its_text() -> None:
    pieces = [("A ", 0.0), ("red", 0.05), ("\n", 0.0), ("日本", 2.0)]
    assert list(strip(pieces, 20)) == ["A red", "  ▄▄▄", "日本", "▇▇▇▇"]
    assert list(strip([("abc", 0.5), ("de", 0.0)], 4)) == ["abcd", "▆▆▆", "e"]
    assert [chance(logprob) for logprob in (0.0, -1.0, -9.0)] == ["100 %", "36.8 %", "1e-04"]
