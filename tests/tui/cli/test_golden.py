"""`assay golden` as a person and a CI job meet it: output, exit codes, files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from core.golden.results import RunFolder
from tests import ROOT
from tests.conftest import Api


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from tui.cli.golden import app; app(prog_name='assay golden')", *arguments]


def process(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with its own engine."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False
    )


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


# -- with real models ------------------------------------------------------------------------------------------------


def test_the_built_in_suite_holds_over_all_routes_on_a_bare_machine(clean_env: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = process(clean_env, "run", "--json", str(out), "--route", "all", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    whole = json.loads(out.read_text())
    assert len(whole["attempts"]) == 192
    assert {attempt["status"] for attempt in whole["attempts"]} == {"ok"}
    assert whole["parity"] == []
    assert whole["run"]["outcome"]["tiers"]["full"] == {"pass": 56}
    assert whole["run"]["outcome"]["controls"] == {"pass": 80}
    assert not any(attempt["claimed"] for attempt in whole["attempts"])
    usage: defaultdict[tuple[Any, ...], set[tuple[int, int]]] = defaultdict(set)
    for one in whole["attempts"]:
        counted = (one["usage"]["prompt"], one["usage"]["completion"])
        usage[one["case"], one["tier"], one["repeat"], one["control"]].add(counted)
    assert {len(counted) for counted in usage.values()} == {1}
    assert {(one["tier"], one["model"]["id"]) for one in whole["attempts"]} == {
        ("quick", "pocket/qwen2-vl"),
        ("quick", "pocket/qwen3"),
        ("full", "pocket/gemma3"),
        ("full", "pocket/qwen3"),
    }
    assert "pocket/qwen3 stands for both tiers" in done.stdout
    agree = "in-process, openai, responses, anthropic agree in all 54 comparisons and with what the engine witnessed."
    assert agree in done.stdout
    assert "prompts/sampled_story (quick): 4 of 4 held (51% to 100%)." in done.stdout
    assert "vision/describe_image#red" in done.stdout
    assert "TTFT" in done.stdout
    assert "quick 11/11 · full 11/11 (7 of them the same answers) · controls 80/80" in done.stdout
    (kept,) = (tmp_path / "data" / "runs").iterdir()
    assert len((kept / "attempts.jsonl").read_text().splitlines()) == 192
    assert json.loads((kept / "run.json").read_text())["outcome"]["exit_code"] == 0


INTERRUPTED_AFTER_THREE = """
import signal, tui.cli.golden_table
from tui.cli.golden import app

def line(attempt, done, total, told=tui.cli.golden_table.progress_line):
    if done == 3:
        signal.raise_signal(signal.SIGINT)
    return told(attempt, done, total)

