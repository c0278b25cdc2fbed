"""A model's folder as the libraries can read it.

They take brackets in a folder's name for a pattern, stumble over a byte-order mark, want to be told of MLX's own
quantisation in MLX's own field, and look for a text model's template where vision models do not keep it, and for a
default among several. A folder in
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
from core.catalog.bounds import VOCABULARY
from core.catalog.config import read_json
from core.catalog.packing import mended_quantisation
from core.catalog.template_features import read_templates
from core.catalog.weights import find_files, read_headers
from core.regular_files import open_regular

_QUANTISATION = ("quantization", "quantization_config")
"""Where MLX's loaders look for how weights are packed; the second is everybody else's field."""


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
            if data is not None:
                (view / name).write_bytes(data)
        yield view


def _mended(info: ModelInfo) -> dict[str, bytes | None]:
    """Files that have to differ from the folder's, by name; None for what is not to be seen."""
    mended: dict[str, bytes | None] = {}
    for file in info.path.glob("*.json"):
        with open_regular(file) as opened:
            if opened.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
                mended[file.name] = opened.read(VOCABULARY.limit)
    config = read_json(info.path / "config.json") or {}
    quantisation = mended_quantisation(config, read_headers(find_files(info.path)))
    if quantisation is not None:
        others = _without_quantisation(config)
        told = dict.fromkeys(_QUANTISATION, quantisation) if quantisation else {}
        mended["config.json"] = json.dumps(others | told).encode()
    if info.kind in (ModelKind.TEXT, ModelKind.VISION):
        templates = read_templates(info.path)
        if not templates.found(processor=info.kind is ModelKind.VISION):
            named = [{"name": name, "template": text} for name, text in templates.chosen.items()]
            tokenizer = read_json(info.path / "tokenizer_config.json") or {}
            mended |= dict.fromkeys(("chat_template.jinja", "additional_chat_templates", "chat_template.json"))
            mended["tokenizer_config.json"] = json.dumps({**tokenizer, "chat_template": named or None}).encode()
    return mended


def _without_quantisation(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration that says nothing of packed weights, its text part included."""
    left = {name: value for name, value in config.items() if name not in _QUANTISATION}
    inner = left.get("text_config")
    return left | ({"text_config": _without_quantisation(inner)} if isinstance(inner, dict) else {})
