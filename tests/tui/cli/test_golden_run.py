"""How a run on the command line shows how it goes on."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from core.golden.plan import Plan
from core.golden.progress import AnswerDelta, AttemptStarted
from tui.cli.golden_run import show_progress


@pytest.mark.parametrize("answer", ["你好", "e\u0301", "👩\u200d🔬 ok", "plain", "長い答え" * 60])
def test_answers_of_wide_characters_are_shown_as_they_come(answer: str) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    planned = cast("Any", SimpleNamespace(index=0, tier="quick", case=SimpleNamespace(id="capital")))
    with show_progress(console, cast("Plan", SimpleNamespace(attempts=[planned]))) as listener:
        listener(AttemptStarted(planned))
        listener(AnswerDelta(planned, answer))
    assert "capital quick" in cast("io.StringIO", console.file).getvalue()
