"""`assay golden accept`, `review` and `accepted`: insta's cycle on a suite of a user's own, with real answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from core.golden.results import Verdict
from core.golden.suite import BUILTIN
from tests.core.golden.records import attempt
from tests.pseudo_terminal import PseudoTerminal
from tests.tui.cli.golden_places import Golden, keep_run

REVIEW = "from tui.cli.main import main; import sys; sys.argv = ['assay', 'golden', {}]; main()"
GOLDEN_TOML = """
[defaults]
temperature = 0.0
thinking = false
max_tokens = 32
[tiers]
quick = { vision = "pocket/qwen2-vl", text = "pocket/qwen3" }
full = { vision = "pocket/qwen2-vl", text = "pocket/qwen3" }
"""


def in_terminal(env: dict[str, str], *arguments: str) -> PseudoTerminal:
    return PseudoTerminal(REVIEW.format(", ".join(map(repr, arguments))), {**env, "ASSAY_HALF_CELLS": "1"})


def plain(seen: bytes) -> str:
    """What a person reads: without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode("utf-8", "replace")).replace("\r", "")


def press(terminal: PseudoTerminal, key: bytes, then: str) -> str:
    """A key, once the question for it has come, and all that is on the screen when `then` is."""
    asked = terminal.seen.count(b"q quit")
    terminal.write(key)
    terminal.wait_for(lambda seen: then in plain(seen) and (seen.count(b"q quit") > asked or then.endswith(".")))
    return plain(terminal.seen)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    from core.golden import draw

    folder = tmp_path / "mine"
    folder.mkdir()
    draw.draw_all()["red_square.png"].save(folder / "shape.png")
    (folder / "golden.toml").write_text(GOLDEN_TOML)
    (folder / "capital.txt").write_text("What is the capital of France?")
    (folder / "capital.toml").write_text('expect = "paris"\n')
    (folder / "shape.txt").write_text("What is in the image?")
    (folder / "shape.toml").write_text('expect = "red"\ncontrols.blind = true\n')
    return folder


