"""The workbench's benchmark runs and judges. How fast anything is, no test asserts: machines are shared."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks import workbench
from tests.benchmarks.terminal import Terminal, own_environment
from tests.benchmarks.texts import section, tokens
from tests.benchmarks.workbench import MEASURES, Measure, best, main, missed, table


def test_a_saved_chat_is_opened_in_a_terminal_and_every_figure_written(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert main(["--only", "open_chat", "--rounds", "1", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert {"machine", "textual", "open_chat_ms", "open_chat_wall_ms"} <= set(figures)
    assert figures["open_chat_ms"] > 0


def test_the_best_round_stands_for_a_measure_and_all_are_shown() -> None:
    rounds = [{"scroll_ms": 60.0, "scroll_median_ms": 20.0}, {"scroll_ms": 40.0, "scroll_median_ms": 30.0}]
    assert best(rounds) == {"scroll_ms": 40.0, "scroll_median_ms": 20.0}
    assert missed(best(rounds)) == []
    assert missed(best(rounds[:1])) == ["scroll_ms"]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table({"scroll": rounds}))
    assert "60, 40" in shown.get()
    assert "holds" in shown.get()


@pytest.mark.parametrize(("figure", "code"), [(1.0, 0), (99.0, 1)])
def test_a_missed_bound_is_an_exit_code_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, figure: float, code: int
) -> None:
    monkeypatch.setitem(MEASURES, "scroll", Measure(lambda folder: {"scroll_ms": figure}, {"scroll_ms": 50}))
    assert main(["--only", "scroll", "--check"]) == code
    assert main(["--only", "scroll"]) == 0


def test_a_measure_that_breaks_off_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> dict[str, float]:
        raise TimeoutError("nothing came")

    monkeypatch.setitem(workbench.MEASURES, "scroll", Measure(broken))
    assert main(["--only", "scroll"]) == 1


def test_a_program_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        Terminal("tests.benchmarks.no_such_program", [], own_environment(tmp_path)) as terminal,
        pytest.raises(TimeoutError, match="no_such_program"),
    ):
        terminal.wait_for("never")


def test_what_streams_is_what_was_written() -> None:
    text = section(1) + section(2)
    assert "".join(itertools.islice(tokens(), 2000)).startswith(text)
