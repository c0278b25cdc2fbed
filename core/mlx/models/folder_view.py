"""A model's folder as the libraries can read it.

They take brackets in a folder's name for a pattern, stumble over a byte-order mark, want to be told of MLX's own
quantisation in MLX's own field, and look for a text model's template where vision models do not keep it. A folder in
which something of that kind is found is shown to them as another: links to its files, and mended copies of a few.
"""

from __future__ import annotations

import codecs
import glob
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.catalog import ModelInfo, ModelKind
from core.catalog.apple_double import is_apple_double
from core.catalog.config import read_json


@contextmanager
def readable(info: ModelInfo) -> Iterator[Path]:
    """The folder to load from, as long as the block lasts: the model's own where nothing stands against it."""
    mended = _mended(info)
    if not mended and glob.escape(str(info.path)) == str(info.path):
        yield info.path
        return
    with TemporaryDirectory(prefix="assay-model-") as made:
        view = Path(made)
        for entry in os.scandir(info.path):
            if entry.name not in mended and not is_apple_double(entry.name):
                (view / entry.name).symlink_to(Path(entry.path).absolute())
        for name, data in mended.items():
            (view / name).write_bytes(data)
        yield view


def _mended(info: ModelInfo) -> dict[str, bytes]:
    """Files that have to differ from the folder's, by name."""
    mended: dict[str, bytes] = {}
    for file in info.path.glob("*.json"):
        with file.open("rb") as opened:
            if opened.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
                mended[file.name] = opened.read()
    config = read_json(info.path / "config.json") or {}
    if (quantisation := _own_quantisation(config)) is not None:
        mended["config.json"] = json.dumps({**config, "quantization": quantisation}).encode()
    if info.kind is ModelKind.TEXT and (template := _only_template(info.path)) is not None:
        mended["chat_template.jinja"] = template.encode()
    return mended


def _own_quantisation(config: dict[str, Any]) -> dict[str, Any] | None:
    """MLX's quantisation where it is found in everybody else's field alone, which then names no method."""
    block = config.get("quantization_config")
    if "quantization" in config or not isinstance(block, dict) or "quant_method" in block:
        return None
    numbers = isinstance(block.get("bits"), int) and isinstance(block.get("group_size"), int)
    return block if numbers else None


def _only_template(folder: Path) -> str | None:
    """The chat template of chat_template.json, where it is nowhere that a tokenizer looks."""
    if (folder / "chat_template.jinja").is_file():
        return None
    if (read_json(folder / "tokenizer_config.json") or {}).get("chat_template"):
        return None
    template = (read_json(folder / "chat_template.json") or {}).get("chat_template")
    return template if isinstance(template, str) else None
