"""What the catalog says without MLX is what MLX finds when it loads the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.catalog import ModelKind
from core.catalog.describe import describe, look
from core.catalog.places import Found
from core.pocket import POCKET_MODELS

LOAD = """
import json, shutil, sys
from pathlib import Path
from mlx.utils import tree_flatten
from mlx_lm.utils import get_total_parameters, load_model, quantize_model, save_model
source, target, bits = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
shutil.copytree(source, target)
model, config = load_model(target)
if bits:
    model, config = quantize_model(model, config, group_size=32, bits=bits)
    save_model(target, model)
    (target / "config.json").write_text(json.dumps(config))
    model, config = load_model(target)
nbytes = sum(value.nbytes for _, value in tree_flatten(model.parameters()))
print(json.dumps([get_total_parameters(model), nbytes]))
"""


@pytest.mark.parametrize(("bits", "label"), [(0, "fp16"), (4, "4bit-g32"), (8, "8bit-g32")])
def test_parameters_and_bytes_are_those_that_mlx_loads(tmp_path, bits, label):
    source = next(model.folder for model in POCKET_MODELS if model.id == "pocket/qwen3")
    target = tmp_path / "copy"
    command = [sys.executable, "-c", LOAD, str(source), str(target), str(bits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    parameters, nbytes = json.loads(done.stdout.splitlines()[-1])
    info = describe(Found("copy", target, "folder"), look(target))
    assert info.problem is None
    assert info.quantisation == label
    assert info.parameters == parameters
    assert info.memory is not None
    assert info.memory.weights == nbytes


@pytest.mark.parametrize("pocket", POCKET_MODELS, ids=lambda model: model.id)
def test_pocket_models_are_whole_and_of_the_kind_they_say(pocket):
    info = describe(Found(pocket.id, pocket.folder, "pocket", summary=pocket.summary), look(Path(pocket.folder)))
    assert info.problem is None
    assert info.kind is ModelKind(pocket.kind)
    assert info.images == (pocket.kind == "vision")
    assert info.summary == pocket.summary
    assert info.parameters is not None
    assert 500_000 < info.parameters < 20_000_000
