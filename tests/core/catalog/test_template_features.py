"""Which chat templates a folder has, wherever they lie, and which of them counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.catalog import Catalog, ModelKind
from core.catalog.template_features import read_templates

FILE, TOOLS, CONFIG, PROCESSOR = (
    "chat_template.jinja",
    "additional_chat_templates/tool_use.jinja",
    "tokenizer_config.json",
    "chat_template.json",
)


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        file = folder / {"file": FILE, "tools": TOOLS, "config": CONFIG, "processor": PROCESSOR}[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if file.suffix == ".jinja" else json.dumps({"chat_template": content}))
    return folder


def named(**templates: str) -> list[dict[str, str]]:
    return [{"name": name, "template": text} for name, text in templates.items()]


@pytest.mark.parametrize(
    ("files", "chosen", "found"),
    [
        ({}, {}, True),
        ({"file": "a"}, {"default": "a"}, True),
        ({"config": "a"}, {"default": "a"}, True),
        ({"file": "a", "config": "b", "processor": "c"}, {"default": "a"}, True),
        ({"file": "a", "tools": "t"}, {"default": "a", "tool_use": "t"}, True),
        ({"config": named(default="a", tool_use="t")}, {"default": "a", "tool_use": "t"}, True),
        ({"processor": "a"}, {"default": "a"}, False),
        ({"processor": named(default="a", tool_use="t")}, {"default": "a", "tool_use": "t"}, False),
        ({"tools": "t"}, {"default": "t", "tool_use": "t"}, False),
        ({"tools": "t", "config": "a"}, {"default": "a", "tool_use": "t"}, False),
        ({"config": named(rag="r", tool_use="t")}, {"default": "t", "rag": "r", "tool_use": "t"}, False),
        ({"config": named(rag="r", other="o")}, {}, False),
        ({"config": 7, "processor": [1, {"name": "a"}]}, {}, True),
    ],
)
def test_the_default_is_found_wherever_it_lies(
    tmp_path: Path, files: dict[str, Any], chosen: dict[str, str], found: bool
) -> None:
    templates = read_templates(write(tmp_path, **files))
    assert templates.chosen == chosen
    assert templates.found(processor=False) is found


def test_what_cannot_be_rendered_is_not_listed(catalog: Catalog, build: Any, tmp_path: Path) -> None:
    thinks = "{% if tools %}{{ tools }}{% endif %}<think>{{ messages }}"
    folder = build(tmp_path / "models" / "odd", template=None)
    write(folder, config=named(rag=thinks, other=thinks))
    info = catalog.get("odd")
    assert (info.kind, info.problem, info.tools, info.thinking) == (ModelKind.TEXT, None, False, False)
