"""The first line says what matters and never breaks, however narrow the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.status import EngineStatus, LoadedModel, ModelState
from tui.header_line import header_content
from tui.state import ApiPhase, Phase, WorkbenchState

LONG = WorkbenchState(
    Phase.READY,
    EngineStatus(
        True,
        "gpu",
        (LoadedModel("mlx-community/Qwen2-VL-2B-Instruct-4bit", ModelState.READY),),
        active_memory=1_400_000_000,
        memory_budget=24_000_000_000,
    ),
    "mlx-community/Qwen2-VL-2B-Instruct-4bit",
    "mlx-community/gemma-3-27b-it-4bit-DWQ",
    api=ApiPhase.ON,
    api_url="http://127.0.0.1:8484",
)


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_it_fills_the_line_and_keeps_the_address_whole(width: int) -> None:
    text = header_content(LONG, width).plain
    assert len(text) == width
    assert "127.0.0.1:8484" in text
    assert ("memory 1.4 GB of 24 GB" if width >= 120 else "mem 1.4G/24G") in text


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_wide_names_and_bad_news_leave_the_end_of_the_line_whole(width: int, alive: bool) -> None:
    assert LONG.status is not None
    wide = replace(LONG, quick="模型/通义千问通义千问通义千问-7B", status=replace(LONG.status, alive=alive))
    line = header_content(wide, width)
    assert line.cell_length == width
    assert line.plain.endswith("127.0.0.1:8484  ^t ")


def test_names_are_whole_where_there_is_room() -> None:
    text = header_content(LONG, 160).plain
    assert "quick ● Qwen2-VL-2B-Instruct-4bit" in text
    assert "full ○ gemma-3-27b-it-4bit-DWQ" in text


@pytest.mark.parametrize(("used", "told"), [(8, "0 B"), (1024, "0 B"), (40_000_000, "40 MB")])
def test_what_mlx_takes_for_itself_is_nothing(used: int, told: str) -> None:
    status = EngineStatus(True, "cpu", active_memory=used, memory_budget=14_000_000_000)
    assert f"memory {told} of 14 GB" in header_content(WorkbenchState(Phase.READY, status), 120).plain


def test_the_engine_is_waited_for_in_words() -> None:
    assert "starting engine…" in header_content(WorkbenchState(), 80).plain


def test_an_engine_that_died_is_said() -> None:
    dead = WorkbenchState(Phase.READY, EngineStatus(False, "cpu"))
    assert "engine stopped" in header_content(dead, 120).plain


def test_it_names_who_answers_text_and_says_when_one_model_stands_for_both() -> None:
    ready = WorkbenchState(Phase.READY, quick="pocket/qwen2-vl", full="pocket/gemma3")
    both = replace(ready, text=(("quick", "pocket/qwen3"), ("full", "pocket/qwen3")))
    assert "quick ○ qwen2-vl  full ○ gemma3  text ○ qwen3" in header_content(both, 120).plain
    assert "quick ○ qwen2-vl  full ○ gemma3" in header_content(both, 80).plain
    one = replace(ready, text=(("quick", "pocket/qwen3"), ("full", "pocket/gemma3")))
    assert "full ○ gemma3  quick text ○ qwen3" in header_content(one, 120).plain
    picked = replace(both, chosen=frozenset({"quick"}))
    assert "full text ○ qwen3" in header_content(picked, 120).plain
    same = replace(ready, full="pocket/qwen2-vl")
    assert "quick = full ○ qwen2-vl" in header_content(same, 80).plain
