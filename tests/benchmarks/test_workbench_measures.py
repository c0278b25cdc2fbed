"""The workbench's measures run to their end. How fast anything is, no test asserts: machines are shared."""

from __future__ import annotations

import math
from pathlib import Path

from tests.benchmarks import lists, startup


def test_first_paint_is_measured_against_an_empty_app(tmp_path: Path) -> None:
    figures = startup.measure(lists.environment(tmp_path) | {"TERM": "xterm-256color"}, rounds=1)
    assert figures["first_paint"] > 0
    assert all(map(math.isfinite, figures.values()))


def test_lists_are_measured(tmp_path: Path) -> None:
    assert set(lists.list_s(count=3, rounds=1)) == {"list_s", "list_again_s", "list_bare_s"}
    assert lists.filter_ms(count=5)["filter_ms"] > 0