def test_the_cycle_by_keyboard_in_a_plain_terminal(
    golden: Golden, clean_env: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    assert golden("run", suite).exit_code == 0
    with in_terminal(clean_env, "review") as terminal:
        terminal.wait_for(b"q quit")
        seen = plain(terminal.seen)
        assert "+ new  capital (quick, full, pocket/qwen3)  1 of 2" in seen
        assert "The capital of France is Paris." in seen
        seen = press(terminal, b"a", "2 of 2")
        assert "accepted: accepted/capital@pocket--qwen3.txt" in seen
        assert "shape.png" in seen
        assert seen.count("▀") > 100  # the image itself
        press(terminal, b"xa", "2 accepted.")
        assert terminal.exit_code() == 0
    kept = {path.name: path.read_text() for path in (suite / "accepted").iterdir()}
    assert sorted(kept) == ["capital@pocket--qwen3.txt", "shape@pocket--qwen2-vl.txt"]
    assert kept["capital@pocket--qwen3.txt"].endswith("+++\nThe capital of France is Paris.\n")

    same = golden("run", suite)
    assert "pending" not in same.output
    assert golden("review").output.endswith("is pending.\n")

    (suite / "capital.txt").write_text("What is the capital of Italy?")
    (suite / "shape.txt").write_text("What colour is it?")
    changed = golden("run", suite)
    assert changed.exit_code == 1  # Rome is not what is expected
    assert "answers are pending (1 regressed" in changed.output
    assert {path.name: path.read_text() for path in (suite / "accepted").iterdir()} == kept  # a run edits nothing
    with in_terminal(clean_env, "review") as terminal:
        terminal.wait_for(b"q quit")
        seen = plain(terminal.seen)
        assert "✗ regressed  capital" in seen
        assert "The question has changed since the accepted answer was given." in seen
        assert "The capital of [-France-]{+Italy+} is [-Paris-]{+Rome+}." in seen
        assert 'full: this answer fails, the accepted one passes: no word "paris"' in seen
        seen = press(terminal, b"r", "2 of 2")
        assert "rejected: the accepted answer stays." in seen
        press(terminal, b"s", "1 rejected, 1 skipped.")
        assert terminal.exit_code() == 0
    assert {path.name: path.read_text() for path in (suite / "accepted").iterdir()} == kept
    with in_terminal(clean_env, "review") as terminal:  # what was skipped still waits
        terminal.wait_for(b"q quit")
        assert "1 of 1" in plain(terminal.seen)
        press(terminal, b"q", "1 left.")
        assert terminal.exit_code() == 0


@pytest.fixture
def kept(tmp_path: Path, suite: Path) -> Callable[[], object]:
    from core.golden.reading import load_suite

    cases = {case.id: case for case in load_suite(suite).cases}

    def keep() -> object:
        told = [
            attempt("Paris.", case="capital", key="c", ask_sha=cases["capital"].ask_sha),
            attempt("blue", Verdict.FAIL, case="shape", key="s", ask_sha=cases["shape"].ask_sha, why='no "red"'),
        ]
        return keep_run(tmp_path / "data", suite, *told)

    return keep


def test_accepting_in_one_go_leaves_what_fails(golden: Golden, kept: Callable[[], object], suite: Path) -> None:
    kept()
    done = golden("accept")
    assert done.exit_code == 0
    assert "accepted  capital (full, m)  accepted/capital@m.txt" in done.output
    assert "left      shape (full, m)  it fails" in done.output
    assert "1 answer left out: assay golden review accepts also what fails" in done.output
    assert [path.name for path in (suite / "accepted").iterdir()] == ["capital@m.txt"]
    assert "0 answers" in golden("accept", "--case", "capital").output
    compared = golden("compare", "accepted")
    assert compared.exit_code == 0
    assert compared.output.startswith("accepted → ")
    assert "2 cases: 1 new, 1 same." in compared.output
    assert golden("accept", "--case", "nothing").exit_code == 2
    assert "0 answers" in golden("accept", "--tier", "quick").output


def test_a_review_needs_a_terminal_when_something_waits(golden: Golden, kept: Callable[[], object]) -> None:
    kept()
    done = golden("review")
    assert done.exit_code == 2
    assert "2 answers of " in done.output
    assert "needs a terminal: assay golden accept takes all that pass." in done.output
    assert golden("review", "nothing").exit_code == 2


def test_answers_that_no_case_uses_are_listed_and_removed_on_request(
    golden: Golden, kept: Callable[[], object], suite: Path
) -> None:
    kept()
    golden("accept")
    assert "used     capital (m)  accepted/capital@m.txt" in golden("accepted", suite).output
    for ending in ("txt", "toml"):
        (suite / f"capital.{ending}").unlink()
    listed = golden("accepted", suite)
    assert "unused   capital (m)  accepted/capital@m.txt" in listed.output
    assert "1 answer accepted, 1 used by no case: --remove-unused deletes them." in listed.output
    assert (suite / "accepted").exists()
    assert "removed  capital (m)" in golden("accepted", suite, "--remove-unused").output
    assert not (suite / "accepted").exists()


def test_the_built_in_suite_keeps_no_answers(golden: Golden, tmp_path: Path) -> None:
    keep_run(tmp_path / "data", BUILTIN, attempt(case="prompts/simple_greeting"))
    for command in ("accept", "review"):
        done = golden(command)
        assert done.exit_code == 2
        assert "The built-in suite is part of the program and keeps no answers" in done.output


def test_ctrl_c_leaves_a_review_with_what_was_done(
    clean_env: dict[str, str], kept: Callable[[], object], suite: Path
) -> None:
    kept()
    with in_terminal(clean_env, "review") as terminal:
        terminal.wait_for(b"q quit")
        press(terminal, b"a", "2 of 2")
        terminal.write(b"\x03")
        assert terminal.exit_code() == 130
    assert len(list((suite / "accepted").iterdir())) == 1
