"""Half-precision and quantised weights on a Linux processor: held in float32 where the memory allows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog, Float32, MemoryEstimate, ModelInfo, ModelKind
from core.compute import on_linux_cpu
from core.engine import Engine
from core.mlx.models.precision import convert, precision
from core.pocket import MODELS_DIR
from core.settings import Settings
from tests.tiny.texts import make_text_model

TEXT = "pocket/qwen3"
on_cpu = pytest.mark.skipif(not on_linux_cpu(), reason="only where MLX computes on a Linux processor")


def info(stored: int, *ways: int) -> ModelInfo:
    """A model of so many bytes as stored, and in float32."""
    estimates = [MemoryEstimate(nbytes, 0, 0) for nbytes in (stored, *ways)]
    float32 = tuple(Float32(number == 0, memory) for number, memory in enumerate(estimates[1:]))
    return ModelInfo("m", Path("m"), "folder", ModelKind.TEXT, "qwen3", memory=estimates[0], float32=float32)


@pytest.mark.parametrize(("free", "taken"), [(200, 100), (199, 40), (80, 40), (79, 20), (0, 20)])
def test_speed_costs_at_most_half_of_what_is_free(free: int, taken: int) -> None:
    way, memory = info(20, 100, 40).loaded_into(free)
    assert memory is not None
    assert memory.weights == taken
    assert (way is None) == (taken == 20)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with one of 4 bits, whose scales and other numbers are bfloat16, as most are."""
    folder = tmp_path_factory.mktemp("precision") / "tiny"
    model = make_text_model("qwen3", folder / "four", bits=4)
    weights = mx.load(str(model / "model.safetensors"))
    halved = {
        name: value.astype(mx.bfloat16) if mx.issubdtype(value.dtype, mx.floating) else value
        for name, value in weights.items()
    }
    mx.save_safetensors(str(model / "model.safetensors"), halved, {"format": "mlx"})
    return folder


def loaded(path: Path) -> Any:
    from mlx_lm.utils import load_model

    return load_model(path, lazy=True)[0]


@pytest.mark.parametrize("unpacked", [False, True])
def test_a_quantised_model_says_the_same_in_float32(quantised: Path, unpacked: bool) -> None:
    stored, model = loaded(quantised / "four"), loaded(quantised / "four")
    convert(model, Float32(unpacked, MemoryEstimate(0, 0, 0)))
    kinds = {array.dtype for _, array in tree_flatten(model.parameters())}
    assert kinds == ({mx.float32} if unpacked else {mx.float32, mx.uint32})
    stored.set_dtype(mx.float32)  # the same weights in the same precision, as mlx-lm computes with them
    tokens = mx.array([[5, 90, 300, 7]])
    np.testing.assert_allclose(np.array(model(tokens)), np.array(stored(tokens)), atol=1e-3)


def test_no_way_changes_nothing(quantised: Path) -> None:
    model = loaded(quantised / "four")
    convert(model, None)
    assert precision(model) == "bfloat16"


@pytest.fixture(scope="module")
def stored() -> Iterator[Engine]:
    """An engine that leaves models as they are stored."""
    with Engine(Settings(cpu_float32=False)) as engine:
        yield engine


def ask(engine: Engine, model: str) -> str:
    asked = (Message.text(Role.USER, "What is the capital of Italy?"),)
    return engine.generate(GenerationRequest(model, asked, sampling=Sampling(temperature=0.0))).result().text


@on_cpu
@pytest.mark.parametrize("model", [TEXT, "pocket/qwen2-vl", "pocket/gemma3"])
def test_the_pocket_models_compute_in_float32(engine: Engine, stored: Engine, model: str) -> None:
    now, then = engine.load(model).result(), stored.load(model).result()
    assert (now.precision, then.precision) == ("float32", "float16")
    assert ask(engine, model) == ask(stored, model)


@on_cpu
@pytest.mark.parametrize(("times", "expected"), [(100, "float32"), (1.1, "bfloat16")])
def test_a_short_budget_leaves_a_model_as_it_is(quantised: Path, tmp_path: Path, times: float, expected: str) -> None:
    """The budget is so many times what the model takes as it is stored, beside what other tests hold in memory."""
    options = {"model_folders": [quantised.parent], "hf_cache": tmp_path, "data_dir": tmp_path}
    memory = Catalog(Settings(**options)).get("tiny/four").memory
    assert memory is not None
    budget = mx.get_active_memory() + times * memory.total()
    with Engine(Settings(**options, memory_budget_gb=budget / 1e9)) as engine:
        assert engine.load("tiny/four").result().precision == expected


@on_cpu
def test_the_prediction_is_what_loading_takes(settings: Settings, catalog: Catalog) -> None:
    """Shipped in float16, held in float32: twice the bytes of the files."""
    with Engine(settings, catalog) as engine:
        for model in (TEXT, "pocket/gemma3"):
            way, memory = catalog.get(model).loaded_into(engine.load(TEXT).result().memory_bytes * 1000)
            assert way is not None
            assert memory is not None
            assert engine.load(model).result().memory_bytes == pytest.approx(memory.weights, rel=0.05)
    size = (MODELS_DIR / "qwen3" / "model.safetensors").stat().st_size
    (way,) = catalog.get(TEXT).float32
    assert way.memory.weights == pytest.approx(2 * size, rel=0.02)
    assert way.memory.kv_per_token == 2 * catalog.get(TEXT).memory.kv_per_token  # type: ignore[union-attr]
