"""`assay golden duel`: pairs judged by keyboard in a plain terminal, names hidden until the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.golden.duel.votes import VOTES
from core.golden.reading import load_suite
from core.golden.results import RunFolder
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import Golden, keep_run
from tests.tui.cli.test_golden_review import in_terminal, plain, press

MODELS = ("lab/alpha", "lab/beta")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    from core.golden import draw

    folder = tmp_path / "mine"
    folder.mkdir()
    draw.draw_all()["red_square.png"].save(folder / "shape.png")
    (folder / "shape.txt").write_text("What is in the image?")
    (folder / "capital.txt").write_text("What is the capital of France?")
    (folder / "same.txt").write_text("Say yes.")
    return folder


def keep(tmp_path: Path, suite: Path, models: tuple[str, ...] = MODELS) -> RunFolder:
    asked = {case.id: case.ask_sha for case in load_suite(suite).cases}
    said = {"shape": "A square, thinks {}.", "capital": "Paris, thinks {}.", "same": "yes"}
    told = [
        attempt(text.format(index), case=case, key=f"{case} {model}", ask_sha=asked[case], model={"id": model})
        for case, text in said.items()
        for index, model in enumerate(models)
    ]
    return keep_run(tmp_path / "data", suite, *told)


def test_pairs_are_judged_by_keyboard_and_the_names_come_last(
    golden: Golden, clean_env: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    run = keep(tmp_path, suite)
    with in_terminal(clean_env, "duel") as terminal:
        terminal.wait_for(b"q quit")
        seen = plain(terminal.seen)
        assert "1 of 2" in seen
        assert "thinks 0." in seen
        assert "thinks 1." in seen
        press(terminal, b"u", "There is no vote to take back.")
        terminal.wait_for(lambda seen: seen.count(b"q quit") == 2)
        seen = press(terminal, b"x1", "2 of 2")
        assert "kept: the first is better." in seen
        seen = press(terminal, b"u", "taken back: judge it again.")
        terminal.wait_for(lambda seen: seen.count(b"q quit") == 4)
        press(terminal, b"2", "kept: the second is better.")
        terminal.wait_for(lambda seen: seen.count(b"q quit") == 5)
        seen = plain(terminal.seen)
        assert seen.count("▀") > 100  # the image itself
        assert "lab/" not in seen
        seen = press(terminal, b"0", "left out of it.")
        assert "kept: a tie." in seen
        assert "2 of 2 pairs of " in seen
        assert "; 1 more say the same to the letter." in seen
        assert "lab/alpha" in seen
        assert terminal.exit_code() == 0
    lines = [json.loads(line) for line in (run.path / VOTES).read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["duel", "undo", "duel", "duel"]
    assert golden("duel").output.startswith("2 of 2 pairs")


def test_results_are_told_at_any_time_and_over_all_runs(golden: Golden, suite: Path, tmp_path: Path) -> None:
    first = keep(tmp_path, suite)
    second = keep(tmp_path, suite, (*MODELS, "lab/gamma"))
    empty = golden("duel", "--results")
    assert empty.exit_code == 0
    assert empty.output.startswith(f"0 of 6 pairs of {second.id} judged")
    assert "assay golden duel shows them" in empty.output
    _vote_all(first, "lab/alpha")
    _vote_all(second, "lab/gamma")
    told = golden("duel", first.id, "--results").output
    assert "2 of 2 pairs" in told
    assert "sign test by case" in told
    assert golden("duel", "--all-runs", "--json", tmp_path / "out.json").exit_code == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["runs"] == [first.id, second.id]
    assert found["votes"] == 8
    assert [(one["one"], one["wins"]) for one in found["matches"]] == [
        ("lab/alpha", 2),
        ("lab/gamma", 2),
        ("lab/gamma", 2),
    ]
    assert "lab/gamma lost to no other model" in found["notes"][0]


def _vote_all(run: RunFolder, favourite: str) -> None:
    from core.golden.duel.pairs import pairs_of
    from core.golden.duel.votes import Choice, Duel

    duel = Duel(run, pairs_of(run.as_planned(), run.id))
    for pair in duel.waiting:
        sides = {pair.left.model_id: Choice.LEFT, pair.right.model_id: Choice.RIGHT}
        duel.vote(pair, sides.get(favourite) or sides["lab/alpha"])


def test_what_cannot_be_judged_is_said(golden: Golden, suite: Path, tmp_path: Path) -> None:
    keep(tmp_path, suite)
    done = golden("duel")
    assert done.exit_code == 2
    assert "2 pairs of " in done.output
    assert "needs a terminal: assay golden duel --results" in done.output
    keep(tmp_path, suite, MODELS[:1])
    assert "no case was answered by two models" in golden("duel").output
    assert golden("duel", "nothing").exit_code == 2


def test_results_of_a_run_without_pairs_say_why(golden: Golden, suite: Path, tmp_path: Path) -> None:
    keep(tmp_path, suite, MODELS[:1])
    told = golden("duel", "--results").output
    assert "There is nothing to judge in" in told
    assert "0 of 0" not in told
