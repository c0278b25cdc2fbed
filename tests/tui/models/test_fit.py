"""Whether a model fits, in one word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.catalog import MemoryEstimate
from core.status import EngineStatus, LoadedModel, ModelState
from tests.tui.scripted import MODELS
from tui.models.columns import COLUMNS
from tui.models.fit import CHAT_TOKENS, FIT_STYLE, Fit, fit

MODEL = replace(MODELS[0], memory=MemoryEstimate(1000, 0, 0))


def status(budget: int, used: int = 0) -> EngineStatus:
    return EngineStatus(True, "cpu", active_memory=used, memory_budget=budget)


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (status(10_000), Fit.OK),
        (status(1_100), Fit.TIGHT),
        (status(1_100, used=500), Fit.EVICTS),
        (status(900), Fit.NO),
        (None, Fit.UNKNOWN),
        (EngineStatus(True, "cpu", (LoadedModel(MODEL.id, ModelState.READY),), memory_budget=10), Fit.LOADED),
    ],
)
def test_the_word_follows_the_budget(now: EngineStatus | None, word: Fit) -> None:
    assert fit(MODEL, now) is word


def test_the_cache_for_a_conversation_counts() -> None:
    hungry = replace(MODEL, memory=MemoryEstimate(1000, 1, 0))
    assert fit(hungry, status(1000 + CHAT_TOKENS - 1)) is Fit.NO


def test_what_is_kept_for_later_makes_room() -> None:
    assert fit(MODEL, replace(status(10_000, used=9_500), kept_memory=9_000)) is Fit.OK


def test_a_broken_model_is_called_so() -> None:
    assert fit(replace(MODEL, problem="incomplete"), status(10_000)) is Fit.BROKEN


def test_a_model_whose_download_goes_on_is_not_broken() -> None:
    half = replace(MODEL, problem="incomplete: its download has not ended", unfinished=True)
    assert fit(half, status(10_000)) is Fit.UNFINISHED
    assert FIT_STYLE[Fit.UNFINISHED] == "$warning"


def test_every_word_fits_its_column_and_has_a_sentence() -> None:
    column = next(column for column in COLUMNS if column.key == "fit")
    assert all(len(found.value) <= column.cells and len(found.in_words) <= 35 and found.in_words for found in Fit)
