"""A fingerprint is that of the content, wherever the folder lies, and says which part of a model has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.catalog import Catalog, ModelInfo, file_identity, fingerprint


@pytest.fixture
def copied(catalog: Catalog, tmp_path: Path) -> ModelInfo:
    """A pocket model in another folder, with other times of change."""
    shutil.copytree(catalog.get("pocket/qwen3").path, tmp_path / "models" / "mine", copy_function=shutil.copy)
    catalog.refresh()
    return catalog.get("mine")


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


def test_a_copy_has_the_fingerprint_of_the_original(copied: ModelInfo, catalog: Catalog) -> None:
    assert fingerprint(copied) == fingerprint(catalog.get("pocket/qwen3"))


@pytest.mark.parametrize("whole", [1 << 26, 1000])
def test_a_changed_weight_changes_the_weights_alone(
    whole: int, copied: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_identity, "WHOLE_BYTES", whole)
    before, file = fingerprint(copied), copied.path / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    assert changed(before, fingerprint(copied)) == ["weights"]


def test_a_changed_template_is_told_wherever_it_stands(copied: ModelInfo) -> None:
    before = fingerprint(copied)
    (copied.path / "chat_template.jinja").write_text("{{ messages }}")
    assert changed(before, fingerprint(copied)) == ["chat_template"]


@pytest.mark.parametrize(("name", "part"), [("config.json", "config"), ("tokenizer.json", "tokenizer")])
def test_other_files_are_told_by_what_they_are_for(name: str, part: str, copied: ModelInfo) -> None:
    before, file = fingerprint(copied), copied.path / name
    file.write_text(json.dumps(json.loads(file.read_text()) | {"more": 1}))
    assert changed(before, fingerprint(copied)) == [part]


def test_what_no_answer_depends_on_does_not_count(copied: ModelInfo) -> None:
    before = fingerprint(copied)
    for name in ("README.md", "._model.safetensors", "notes.txt"):
        (copied.path / name).write_text("words")
    assert changed(before, fingerprint(copied)) == []
