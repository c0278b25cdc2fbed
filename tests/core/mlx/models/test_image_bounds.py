"""What a model's files may have its image processor make, told before it makes anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.catalog import Catalog
from core.errors import ModelBroken
from core.mlx.models.image_bounds import too_much
from core.mlx.models.loading import load_steps
from core.pocket import POCKET_MODELS
from core.settings import Settings

EDGES = {"shortest_edge": 1_000_000_000, "longest_edge": 1_000_000_000}


@pytest.mark.parametrize(
    ("model", "file", "changed", "told"),
    [
        ("gemma3", "preprocessor_config.json", {"size": {"height": 200_000, "width": 200_000}}, "size is "),
        ("gemma3", "preprocessor_config.json", {"size": {"height": 20_000, "width": 20_000}}, "size is "),
        ("gemma3", "preprocessor_config.json", {"size": {"height": 0, "width": 256}}, "less than one pixel"),
        ("gemma3", "processor_config.json", {"image_seq_length": 10**9}, "1,000,000,000, and at most 65,536 of an"),
        ("qwen2-vl", "preprocessor_config.json", {"min_pixels": 10**9, "max_pixels": 2 * 10**9}, "1,000,000,000"),
        ("qwen2-vl", "preprocessor_config.json", {"min_pixels": 40_000, "max_pixels": 30_000}, "more than"),
        ("qwen2-vl", "preprocessor_config.json", {"patch_size": 100_000}, "patch_size is 100,000, and at most 1,024"),
        ("qwen2-vl", "preprocessor_config.json", {"temporal_patch_size": 10**6}, "temporal_patch_size is 1,000,000"),
        ("qwen2-vl", "preprocessor_config.json", {"merge_size": 10**5}, "merge_size is 100,000"),
    ],
)
def test_a_model_that_blows_images_up_is_broken(
    tmp_path: Path, model: str, file: str, changed: dict[str, Any], told: str
) -> None:
    folder = tmp_path / "models" / "odd"
    shutil.copytree(next(one.folder for one in POCKET_MODELS if one.id == f"pocket/{model}"), folder)
    values = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(values | changed))
    catalog = Catalog(Settings(model_folders=[tmp_path / "models"], hf_cache=tmp_path, data_dir=tmp_path))
    info = next(info for info in catalog.list() if info.id.endswith("odd"))
    with pytest.raises(ModelBroken, match="_config.json is broken") as broken:
        list(load_steps(info, allow_code=False))
    assert told in broken.value.message


@pytest.mark.parametrize(
    "values",
    [
        {"size": {"height": 896, "width": 896}, "do_pan_and_scan": None, "pan_and_scan_max_num_crops": None},
        {"min_pixels": 3136, "max_pixels": 12_845_056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2},
        {"max_image_size": {"longest_edge": 512}, "size": {"longest_edge": 2048}},
        {"size": {"shortest_edge": 800, "longest_edge": 1333}, "size_divisor": 32},
        {"size": {"shortest_edge": 448}, "crop_size": {"height": 448, "width": 448}},
        {"max_dynamic_patch": 40, "size": {"height": 448, "width": 448}},
        {"image_grid_pinpoints": [[384, 3456], [2304, 2304]], "size": {"height": 384, "width": 384}},
        {"max_patches": 16, "size": {"height": 336, "width": 336}},
        {"size": {"longest_edge": 4096 * 4096, "shortest_edge": 65_536}, "counted": True},
        {"in_token_limit": 16_384, "media_proc_cfg": {"in_patch_limit": 65_536, "patch_limit_on_one_side": 512}},
    ],
)
def test_what_real_models_ask_for_is_allowed(values: dict[str, Any]) -> None:
    assert too_much(processor_with(values)) is None


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"size": {"longest_edge": 200_000}}, "size.longest_edge is 200,000, and at most 4,096 pixels of a side"),
        ({"size": {"shortest_edge": 50_000}}, "size.shortest_edge is 50,000, and at most 1,024"),
        ({"size": [100_000, 300]}, "size is [100000, 300], and at most 16,777,216 pixels are made of an image"),
        ({"crop_size": 30_000}, "crop_size is 30,000"),
        ({"size": EDGES, "counted": True}, "size.shortest_edge is 1,000,000,000"),
        ({"size": {"shortest_edge": 9, "longest_edge": 8}, "counted": True}, "which is more than size.longest_edge, 8"),
        ({"max_dynamic_patch": 10**6, "size": 448}, "max_dynamic_patch is 1,000,000, and at most 83 tiles"),
        ({"candidate_resolutions": [[384, 384], [90_000, 384]]}, "candidate_resolutions is"),
        ({"media_proc_cfg": {"in_token_limit": 10**8}}, "in_token_limit is 100,000,000"),
        ({"size_divisor": 10**6}, "size_divisor is 1,000,000"),
        ({"max_pixels": 10**5000}, "a number of thousands of digits"),
    ],
)
def test_a_value_beyond_all_real_ones_is_named(values: dict[str, Any], told: str) -> None:
    assert told in str(too_much(processor_with(values)))


def processor_with(values: dict[str, Any]) -> Any:
    """A processor whose image processor has these; one that is `counted` takes edges for numbers of pixels."""
    from transformers import Qwen2VLImageProcessor

    kind = Qwen2VLImageProcessor if values.get("counted") else SimpleNamespace
    image_processor = kind.__new__(kind)
    image_processor.__dict__.update(values)
    return SimpleNamespace(image_processor=image_processor)
