"""Descriptions that outlive the program: believed for the same files and the same readers, and for nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.catalog import Catalog, catalog
from core.catalog.kept import kept_file
from core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        hf_cache=tmp_path / "hub",
        model_folders=[tmp_path / "models"],
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "kept",
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the models that were read from their folders."""
    ids: list[str] = []
    describe = catalog.describe

    def noted(found, *arguments):
        ids.append(found.id)
        return describe(found, *arguments)

    monkeypatch.setattr(catalog, "describe", noted)
    return ids


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written just now count as old; a test says otherwise where that matters."""
    monkeypatch.setattr("core.catalog.kept.TICK_NS", -(10**12))


def test_another_program_reads_only_what_has_changed(settings, build, tmp_path, read):
    for name in ("a", "b"):
        build(tmp_path / "models" / name)
    first = Catalog(settings).list()
    read.clear()
    assert Catalog(settings).list() == first
    assert read == []
    (tmp_path / "models" / "a" / "config.json").write_text("{}")
    Catalog(settings).list()
    assert read == ["a"]


@pytest.mark.parametrize("what", ["model.safetensors", "config.json", "tokenizer.json", "new.json", "gone", "renamed"])
def test_any_change_of_a_file_is_seen(settings, build, tmp_path, read, what):
    folder = build(tmp_path / "models" / "a", files={"extra.json": "{}"})
    Catalog(settings).list()
    read.clear()
    match what:
        case "gone":
            (folder / "extra.json").unlink()
        case "renamed":
            (folder / "extra.json").rename(folder / "other.json")
        case "new.json":
            (folder / what).write_text("{}")
        case name:  # as long as before, and with its old times, as some copying programs leave it
            about = (folder / name).stat()
            (folder / name).write_bytes((folder / name).read_bytes()[::-1])
            os.utime(folder / name, ns=(about.st_atime_ns, about.st_mtime_ns))
    fresh = Catalog(settings.model_copy(update={"cache_dir": tmp_path / "none"})).list()
    read.clear()
    assert Catalog(settings).list() == fresh
    assert read == ["a"]


def test_a_model_with_a_problem_is_looked_at_each_time(settings, build, tmp_path, read):
    build(tmp_path / "models" / "a", shards=3)
    missing = next((tmp_path / "models" / "a").glob("model-00002*"))
    away = missing.rename(tmp_path / "away")
    Catalog(settings).list()
    read.clear()
    Catalog(settings).list()
    assert read == ["a"]
    away.rename(missing)
    assert Catalog(settings).get("a").problem is None


def test_files_changed_just_now_are_not_believed_later(settings, build, tmp_path, read, monkeypatch):
    monkeypatch.setattr("core.catalog.kept.TICK_NS", 10**12)
    build(tmp_path / "models" / "a")
    Catalog(settings).list()
    read.clear()
    Catalog(settings).list()
    assert "a" in read


def test_other_settings_and_other_code_read_anew(settings, build, tmp_path, read, monkeypatch):
    build(tmp_path / "models" / "a")
    Catalog(settings).list()
    for change in ({"allow_code": ["a"]}, {"prefill_chunk": settings.prefill_chunk + 1}):
        read.clear()
        Catalog(settings.model_copy(update=change)).list()
        assert "a" in read
    Catalog(settings).list()
    monkeypatch.setattr("core.catalog.kept._readers", lambda: ["another version"])
    read.clear()
    Catalog(settings).list()
    assert "a" in read


def broken(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        content = json.loads(data)
        change(content)
        return json.dumps(content).encode()

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"\xff" + data,
        lambda data: b"[" * 1_000_000,
        lambda data: b"null",
        broken(lambda content: content["models"][0]["info"].update(size_bytes="many")),
        broken(lambda content: content["models"][0]["info"].update(kind="spell")),
        broken(lambda content: content["models"][0].pop("files")),
        broken(lambda content: content.update(depends="something else")),
    ],
)
def test_a_damaged_or_foreign_file_counts_as_none(settings, build, tmp_path, damage):
    build(tmp_path / "models" / "a")
    before = Catalog(settings).list()
    file = kept_file(settings)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert Catalog(settings).list() == before
    assert json.loads(file.read_bytes()) == json.loads(whole), "and is written anew"


def test_names_that_are_no_unicode_cost_speed_alone(settings, build, tmp_path):
    build(tmp_path / "models" / "a")
    build(Path(os.fsdecode(os.fsencode(tmp_path / "models") + b"/odd-\xff")))
    assert len(Catalog(settings).list()) == len(Catalog(settings).list())


def test_a_folder_that_cannot_be_written_costs_speed_alone(settings, build, tmp_path):
    build(tmp_path / "models" / "a")
    (tmp_path / "kept").write_text("a file is in the way")
    assert Catalog(settings).get("a").problem is None
