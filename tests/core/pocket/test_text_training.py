"""Training of the text model: it runs, resumes to the same weights, and exports what mlx-lm loads."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load
from rich.console import Console

from core.pocket.train import loop, text_data, text_recipe

TOKENS = 128


@pytest.fixture
def on_cpu() -> Iterator[None]:
    before = mx.default_device()
    mx.set_default_device(mx.cpu)
    yield
    mx.set_default_device(before)


def quiet() -> Console:
    return Console(file=io.StringIO())


def flat(model: object) -> dict[str, mx.array]:
    return dict(tree_flatten(model.parameters()))  # type: ignore[attr-defined]


@pytest.mark.usefixtures("on_cpu")
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe = text_recipe.recipe()
    short = {"steps": 6, "batch": TOKENS, "seed": 3}
    straight = flat(loop.train(recipe, work=tmp_path / "straight", console=quiet(), **short))
    loop.train(recipe, work=tmp_path / "broken", stop_at=3, console=quiet(), **short)
    resumed = flat(loop.train(recipe, work=tmp_path / "broken", resume=True, console=quiet(), **short))
    assert all(mx.array_equal(value, resumed[name]) for name, value in straight.items())


@pytest.mark.usefixtures("on_cpu")
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    recipe = text_recipe.recipe()
    loop.train(recipe, work=tmp_path, steps=4, stop_at=1, batch=TOKENS, console=quiet())
    with pytest.raises(loop.ResumeError, match="belongs to"):
        loop.train(recipe, work=tmp_path, steps=5, batch=TOKENS, resume=True, console=quiet())


@pytest.mark.usefixtures("on_cpu")
def test_the_loss_falls(tmp_path: Path) -> None:
    same = text_data.make_batch(0, 5000, TOKENS)
    recipe = replace(text_recipe.recipe(), make_batch=lambda seed, index, size: same, warmup=1)
    batch = {name: mx.array(value) for name, value in same.items()}
    before = text_recipe.loss(text_recipe.build(0), batch).item()
    trained = loop.train(recipe, work=tmp_path, steps=8, batch=TOKENS, console=quiet())
    assert text_recipe.loss(trained, batch).item() < before - 1


def test_the_untrained_model_exports_and_loads(tmp_path: Path) -> None:
    text_recipe.export(text_recipe.build(0), tmp_path)
    model, tokenizer = load(str(tmp_path))[:2]
    assert tokenizer.has_thinking
    assert model(mx.array([[1, 2, 3]])).shape == (1, 3, text_recipe.VOCABULARY)


def test_workers_make_the_same_batches_in_the_same_order() -> None:
    inline = loop.batches(text_data.make_batch, 1, 512, 0, 3, workers=0)
    spawned = loop.batches(text_data.make_batch, 1, 512, 0, 3, workers=2)
    for one, other in zip(inline, spawned, strict=True):
        assert (one["ids"] == other["ids"]).all()


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    recipe = text_recipe.recipe()
    rates = [loop.learning_rate(recipe, step, 1000) for step in range(1001)]
    assert rates[0] < rates[recipe.warmup // 2] < max(rates) <= recipe.learning_rate
    assert rates[1000] == pytest.approx(recipe.learning_rate * loop.FINAL_SHARE)
