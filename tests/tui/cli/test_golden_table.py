"""The table of a golden run, as a person sees it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual_image import renderable

from core.golden.results import Attempt, Status, Verdict
from core.golden.suite import BUILTIN
from tui.cli.golden_table import results_table
from tui.cli.inline_images import SMALL_ROWS, small_images
from tui.golden.verdicts import SIGNS


def attempt(answer: str, **changes: Any) -> Attempt:
    perf = {"ttft_s": 0.3, "decode_tps": 88.0, "load_s": 0.0, "warmth": "fresh"}
    values = {"tier": "quick", "route": "openai", "repeat": 0, "verdict": Verdict.PASS, "perf": perf} | changes
    return Attempt(id="r.0", key="k", case="p", case_sha="c", ask_sha="a", status=Status.OK, answer=answer, **values)


def rendered(*attempts: Attempt, verbose: bool = False, width: int = 80) -> str:
    console = Console(width=width, no_color=True, force_terminal=False, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(results_table(attempts, verbose=verbose))
    return console.export_text()


def test_what_a_model_says_is_never_markup_nor_steers_the_terminal() -> None:
    shown = rendered(attempt("[/bold] [red]x[/red] \x1b[2J\x9b2J :smile:"))
    assert "[/bold] [red]x[/red]" in shown
    assert ":smile:" in shown
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def test_a_long_answer_is_cut_unless_all_of_it_is_asked_for() -> None:
    long = "word " * 200 + "end"
    assert "…" in rendered(attempt(long))
    assert "end" in rendered(attempt(long), verbose=True)


def test_routes_that_agree_share_a_row() -> None:
    same = rendered(attempt("red"), attempt("red", route="anthropic"), width=120)
    assert "openai, anthropic" in same
    assert "TTFT 0.30 / 0.30 s · 88 / 88 tok/s" in same
    apart = rendered(attempt("red"), attempt("blue", route="anthropic"))
    assert "openai, anthropic" not in apart
    assert "blue" in apart


def test_short_answers_have_no_rate_and_loading_stands_apart() -> None:
    perf = {"ttft_s": 0.3, "decode_tps": None, "load_s": 2.31, "warmth": "loaded"}
    shown = rendered(attempt("red", perf=perf), attempt("red", tier="full"), width=120)
    assert "TTFT 0.30 s · loaded in 2.31 s" in shown
    assert "TTFT 0.30 s · 88 tok/s" in shown
    assert shown.count("loaded in") == 1


def test_of_several_answers_the_short_one_says_so() -> None:
    perf = {"ttft_s": 0.3, "decode_tps": None, "warmth": "loaded"}
    shown = rendered(attempt("red"), attempt("red", route="anthropic", perf=perf), width=140)
    assert "TTFT 0.30 / 0.30 s · 88 / too short tok/s" in shown


def test_every_verdict_has_a_sign_of_its_own() -> None:
    assert len({*SIGNS.values()}) == len(Verdict) == len(SIGNS)
    assert "–" not in "".join(SIGNS.values())


def test_the_table_names_the_model_of_each_answer() -> None:
    shown = rendered(attempt("red", model={"id": "org/sees"}), attempt("red", tier="full", model={"id": "org/reads"}))
    assert "✓ pass  org/sees" in shown
    assert "✓ pass  org/reads" in shown


def test_the_table_fits_a_narrow_terminal() -> None:
    assert max(map(len, rendered(attempt("red " * 50), width=60).splitlines())) <= 60


def terminal(screen: io.StringIO) -> Console:
    """It has no graphics."""
    return Console(width=100, force_terminal=True, color_system="truecolor", file=screen)


@pytest.mark.parametrize(
    ("wanted", "half_cells", "seen"), [(None, True, True), (True, False, True), (False, True, False)]
)
def test_a_case_s_images_stand_below_its_name_once(
    monkeypatch: pytest.MonkeyPatch, wanted: bool | None, half_cells: bool, seen: bool
) -> None:
    monkeypatch.setattr("tui.graphics.HALF_CELLS", half_cells)
    monkeypatch.setattr(renderable, "Image", renderable.HalfcellImage)
    screen = io.StringIO()
    console = terminal(screen)
    found = small_images(console, {"p": [BUILTIN / "images" / "red_square.png"], "other": []}, wanted)
    console.print(results_table([attempt("red"), attempt("blue", repeat=1)], images=found))
    rows = screen.getvalue().splitlines()
    red = [row for row in rows if "48;2;255;0;0" in row or "38;2;255;0;0" in row]
    assert (0 < len(red) <= SMALL_ROWS) is seen


def test_without_graphics_half_cells_are_drawn_only_when_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.graphics.HALF_CELLS", False)
    monkeypatch.setattr(renderable, "Image", renderable.HalfcellImage)
    images = {"p": [BUILTIN / "images" / "red_square.png"]}
    assert small_images(terminal(io.StringIO()), images, None) == {}
    assert small_images(Console(file=io.StringIO()), images, True) == {}, "nor can a pipe draw"


def test_an_image_that_cannot_be_read_leaves_its_place_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.graphics.HALF_CELLS", True)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    images = {"p": [tmp_path / "torn.png", tmp_path / "gone.png"]}
    assert small_images(terminal(io.StringIO()), images, True) == {"p": ["", ""]}
