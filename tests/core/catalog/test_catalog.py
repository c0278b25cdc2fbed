"""What the list of models holds, seen through the Catalog over real folders."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.catalog import Catalog, ModelKind
from core.errors import ModelNotFound
from core.pocket import POCKET_MODELS
from core.settings import Settings


def test_importing_the_catalog_and_listing_imports_no_inference_library():
    program = (
        "import sys\n"
        "from core.catalog import Catalog\n"
        "from core.settings import Settings\n"
        "Catalog(Settings(hf_cache='/nonexistent')).list()\n"
        "heavy = {'mlx', 'mlx_lm', 'mlx_vlm', 'mlx_audio', 'transformers', 'tokenizers', 'torch', 'numpy'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pocket_models_come_first_then_ids_in_order(catalog, build, add_to_cache, tmp_path):
    add_to_cache("org/zeta", build(tmp_path / "x"))
    build(tmp_path / "models" / "alpha")
    ids = [info.id for info in catalog.list()]
    assert ids == [*sorted(model.id for model in POCKET_MODELS), "alpha", "org/zeta"]


def test_pocket_models_without_files_are_listed_as_incomplete(catalog, monkeypatch, tmp_path):
    from core.pocket import PocketModel

    empty = PocketModel("pocket/empty", tmp_path / "nowhere", "text", "quick", "A model.")
    monkeypatch.setattr("core.catalog.places.POCKET_MODELS", (empty,))
    (info,) = catalog.list()
    assert info.id == "pocket/empty"
    assert info.problem is not None
    assert info.problem.startswith("incomplete")


def test_a_cached_model_has_the_commit_of_main_as_its_revision(catalog, build, add_to_cache, tmp_path):
    add_to_cache("org/name", build(tmp_path / "old"), commit="1" * 40, main=True)
    add_to_cache("org/name", build(tmp_path / "new"), commit="2" * 40, main=False)
    info = catalog.get("org/name")
    assert (info.source, info.revision, info.problem) == ("cache", "1" * 40, None)
    assert info.path.name == "1" * 40
    assert info.size_bytes == sum(file.stat().st_size for file in info.path.iterdir())


def test_without_main_the_newest_snapshot_is_taken(catalog, build, add_to_cache, tmp_path):
    for number, commit in enumerate(("1" * 40, "3" * 40, "2" * 40)):
        snapshot = add_to_cache("org/name", build(tmp_path / commit), commit=commit, main=False)
        os.utime(snapshot, (1_000_000 + number, 1_000_000 + number))
    assert catalog.get("org/name").revision == "2" * 40


def test_folders_are_searched_two_levels_deep(catalog, build, tmp_path):
    root = tmp_path / "models"
    build(root / "one")
    build(root / "org" / "two")
    build(root / "a" / "b" / "three")
    build(root / ".hidden" / "four")
    assert [info.id for info in catalog.list() if info.source == "folder"] == ["one", "org/two"]


def test_a_folder_that_is_itself_a_model_is_one_model(cache_dir, build, tmp_path):
    folder = build(tmp_path / "mine")
    catalog = Catalog(Settings(hf_cache=cache_dir, model_folders=[folder]))
    assert catalog.get("mine").path == folder


def test_two_models_of_one_name_get_two_ids(cache_dir, build, tmp_path):
    first, second = build(tmp_path / "a" / "same"), build(tmp_path / "b" / "same")
    catalog = Catalog(Settings(hf_cache=cache_dir, model_folders=[first.parent, second.parent]))
    assert catalog.get("same").path == first
    assert catalog.get("b/same").path == second


def test_an_unknown_id_names_the_nearest_models(catalog, build, tmp_path):
    build(tmp_path / "models" / "org" / "Qwen3-0.6B-4bit")
    with pytest.raises(ModelNotFound, match=r"'org/Qwen3-0.6B-8bit'.*Did you mean org/Qwen3-0.6B-4bit"):
        catalog.get("org/Qwen3-0.6B-8bit")


@pytest.mark.parametrize("model_id", ["", "Alpha", "alpha ", "../models/alpha", "models/alpha", "alph"])
def test_get_takes_exact_ids_alone(catalog, build, tmp_path, model_id):
    build(tmp_path / "models" / "alpha")
    with pytest.raises(ModelNotFound):
        catalog.get(model_id)


def test_refresh_sees_new_changed_and_deleted_models(catalog, build, tmp_path):
    build(tmp_path / "models" / "kept")
    changed = build(tmp_path / "models" / "changed")
    gone = build(tmp_path / "models" / "gone")
    before = {info.id: info for info in catalog.list()}
    build(tmp_path / "models" / "new")
    (changed / "model.safetensors").write_bytes(b"")
    for file in gone.iterdir():
        file.unlink()
    assert {info.id: info for info in catalog.list()} == before
    after = {info.id: info for info in catalog.refresh()}
    assert after["kept"] is before["kept"]
    assert "new" in after
    assert "gone" not in after
    assert after["changed"].problem is not None


def test_what_is_no_mlx_model_is_hidden_until_asked_for(catalog, build, tmp_path):
    root = tmp_path / "models"
    build(root / "gguf", None, {}, files={"model.Q4_K_M.gguf": "GGUF"})
    build(root / "diffusers", None, {}, files={"model_index.json": "{}"})
    build(root / "adapter", None, {}, files={"adapter_config.json": "{}", "adapters.safetensors": ""})
    build(root / "pickle", tensors={}, files={"pytorch_model.bin": "x"})
    build(root / "vit", {"model_type": "vit", "architectures": ["ViTForImageClassification"]})
    ids = {"gguf", "diffusers", "adapter", "pickle", "vit"}
    assert ids.isdisjoint(info.id for info in catalog.list())
    reasons = {info.id: info.problem for info in catalog.list(all=True) if info.id in ids}
    assert "llama.cpp" in reasons["gguf"]
    assert "diffusers" in reasons["diffusers"]
    assert "LoRA" in reasons["adapter"]
    assert "pickled" in reasons["pickle"]
    assert "'vit'" in reasons["vit"]
    assert all(reason.startswith("unsupported: ") for reason in reasons.values())


def test_datasets_and_stray_files_in_the_cache_are_no_models(catalog, cache_dir):
    (cache_dir / "datasets--org--data" / "snapshots" / "x").mkdir(parents=True)
    (cache_dir / "version.txt").write_text("1")
    (cache_dir / "models--org--only-refs" / "refs").mkdir(parents=True)
    assert [info for info in catalog.list(all=True) if info.source != "pocket"] == []


def test_many_threads_get_one_scan(catalog, build, tmp_path):
    for number in range(20):
        build(tmp_path / "models" / f"m{number}")
    results: list[list[object]] = []
    threads = [threading.Thread(target=lambda: results.append(list(catalog.list()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all([id(a) for a in result] == [id(b) for b in results[0]] for result in results)


def test_an_unreadable_folder_does_not_hide_the_others(cache_dir, build, tmp_path):
    good = build(tmp_path / "good" / "model").parent
    catalog = Catalog(Settings(hf_cache=cache_dir, model_folders=[tmp_path / "missing", Path("/proc/1/root"), good]))
    assert catalog.get("model").kind is ModelKind.TEXT


def test_folders_that_are_not_there_are_noted_and_named_when_a_model_is_missed(tmp_path):
    (tmp_path / "file").write_text("")
    folders = [tmp_path / "gone", tmp_path, tmp_path / "file"]
    catalog = Catalog(Settings(hf_cache=tmp_path / "cache", model_folders=folders))
    gone = f"The model folder {tmp_path / 'gone'} does not exist."
    assert catalog.notes() == (gone, f"The model folder {tmp_path / 'file'} is a file.")
    with pytest.raises(ModelNotFound) as caught:
        catalog.get("big/model")
    assert gone in caught.value.message
    (tmp_path / "gone").mkdir()
    assert len(catalog.notes()) == 1


@pytest.fixture
def slow(catalog, monkeypatch) -> list[int]:
    """The catalog has just taken long for a scan: another may not be for minutes. Those that it makes are counted."""
    catalog.list()
    catalog._scan_s, catalog._scan_ended = 100.0, time.monotonic()
    scans: list[int] = []
    scan = catalog._scanned

    def counted():
        if catalog._models is None:
            scans.append(1)
        return scan()

    monkeypatch.setattr(catalog, "_scanned", counted)
    return scans


@pytest.mark.parametrize("model_id", ["later", "org/later"])
def test_a_model_that_was_added_since_is_found_at_once(catalog, build, tmp_path, slow, model_id):
    with pytest.raises(ModelNotFound):
        catalog.get(model_id)
    build(tmp_path / "models" / model_id)
    assert catalog.get(model_id).problem is None
    assert model_id in [info.id for info in catalog.list()]
    assert slow == []


@pytest.mark.parametrize("model_id", ["later", "org/later"])
def test_a_download_since_is_found_at_once(catalog, build, add_to_cache, cache_dir, tmp_path, slow, model_id):
    with pytest.raises(ModelNotFound):
        catalog.get(model_id)
    blobs = cache_dir / ("models--" + model_id.replace("/", "--")) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "a.incomplete").write_text("")
    assert "download has not ended" in catalog.get(model_id).problem
    (blobs / "a.incomplete").unlink()
    add_to_cache(model_id, build(tmp_path / "x"))
    assert (catalog.get(model_id).problem, catalog.get(model_id).source) == (None, "cache")
    assert slow == []


def test_a_model_that_was_completed_since_is_no_longer_incomplete(catalog, build, tmp_path):
    folder = build(tmp_path / "models" / "half", shards=2)
    shard = folder / "model-00002-of-00002.safetensors"
    data = shard.read_bytes()
    shard.unlink()
    problem = catalog.get("half").problem
    assert problem is not None
    assert "missing shard" in problem
    catalog._scan_s, catalog._scan_ended = 100.0, time.monotonic()
    shard.write_bytes(data)
    assert catalog.get("half").problem is None


def test_a_second_model_of_a_name_is_looked_at_where_it_lies(cache_dir, build, tmp_path):
    first, second = build(tmp_path / "a" / "same"), build(tmp_path / "b" / "same")
    weights = second / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1])
    catalog = Catalog(Settings(hf_cache=cache_dir, model_folders=[first.parent, second.parent]))
    assert catalog.get("b/same").problem is not None
    catalog._scan_s, catalog._scan_ended = 100.0, time.monotonic()
    weights.write_bytes(data)
    assert (catalog.get("b/same").problem, catalog.get("b/same").path) == (None, second)
    assert catalog.get("same").path == first


def test_wrong_names_take_only_a_part_of_the_time(catalog, slow):
    for name in ("nobody", "no/body", "../models", "/etc", "a\0b", "", "models--x", "."):
        with pytest.raises(ModelNotFound):
            catalog.get(name)
    assert slow == []
    catalog._scan_ended = time.monotonic() - 1000
    with pytest.raises(ModelNotFound):
        catalog.get("nobody")
    assert slow == [1]


@pytest.mark.parametrize("asked", ["ORG/name-a", "org/NAME-A", "org/name_a"])
def test_a_name_in_another_case_is_suggested(catalog, build, add_to_cache, tmp_path, asked):
    add_to_cache("org/Name-A", build(tmp_path / "x"))
    add_to_cache("org/other", build(tmp_path / "y"))
    with pytest.raises(ModelNotFound, match=r"Did you mean org/Name-A( or .*)?\?"):
        catalog.get(asked)


def test_the_same_name_in_another_case_is_suggested_alone(catalog, build, add_to_cache, tmp_path):
    for number, name in enumerate(("org/UPPER-Case", "org/upper-cases", "org/upper-cast")):
        add_to_cache(name, build(tmp_path / str(number)))
    with pytest.raises(ModelNotFound, match=r"Did you mean org/UPPER-Case\?"):
        catalog.get("org/upper-case")


def test_what_macos_leaves_beside_files_condemns_no_folder(catalog, build, tmp_path):
    folder = build(tmp_path / "models" / "mac", shards=2)
    for file in [*folder.iterdir()]:
        (folder / f"._{file.name}").write_bytes(b"\0\5\26\7 Mac OS X")
    (tmp_path / "models" / "nothing").mkdir()
    (tmp_path / "models" / "nothing" / "._model.safetensors").write_bytes(b"\0\5\26\7")
    info = catalog.get("mac")
    assert info.problem is None
    assert info.size_bytes == sum(f.stat().st_size for f in folder.iterdir() if not f.name.startswith("."))
    assert "nothing" not in [found.id for found in catalog.list(all=True)]


def test_a_byte_order_mark_is_no_fault(catalog, build, tmp_path):
    folder = build(tmp_path / "models" / "marked")
    for name in ("config.json", "tokenizer_config.json"):
        (folder / name).write_text("\ufeff" + (folder / name).read_text(), encoding="utf-8")
    info = catalog.get("marked")
    assert (info.problem, info.kind, info.tools) == (None, ModelKind.TEXT, True)
