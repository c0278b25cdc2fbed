"""`assay bench`, and its figures in `assay models show` and `delete`, as processes over the pocket models."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from core.bench.plan import Skipped, Trial
from core.bench.run import ModelResult, Run, TrialResult
from core.calls.events import Finished, FinishReason, Timing, Usage
from core.figures.store import Figures, read_figures
from tests import ROOT
from tests.core.figures.records import kept
from tests.hub import Hub
from tests.tui.cli.processes import ASSAY, on_a_terminal
from tui.cli.bench_table import print_results
from tui.cli.commands import app

QUICK = ("--prompts", "32,8k", "--rows", "1,2", "--tokens", "16", "--repeats", "1")


def folders(place: Path) -> dict[str, str]:
    """An environment of its own, in which nothing was measured."""
    return {
        "ASSAY_CONFIG": str(place / "none.toml"),
        "ASSAY_DATA_DIR": str(place / "data"),
        "ASSAY_HF_CACHE": str(place / "cache"),
        "ASSAY_MEMORY_BUDGET_GB": "8",
        "COLUMNS": "120",
    }


def assay(environment: dict[str, str], *arguments: str) -> Result:
    """A command in this process, which has imported the libraries already."""
    return CliRunner().invoke(app, arguments, env=environment)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return folders(tmp_path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Result]:
    """A benchmark that was made, with --json, and the environment in which its figures are."""
    environment = folders(tmp_path_factory.mktemp("measured"))
    return environment, assay(environment, "bench", "pocket/qwen3", *QUICK, "--json")


def test_json_holds_every_run_and_what_was_left_out(measured: tuple[dict[str, str], Result]) -> None:
    _, run = measured
    assert run.exit_code == 0, run.stderr
    told = json.loads(run.stdout)
    (model,) = told["models"]
    assert told["machine"]
    assert told["versions"]["mlx"]
    assert [(one["prompt"], one["rows"]) for one in model["tests"]] == [(32, 1), (32, 2)]
    for one in model["tests"]:
        assert one["decode_tokens_per_s"]["median"] > 0
        assert one["ttft_s"]["count"] == one["rows"]
        assert [len(made["ttft_s"]) for made in one["runs"]] == [one["rows"]]
    assert {(one["prompt"], one["rows"]) for one in model["left_out"]} == {(8192, 1), (8192, 2)}
    assert "more than its context of 4,096 tokens" in model["left_out"][0]["why"]
    assert "pocket/qwen3: 32 tokens, 2 rows, run 1 of 1" in run.stderr


def test_its_figures_are_kept_and_shown(measured: tuple[dict[str, str], Result]) -> None:
    environment, run = measured
    file = Path(environment["ASSAY_DATA_DIR"]) / "figures.sqlite3"
    assert {one.figure.source for one in read_figures(file)} == {"bench"}
    shown = assay(environment, "models", "show", "pocket/qwen3", "--here").stdout
    assert "4 uses, all by assay bench" in shown
    assert "tokens/s after short prompts" in shown
    about = json.loads(assay(environment, "models", "show", "pocket/qwen3", "--here", "--json").stdout)
    assert about["figures"]["machine"] == json.loads(run.stdout)["machine"]
    assert about["figures"]["count"] == about["figures"]["of_benchmarks"] == 4
    assert about["expected"] is None


def test_a_model_on_the_hub_shows_what_is_expected_of_it(hub: Hub, measured: tuple[dict[str, str], Result]) -> None:
    environment, _ = measured
    shown = assay(environment, "models", "show", "mlx-community/qwen3").stdout
    line = next(line for line in shown.splitlines() if line.startswith("expected"))
    assert "writes about" in line
    assert "what was measured here of pocket/qwen3" in shown
    told = json.loads(assay(environment, "models", "show", "mlx-community/qwen3", "--json").stdout)
    assert told["figures"] is None
    assert told["expected"]["decode_tokens_per_s"]["models"] == ["pocket/qwen3"]


def test_a_terminal_gets_a_table_and_bars(environment: dict[str, str]) -> None:
    narrow = {**os.environ, **environment, "COLUMNS": "80"}
    run = on_a_terminal(narrow, "bench", "pocket/qwen3", "--rows", "1", *QUICK[:2], *QUICK[4:])
    assert run.returncode == 0, run.stdout
    for part in ("32 tokens, 1 row", "answer tokens/s", "loaded in", "8k prompt, 1 row: left out", "━━━"):
        assert part in run.stdout


def test_a_pipe_gets_a_line_for_each_test_without_bars(capsys: pytest.CaptureFixture[str]) -> None:
    timing = Timing(ttft_s=0.5, prefill_s=0.4, total_s=2.5, decode_tps=50.0)
    end = Finished(FinishReason.LENGTH, Usage(1000, 101), timing)
    test = TrialResult(Trial(1024, 2), [Run((end, end), 3_000_000_000)], note="they were few.")
    left_out = Skipped(Trial(8192, 1), "It does not fit.")
    print_results([ModelResult("a/b", 2.0, [1.5], "float16", 10**9, [test], [left_out])], "a machine")
    told = capsys.readouterr().out
    assert "a/b · float16 · 1.0 GB in memory · first loaded in 2.00 s · then in 1.50 s" in told
    (line,) = [line for line in told.splitlines() if line.startswith("1k prompt, 2 rows  ")]
    assert [part.strip() for part in line.split("  ") if part] == [
        *("1k prompt, 2 rows", "1", "0.50 s (0.50–0.50)", "4000", "50 (50–50)", "100", "3.0 GB"),
    ]
    assert "1k prompt, 2 rows: they were few." in told
    assert "8k prompt, 1 row: left out. It does not fit." in told
    assert "━" not in told


def test_ctrl_c_shows_what_was_measured(environment: dict[str, str]) -> None:
    arguments = ("--prompts", "32", "--rows", "1", "--tokens", "200", "--repeats", "2", "--json")
    process = subprocess.Popen(
        [*ASSAY, "bench", "pocket/qwen3", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "run 2 of 2" in line:
            process.send_signal(signal.SIGINT)
            break
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopped. What is shown was measured before." in said
    assert "Traceback" not in said
    (model,) = json.loads(out)["models"]
    (one,) = model["tests"]
    assert len(one["runs"]) >= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("no/model",), "no/model"),
        (("pocket/qwen3", "--prompts", "many"), "--prompts takes whole numbers with commas between them"),
        (("pocket/qwen3", "--prompts", "99999999"), "each of at most 7 digits, such as 32,1k,8k, not '99999999'"),
        (("pocket/qwen3", "--rows", "0"), "--rows takes numbers of at least 1"),
        (("pocket/qwen3", "--rows", ""), "--rows takes numbers of at least 1"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(
    environment: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    run = assay(environment, "bench", *arguments)
    assert run.exit_code == 2
    assert sentence in run.stderr


def test_a_model_that_does_not_fit_is_a_sentence(environment: dict[str, str]) -> None:
    run = assay(environment | {"ASSAY_MEMORY_BUDGET_GB": "0.001"}, "bench", "pocket/qwen3", *QUICK)
    assert run.exit_code == 4
    assert "raise memory_budget_gb" in run.stderr


def test_help_has_examples_and_says_what_the_columns_are(environment: dict[str, str]) -> None:
    told = assay(environment, "bench", "--help").stdout
    for part in ("Examples:", "assay bench MODEL --json", "first token", "all rows", "ctrl+c"):
        assert part in told


def test_figures_are_forgotten_when_that_is_asked(environment: dict[str, str]) -> None:
    file = Path(environment["ASSAY_DATA_DIR"]) / "figures.sqlite3"
    with Figures(file) as figures:
        figures.add([kept("gone/model"), kept("gone/model"), kept("pocket/qwen3")])
    assert assay(environment, "models", "delete", "gone/model", "--yes").exit_code == 2
    asked = assay(environment, "models", "delete", "gone/model", "--figures")
    assert "Forget the 2 figures of gone/model? The model stays. Say --yes to do it" in asked.stderr
    run = assay(environment, "models", "delete", "gone/model", "--figures", "--yes")
    assert "2 figures of gone/model are forgotten." in run.stderr
    assert [one.figure.model for one in read_figures(file)] == ["pocket/qwen3"]
    again = assay(environment, "models", "delete", "gone/model", "--figures", "--yes")
    assert (again.exit_code, "no figures of gone/model" in again.stderr) == (2, True)
    mixed = assay(environment, "models", "delete", "pocket/qwen3", "--figures", "--own-folder")
    assert (mixed.exit_code, "leave --revision and --own-folder out" in mixed.stderr) == (2, True)
    told = assay(environment, "models", "delete", "pocket/qwen3", "--figures", "--yes", "--json")
    assert json.loads(told.stdout) == {"id": "pocket/qwen3", "forgotten_figures": 1}
    assert assay(environment, "models", "show", "pocket/qwen3", "--here").exit_code == 0


SHORTENED = {"bench": ("--prompts", "32", "--rows", "1", "--tokens", "16", "--repeats", "1"), "delete": ("--yes",)}
"""What is appended to commands that run for minutes, or that ask."""


MODELS = (["models", "show"], ["models", "delete"])


def test_the_page_has_commands_that_work(environment: dict[str, str]) -> None:
    page = (ROOT / "docs" / "figures.md").read_text()
    commands = [shlex.split(line) for line in page.splitlines() if line.startswith("    assay ")]
    assert len(commands) == 4
    for _, *arguments in sorted(commands, key=lambda words: "delete" in words):
        more = next((more for name, more in SHORTENED.items() if name in arguments), ())
        run = assay(environment, *arguments, *more)
        assert run.exit_code == 0, run.stderr
    told = "".join(assay(environment, *command, "--help").stdout for command in (["bench"], *MODELS))
    assert [option for option in re.findall(r"--[a-z][a-z-]+", page) if option not in told and option != "--help"] == []
