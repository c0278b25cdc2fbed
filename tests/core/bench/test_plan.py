"""Which tests a model gets, and the sentences for those that it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.bench.plan import Skipped, Trial, Wanted, check_benchmarked, planned
from core.catalog import Catalog, MemoryEstimate, ModelInfo, ModelKind
from core.errors import UnsupportedInput
from core.settings import Settings

G = 1_000_000_000


@pytest.fixture
def info(catalog: Catalog) -> ModelInfo:
    return catalog.get("pocket/qwen3")


def plan(
    info: ModelInfo, settings: Settings, budget: int = 8 * G, **wanted: object
) -> tuple[list[str], dict[str, str]]:
    """What is made, and why what is not."""
    found = list(planned(info, Wanted(**wanted), settings, budget))  # type: ignore[arg-type]
    made = [test.name for test in found if isinstance(test, Trial)]
    return made, {one.test.name: one.why for one in found if isinstance(one, Skipped)}


def test_prompts_and_rows_and_an_image_where_one_is_seen(info: ModelInfo, catalog: Catalog, settings: Settings) -> None:
    made, left_out = plan(info, settings)
    assert made == ["32 tokens, 1 row", "32 tokens, 8 rows", "1k prompt, 1 row", "1k prompt, 8 rows"]
    assert left_out["8k prompt, 1 row"] == (
        "8,192 tokens of prompt and 128 of answer are more than its context of 4,096 tokens."
    )
    made, _ = plan(catalog.get("pocket/gemma3"), settings)
    assert made[-2:] == ["an image, 1 row", "an image, 8 rows"]
    made, _ = plan(catalog.get("pocket/gemma3"), settings, images=False)
    assert "an image, 1 row" not in made


def test_what_does_not_fit_says_its_numbers(info: ModelInfo, settings: Settings) -> None:
    wide = replace(info, context_length=100_000, memory=MemoryEstimate(G, 1_000_000, 0), float32=())
    made, left_out = plan(wide, settings, budget=8 * G)
    assert "8k prompt, 8 rows" not in made
    assert left_out == {
        "1k prompt, 8 rows": "It takes about 10.22 GB, and there are 8.00 GB for models.",
        "8k prompt, 1 row": "It takes about 9.32 GB, and there are 8.00 GB for models.",
        "8k prompt, 8 rows": "It takes about 67.56 GB, and there are 8.00 GB for models.",
    }


def test_more_rows_than_the_settings_allow_are_left_out(info: ModelInfo, settings: Settings) -> None:
    few = settings.model_copy(update={"max_batch": 4})
    _, left_out = plan(info, few, prompts=(32,))
    assert left_out == {
        "32 tokens, 8 rows": "The setting max_batch lets 4 rows be worked on together, not 8.",
    }


@pytest.mark.parametrize("kind", [ModelKind.EMBEDDINGS, ModelKind.AUDIO])
def test_models_that_write_no_text_are_told(info: ModelInfo, kind: ModelKind) -> None:
    with pytest.raises(UnsupportedInput, match=f"is a model for {kind.value}: only models that write text"):
        check_benchmarked(replace(info, kind=kind))