tui.cli.golden_table.progress_line = line
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell has put in the background
app(prog_name="assay golden")
"""
"""The command line with a ctrl+c at its third attempt: from another process it could come after the last."""


def test_ctrl_c_ends_cleanly_with_what_was_done_and_the_run_can_be_taken_up(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    arguments = ("run", "--case", "simple_greeting", "--repeats", "5", "--in-flight", "1", "--json", str(out))
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AFTER_THREE, *arguments],
        cwd=ROOT,
        env=clean_env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert stopped.returncode == 130, stopped.stdout + stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "The run was stopped; this is what was done." in stopped.stdout
    before = json.loads(out.read_text())["attempts"]
    assert len(before) == 4  # an answer that counts on both tiers is kept for both

    resumed = process(clean_env, "run", "--resume", "last", "--json", str(out))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    after = json.loads(out.read_text())["attempts"]
    assert len(after) == 10
    assert [one for one in after if one["id"] in {one["id"] for one in before}] == before


# -- against a running server ----------------------------------------------------------------------------------------


def test_a_running_server_is_asked_without_loading_anything_here(golden: Any, api: Api) -> None:
    result = golden(
        "run", "--case", "prompts/*", "--route", "openai", "--url", api.url, "--key", api.key, "--json", "-"
    )
    assert result.exit_code == 0, result.stderr
    whole = json.loads(result.stdout)
    assert [attempt["verdict"] for attempt in whole["attempts"]] == ["pass"] * 24
    assert not any(attempt["claimed"] for attempt in whole["attempts"])
    usage: defaultdict[tuple[Any, ...], set[tuple[int, int]]] = defaultdict(set)
    for one in whole["attempts"]:
        counted = (one["usage"]["prompt"], one["usage"]["completion"])
        usage[one["case"], one["tier"], one["repeat"], one["control"]].add(counted)
    assert {len(counted) for counted in usage.values()} == {1}
    assert all(attempt["model"]["fingerprint"] for attempt in whole["attempts"])
    assert whole["run"]["memory_budget"] is None
    assert "quick 7/7 · full 7/7" in result.stderr


def test_kept_answers_are_judged_anew_without_a_model(golden: Any, api: Api, tmp_path: Path) -> None:
    tiers = '[tiers]\nquick = "pocket/qwen3"\nfull = "pocket/qwen3"\n'
    suite = write(
        tmp_path / "s", golden__toml=tiers, p__txt="What is the capital of France?", p__toml='expect = "paris"'
    )
    assert golden("run", suite, "--route", "openai", "--url", api.url, "--key", api.key).exit_code == 0
    same = golden("check")
    assert same.exit_code == 0
    assert "2 of 2 answers of" in same.stdout
    assert "0 verdicts flip." in same.stdout
    write(suite, p__toml='expect = { all = ["paris", "seine"] }')
    other = golden("check", "last")
    assert other.exit_code == 1
    assert 'p quick openai repeat 0: pass → fail: no word "seine"' in other.stdout
    assert "2 verdicts flip." in other.stdout
    write(suite, p__txt="What is the capital of Italy?")
    stale = golden("check")
    assert stale.exit_code == 4
    assert (
        "0 attempts of the run have not ended, and 2 answers are to what the suite does not ask now (p)" in stale.stdout
    )


def kept_folder(clean_env: dict[str, str]) -> Path:
    (folder,) = (Path(clean_env["ASSAY_DATA_DIR"]) / "runs").iterdir()
    return folder


def test_a_check_misses_what_the_run_did_not_answer(golden: Any, api: Api, clean_env: dict[str, str]) -> None:
    assert (
        golden("run", "--case", "secret_word", "--route", "openai", "--url", api.url, "--key", api.key).exit_code == 0
    )
    file = kept_folder(clean_env) / "attempts.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    half = golden("check")
    assert half.exit_code == 4
    assert "1 attempts of the run have not ended" in half.stdout
    file.write_text("".join(lines))
    whole = golden("check")
    assert whole.exit_code == 0
    assert "note: 10 cases of the suite were not asked: the run is a part of it." in whole.stdout


def test_a_check_knows_what_the_run_left_out_and_by_what_it_weighed(golden: Any, api: Api, tmp_path: Path) -> None:
    tiers = '[tiers]\nquick = "pocket/qwen3"\nfull = "pocket/qwen3"\n'
    suite = write(
        tmp_path / "s", golden__toml=tiers, p__txt="What is the capital of France?", p__toml='expect = "paris"'
    )
    asked = ("run", suite, "--route", "openai", "--url", api.url, "--key", api.key)
    assert golden(*asked, "--metric", "pass^x").exit_code == 2
    assert golden(*asked, "--repeats", "2", "--metric", "pass^2").exit_code == 0
    assert (
        json.loads((tmp_path / "data" / "runs").glob("*/run.json").__next__().read_text())["asked"]["metric"]
        == "pass^2"
    )
    assert golden("check").exit_code == 0
    secret = ("run", "--case", "secret_word", "--route", "openai", "--url", api.url, "--key", api.key, "--no-controls")
    assert golden(*secret).exit_code == 0
    checked = golden("check", "--strict")
    assert checked.exit_code == 1
    assert "The controls of 1 case were not run" in checked.stdout


def test_isolated_times_need_an_engine_of_their_own(golden: Any, api: Api) -> None:
    refused = golden("run", "--isolated-times", "--route", "openai", "--url", api.url, "--key", api.key)
    assert refused.exit_code == 2
    assert "leave out --url" in refused.stderr


def test_a_fault_of_the_program_is_no_failed_golden(golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.cli.golden_kept.check_run", lambda *arguments, **more: 1 / 0)
    broken = golden("check")
    assert broken.exit_code == 4
    assert "This is a fault of assay: ZeroDivisionError" in broken.stderr


def test_a_reader_that_leaves_is_no_fault_and_no_failed_golden(clean_env: dict[str, str]) -> None:
    with subprocess.Popen(
        command("list"), cwd=ROOT, env=clean_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        told = listing.stderr.read()
        assert (listing.wait(timeout=60), told) == (4, "")


def test_what_was_left_out_is_said_and_strict_forbids_it(golden: Any, api: Api) -> None:
    asked = ("run", "--case", "secret_word", "--route", "openai", "--url", api.url, "--key", api.key, "--no-controls")
    loose = golden(*asked)
    assert loose.exit_code == 0
    assert "The controls of 1 case were not run (--no-controls): a pass may be luck." in loose.stdout
    assert golden(*asked, "--strict").exit_code == 1


def test_a_run_that_is_being_written_is_not_taken_up(golden: Any, api: Api, clean_env: dict[str, str]) -> None:
    assert (
        golden("run", "--case", "secret_word", "--route", "openai", "--url", api.url, "--key", api.key).exit_code == 0
    )
    kept = RunFolder.open(Path(clean_env["ASSAY_DATA_DIR"]) / "runs", "last")
    kept.take()
    busy = golden("run", "--resume", "last")
    kept.close()
    assert busy.exit_code == 2
    assert "is being written by another process" in busy.stderr


def test_a_wrong_key_is_a_sentence(golden: Any, api: Api) -> None:
    result = golden("run", "--route", "openai", "--url", api.url, "--key", "wrong")
    assert result.exit_code == 4
    assert "answered 401" in result.stderr


class TwoMinds(BaseHTTPRequestHandler):
    """Says red in one protocol and blue in the other."""

    def do_GET(self) -> None:
        self._send('{"data": [{"id": "m"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("completions"):
            chunk = {"choices": [{"delta": {"content": "It is red [/] [bold]or blue."}, "finish_reason": "stop"}]}
            self._send(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")
            return
        events = [
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Blue or red."}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        ]
        self._send("".join(f"data: {json.dumps(event)}\n\n" for event in events))

    def _send(self, body: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def two_minds() -> Iterator[str]:
    """The address of a server whose protocols disagree."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), TwoMinds)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


