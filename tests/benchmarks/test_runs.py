"""The benchmark runs to its end and writes every figure. How fast anything is, no test asserts: machines are shared."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.benchmarks.engine import bounds, flat, main, missed
from tests.benchmarks.models import make_model
from tests.benchmarks.shapes import Shape

KEYS = set(bounds("cpu"))


def test_a_quick_run_measures_everything(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks.engine", "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert set(figures) >= KEYS
    for name, value in figures.items():
        assert isinstance(value, str) or math.isfinite(value), name
    assert {"machine", "device", "mlx", "mlx_lm", "mlx_vlm", "one_stream_ours_tps", "one_stream_bare_tps"} <= set(
        figures
    )
    assert figures["queue_growth_mb_waiting"] > 0
    assert figures["followup_vision_second_fresh_tokens"] < figures["followup_vision_first_prompt_tokens"]


def test_bounds_are_from_below_or_above_and_the_gpus_are_higher() -> None:
    assert [bounds("cpu")["one_stream"].holds(value) for value in (0.969, 0.97)] == [False, True]
    assert [bounds("cpu")["cancel_steps"].holds(value) for value in (1, 2)] == [True, False]
    assert [bounds(device)["eight_vision"].holds(1.6) for device in ("cpu", "gpu")] == [True, False]


def test_the_worst_model_stands_for_a_measure() -> None:
    taken = {"one_stream": {"a": {"value": 1.0, "ours_tps": 2.0}, "b": {"value": 0.9, "ours_tps": 3.0}}}
    figures = flat(taken, bounds("cpu"))
    assert figures["one_stream"] == 0.9
    assert figures["one_stream_model"] == "b"
    assert figures["one_stream_ours_tps"] == 3.0
    assert figures["one_stream_a_value"] == 1.0
    assert missed(figures, bounds("cpu")) == ["one_stream"]


def test_a_device_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    import mlx.core as mx

    other = "cpu" if mx.default_device() == mx.Device(mx.gpu) else "gpu"
    assert main(["--device", other]) == 2
    assert other in capsys.readouterr().err


@pytest.mark.parametrize("base", ["qwen3", "qwen2-vl", "gemma3"])
def test_a_quantised_model_of_any_base_is_loaded(tmp_path: Path, base: str) -> None:
    text = {"vocab_size": 1600}
    config = {"text_config": text} if base == "gemma3" else text
    path = make_model(Shape("small", base, config, quantised=True), tmp_path)
    if base == "qwen3":
        from mlx_lm import load
    else:
        from mlx_vlm import load
    model, _ = load(str(path))
    language = model if base == "qwen3" else model.language_model
    assert language.model.layers[0].mlp.up_proj.bits == 4
    assert language.model.embed_tokens.weight.shape[0] == 1600
