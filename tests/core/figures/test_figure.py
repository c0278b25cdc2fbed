"""Which of a request's figures are kept: those that say something of the model, and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.calls.events import Finished, FinishReason, Footprint, Timing, Usage
from core.calls.requests import GenerationRequest, Sampling, ToolChoice, ToolMode
from core.figures.figure import WARM_UP, Figure, Use, figure_of_answer, figure_of_load
from core.status import EngineStatus, LoadedModel, ModelState

LOADED = LoadedModel("m", ModelState.READY, memory_bytes=1000, precision="float16", read_s=2.0)
STATUS = EngineStatus(alive=True, device="", models=(LOADED,), machine="here")
ALONE = Footprint(memory=500, rows=1, alone=True)


def figure(
    prompt: int = 1000,
    written: int = 100,
    cached: int = 0,
    images: int = 0,
    footprint: Footprint | None = ALONE,
    status: EngineStatus = STATUS,
    **asked: Any,
) -> Figure | None:
    usage = Usage(prompt, written, cached, images)
    timing = Timing(queued_s=0.5, load_s=4.0, prefill_s=1.0, ttft_s=5.5, prefill_tps=1000.0, decode_tps=50.0)
    end = Finished(FinishReason.STOP, usage, timing, footprint=footprint)
    return figure_of_answer(GenerationRequest("m", prompt="x", **asked), end, status)


def test_an_answer_alone_leaves_all_of_them() -> None:
    found = figure()
    assert found is not None
    assert (found.use, found.machine, found.precision, found.rows) == (Use.TEXT, "here", "float16", 1)
    assert (found.prefill_tps, found.decode_tps, found.peak) == (1000.0, 50.0, 1500)
    assert found.ttft_s == pytest.approx(1.5), "loading is a figure of its own"


@pytest.mark.parametrize(
    ("case", "absent"),
    [
        ({"prompt": 100}, {"prefill_tps"}),
        ({"written": 15}, {"decode_tps"}),
        ({"cached": 500}, {"prefill_tps", "ttft_s"}),
        ({"cached": 100}, set()),
        ({"footprint": Footprint(500, 2, True)}, {"prefill_tps"}),
        ({"prompt": 1100, "cached": 1000}, {"prefill_tps", "ttft_s"}),
    ],
)
def test_what_says_nothing_of_the_model_is_left_out(case: dict[str, Any], absent: set[str]) -> None:
    found = figure(**case)
    assert found is not None
    names = ("prefill_tps", "decode_tps", "ttft_s")
    assert {name for name in names if getattr(found, name) is None} == absent


@pytest.mark.parametrize(
    "case",
    [
        {"footprint": None},
        {"footprint": Footprint(500, 1, alone=False)},
        {"source": WARM_UP},
        {"json_schema": {"type": "object"}},
        {"tool_choice": ToolChoice(ToolMode.REQUIRED)},
        {"sampling": Sampling(logprobs=0)},
        {"written": 0},
        {"status": EngineStatus(alive=True, device="")},
    ],
)
def test_uses_that_leave_nothing(case: dict[str, Any]) -> None:
    assert figure(**case) is None


def test_an_answer_to_an_image_is_told_apart() -> None:
    found = figure(images=256)
    assert found is not None
    assert found.use is Use.IMAGE


def test_a_load_is_kept_where_nothing_else_was_worked_on() -> None:
    found = figure_of_load(LOADED, "here", "bench")
    assert found is not None
    assert (found.use, found.load_s, found.benchmark) == (Use.LOAD, 2.0, True)
    again = figure_of_load(replace(LOADED, loads=2), "here", "bench")
    assert again is not None
    assert again.use is Use.RELOAD
    assert figure_of_load(LoadedModel("m", ModelState.READY, load_s=3.0), "here", "") is None