SUITE = {"golden__toml": '[tiers]\nquick = "m"\nfull = "m"\n', "p__txt": "What colour?", "p__toml": 'expect = "red"\n'}


def test_routes_that_only_disagree_have_their_own_exit_code(golden: Any, two_minds: str, tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", **SUITE)
    result = golden("run", suite, "--route", "openai", "--route", "anthropic", "--url", two_minds)
    assert result.exit_code == 3, result.stdout
    assert "p (quick): openai and anthropic differ in answer at 0: 'It is red" in result.stdout
    assert "The routes differ in 1 of 1 comparison." in result.stdout
    assert "note: 2 answers came without a witness: what the model was asked is only claimed." in result.stdout


def test_a_golden_that_fails_says_why(golden: Any, two_minds: str, tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", **{**SUITE, "p__toml": 'expect = { all = ["red", "green"] }\n'})
    result = golden("run", suite, "--route", "openai", "--url", two_minds)
    assert result.exit_code == 1
    assert "✗ fail" in result.stdout
    assert 'no word "green"' in result.stdout
    assert "It is red [/] [bold]or blue." in result.stdout
    assert "Nothing passed on the full tier, of 1 answers." in result.stdout


def test_a_model_that_is_not_there_is_skipped_and_strict_forbids_it(
    golden: Any, two_minds: str, tmp_path: Path
) -> None:
    suite = write(tmp_path / "suite", **{**SUITE, "golden__toml": '[tiers]\nquick = "m"\nfull = "elsewhere"\n'})
    result = golden("run", suite, "--route", "openai", "--url", two_minds)
    assert result.exit_code == 4
    assert "No model answered on the full tier: every attempt was skipped." in result.stdout
    assert "» skip" in result.stdout
    assert "the server has none of elsewhere" in result.stdout
    assert golden("run", suite, "--route", "openai", "--url", two_minds, "--strict").exit_code == 1


def test_a_server_that_is_not_there_is_infrastructure(golden: Any) -> None:
    result = golden("run", "--route", "openai", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 4
    assert "http://127.0.0.1:9/v1/models cannot be reached" in result.stderr


# -- suites and command lines that are wrong -------------------------------------------------------------------------


def test_a_faulty_suite_is_not_run(golden: Any, tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", p__txt="?", p__toml='system = "x"\nexpct = "a"\n')
    for name in ("run", "lint"):
        result = golden(name, suite)
        assert result.exit_code == 2
        assert 'p.toml:2: There is no key "expct" here (did you mean "expect"?).' in result.stderr + result.stdout
    assert "The suite cannot be run: 1 error." in golden("run", suite).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "/nowhere"), "The suite /nowhere does not exist: a suite is a folder of .txt prompts.\n"),
        (("run", "--suite", "/nowhere"), "The suite /nowhere does not exist: a suite is a folder of .txt prompts.\n"),
        (("list", "--suite", "/nowhere"), "The suite /nowhere does not exist"),
        (("run", "one", "--suite", "two"), "Two suites are named, one and two: name one."),
        (("run", "--resume", "last", "--suite", "x"), "leave out suite."),
        (("run", "--case", "ocr_txt"), "No case matches ocr_txt"),
        (("run", "--quick", "pocket/qwn3"), "pocket/qwn3"),
        (("run", "--route", "carrier-pigeon"), "carrier-pigeon"),
        (("run", "--json", "/nowhere/at/all.json"), "the folder /nowhere/at does not exist"),
        (("run", "--resume", "last"), "There is none yet."),
        (("run", "--resume", "last", "--repeats", "3"), "leave out repeats"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(golden: Any, arguments: tuple[str, ...], says: str) -> None:
    result = golden(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_lint_prints_warnings_and_counts(golden: Any, tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", p__txt="Is it red?", p__toml='expect = "red"\n')
    result = golden("lint", suite)
    assert result.exit_code == 0
    assert "warning: " in result.stdout
    assert "an echo of the prompt would pass" in result.stdout
    assert result.stdout.endswith("1 cases, 0 errors, 1 warnings.\n")
    assert golden("lint").stdout == "11 cases, 0 errors, 0 warnings.\n"


def test_list_shows_cases_expectations_and_models(golden: Any) -> None:
    result = golden("list")
    assert result.exit_code == 0
    for part in ("vision/ocr_text", "text_sample.png", "hello or mlx", "quick  pocket/qwen3", "pocket/gemma3 (images)"):
        assert part in result.stdout


# -- what is imported -------------------------------------------------------------------------------------------------


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    heavy = ("mlx", "pydantic", "fastapi", "textual", "httpx", "jsonschema", "PIL", "core.golden.suite")
    program = f"import sys, tui.cli.golden; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lint_and_list_load_no_inference_library(clean_env: dict[str, str]) -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom tui.cli.golden import app\n"
        "for name in ('lint', 'list'):\n    assert CliRunner().invoke(app, [name]).exit_code == 0\n"
        "print([name for name in ('mlx', 'mlx_lm', 'mlx_vlm', 'transformers', 'fastapi') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
