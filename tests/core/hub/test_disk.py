"""What models take of the disk, and what deleting them frees."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir

from core.calls.requests import Message, Role, TextPart
from core.catalog import Catalog
from core.catalog.in_use import hold, is_held
from core.chats.history import FILE, History
from core.chats.tree import Turn
from core.engine import Engine
from core.errors import HubNotFound, InvalidRequest, ModelInUse, ModelNotFound
from core.figures.store import Figures
from core.hub.cache import whole_here
from core.hub.delete import delete, plan_deletion, plan_deletions
from core.hub.disk import read_disk
from core.hub.downloads import Downloads
from core.hub.progress import Stage
from core.hub.records import read_records
from core.hub.use import last_used, memory_budget
from core.settings import Settings
from tests.core.figures.records import kept
from tests.hub import Fault, File, Hub, Repository, pocket_repository

MODEL = "mlx-community/qwen3"


@pytest.fixture
def two_revisions(hub: Hub, hub_settings: Settings) -> Catalog:
    """qwen3 in an older revision and a newer one whose weights are others."""
    downloads = Downloads(hub_settings)
    downloads.wait(downloads.add(MODEL), 30)
    files = hub.repositories[MODEL].commits[0]
    hub.repositories[MODEL].commits.append(
        files | {"model.safetensors": pocket_repository("gemma3").commits[0]["model.safetensors"]}
    )
    downloads.wait(downloads.add(MODEL), 30)
    return Catalog(hub_settings)


def on_disk(settings: Settings) -> int:
    assert settings.hf_cache is not None
    return sum(file.stat().st_size for file in settings.hf_cache.rglob("blobs/*"))


def test_revisions_say_what_they_share(hub: Hub, hub_settings: Settings, two_revisions: Catalog) -> None:
    (model,) = read_disk(hub_settings).models
    newest, oldest = model.revisions
    weights = [files["model.safetensors"].size for files in hub.repositories[MODEL].commits]
    assert [oldest.frees, newest.frees] == weights
    assert newest.refs == ("main",)
    assert model.size_bytes == on_disk(hub_settings)
    assert model.unfinished == 0


def test_deleting_a_revision_keeps_what_the_other_uses(
    hub: Hub, hub_settings: Settings, two_revisions: Catalog
) -> None:
    old = hub.repositories[MODEL].sha(0)
    plan = plan_deletion(two_revisions, MODEL, old[:8])
    before = on_disk(hub_settings)
    assert delete(hub_settings, plan) == before - on_disk(hub_settings) == plan.frees
    info = two_revisions.refresh()
    assert [one.revision for one in info if one.id == MODEL] == [hub.repositories[MODEL].sha(1)]
    with pytest.raises(HubNotFound, match="no revision"):
        plan_deletion(two_revisions, MODEL, "abc")


def test_refs_that_are_no_files_hold_nobody_up(hub_settings: Settings, two_revisions: Catalog) -> None:
    assert hub_settings.hf_cache is not None
    (model,) = read_disk(hub_settings).models
    planned = plan_deletion(two_revisions, MODEL, model.revisions[1].commit)
    for name, target in (("pipe", None), ("zero", "/dev/zero")):
        odd = model.folder / "refs" / name
        os.mkfifo(odd) if target is None else odd.symlink_to(target)
        (counted,) = read_disk(hub_settings).models
        assert (counted.revisions, counted.size_bytes) == ((), model.size_bytes)
        with pytest.raises(InvalidRequest, match=r"it is a .*, not a regular file"):
            delete(hub_settings, planned)
        odd.unlink()
    (model.folder / "refs" / "main").unlink()
    os.mkfifo(model.folder / "refs" / "main")
    assert whole_here(hub_settings.hf_cache, MODEL, None) is None


def test_deleting_a_model_frees_all_of_it(hub_settings: Settings, two_revisions: Catalog) -> None:
    plan = plan_deletion(two_revisions, MODEL)
    assert "2 revisions" in plan.what
    before = on_disk(hub_settings)
    assert delete(hub_settings, plan) == before
    assert hub_settings.hf_cache is not None
    assert scan_cache_dir(hub_settings.hf_cache).repos == frozenset()
    assert MODEL not in [info.id for info in two_revisions.refresh()]
    with pytest.raises(ModelNotFound):
        plan_deletion(two_revisions, MODEL)


def test_an_unfinished_download_is_counted_and_can_be_deleted(hub: Hub, hub_settings: Settings) -> None:
    hub.faults[f"{MODEL}/model.safetensors"] = Fault(pace=(1 << 15, 0.01))
    downloads = Downloads(hub_settings)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 300_000)
    plan = plan_deletion(Catalog(hub_settings), MODEL)
    with pytest.raises(ModelInUse, match="being downloaded"):
        delete(hub_settings, plan)
    downloads.pause(key)
    downloads.wait(key, 30)
    (stored,) = read_disk(hub_settings).models
    assert stored.revisions == ()
    assert stored.unfinished == stored.size_bytes == on_disk(hub_settings) > 0
    plan = plan_deletion(Catalog(hub_settings), MODEL)
    assert delete(hub_settings, plan) == stored.size_bytes
    assert read_records(hub_settings) == []
    assert on_disk(hub_settings) == 0


def test_a_model_whose_download_began_since_it_was_to_be_deleted_stays(hub: Hub, hub_settings: Settings) -> None:
    downloads = Downloads(hub_settings)
    downloads.wait(downloads.add(MODEL), 30)
    plan = plan_deletion(Catalog(hub_settings), MODEL)
    files = hub.repositories[MODEL].commits[-1]
    newer = File(files["model.safetensors"].content[:-1] + b"x", lfs=True)
    hub.repositories[MODEL].commits.append(files | {"model.safetensors": newer})
    hub.faults[f"{MODEL}/model.safetensors"] = Fault(pace=(1 << 15, 0.01))
    before = hub.bytes_of(MODEL)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, before + 100_000)
    with pytest.raises(ModelInUse, match="being downloaded"):
        delete(hub_settings, plan)
    hub.faults.clear()
    assert downloads.wait(key, 30).stage is Stage.DONE


def test_a_model_in_use_is_not_deleted(hub: Hub, hub_settings: Settings) -> None:
    downloads = Downloads(hub_settings)
    downloads.wait(downloads.add(MODEL), 30)
    plan = plan_deletion(Catalog(hub_settings), MODEL)
    with pytest.raises(ModelInUse):
        delete(hub_settings, plan, loaded=frozenset({MODEL}))
    with Engine(hub_settings) as engine:
        engine.load(MODEL).result()
        with pytest.raises(ModelInUse, match="loaded"):
            delete(hub_settings, plan)
        engine.unload(MODEL).result()
        delete(hub_settings, plan)
    assert on_disk(hub_settings) == 0


def test_a_hold_is_seen_until_it_ends(tmp_path: Path) -> None:
    ends = [hold(tmp_path), hold(tmp_path)]
    for end in ends:
        assert is_held(tmp_path)
        end()
    assert not is_held(tmp_path)
    hold(tmp_path / "nothing")()


def test_the_same_file_in_two_models_is_a_duplicate(hub: Hub, hub_settings: Settings) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository("me/copy", [files | {"config.json": File(files["config.json"].content + b"\n")}]))
    downloads = Downloads(hub_settings)
    for model in (MODEL, "me/copy"):
        downloads.wait(downloads.add(model), 30)
    disk = read_disk(hub_settings)
    assert [(duplicate.name, duplicate.models) for duplicate in disk.duplicates] == [
        ("model.safetensors", ("me/copy", MODEL)),
        ("tokenizer.json", ("me/copy", MODEL)),
    ]
    assert disk.duplicates[0].wasted == files["model.safetensors"].size
    assert disk.size_bytes == on_disk(hub_settings)


def test_a_file_that_two_models_share_by_a_link_takes_room_once(hub: Hub, hub_settings: Settings) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository("me/copy", [files]))
    downloads = Downloads(hub_settings)
    for model in (MODEL, "me/copy"):
        downloads.wait(downloads.add(model), 30)
    assert hub_settings.hf_cache is not None
    weights = files["model.safetensors"]
    one, other = hub_settings.hf_cache.rglob(f"blobs/{weights.sha256}")
    other.unlink()
    other.hardlink_to(one)
    disk = read_disk(hub_settings)
    assert disk.size_bytes == on_disk(hub_settings) - weights.size
    assert [twice.name for twice in disk.duplicates] == ["tokenizer.json"]
    plan = plan_deletion(Catalog(hub_settings), MODEL)
    before = disk.size_bytes
    assert delete(hub_settings, plan) == before - read_disk(hub_settings).size_bytes


def test_what_lies_out_of_the_cache_is_not_counted_and_stays(
    hub: Hub, hub_settings: Settings, two_revisions: Catalog, tmp_path: Path
) -> None:
    new, old = two_revisions.get(MODEL).path, hub.repositories[MODEL].sha(0)
    weights = [path / "model.safetensors" for path in (new, new.with_name(old))]
    for place in weights:
        outside = tmp_path / f"{place.parent.name}.safetensors"
        place.resolve().rename(outside)
        place.unlink()
        place.symlink_to(outside)
    total = sum((tmp_path / f"{place.parent.name}.safetensors").stat().st_size for place in weights)
    before = on_disk(hub_settings)
    assert read_disk(hub_settings).models[0].size_bytes == before < total
    plan = plan_deletion(two_revisions, MODEL, old)
    assert plan.frees == delete(hub_settings, plan) == 0
    (new.parent / old).symlink_to(tmp_path, target_is_directory=True)
    plan = plan_deletion(two_revisions, MODEL)
    assert plan.frees == delete(hub_settings, plan) == before
    assert all((tmp_path / f"{place.parent.name}.safetensors").exists() for place in weights)


def test_a_copy_made_of_hard_links_frees_nothing(hub: Hub, hub_settings: Settings, two_revisions: Catalog) -> None:
    folder = two_revisions.get(MODEL).path.parents[1]
    copy = folder.with_name("models--me--copy")
    for file in [file for file in folder.rglob("*") if file.is_file()]:
        place = copy / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.hardlink_to(file.resolve())
    disk = read_disk(hub_settings)
    one = disk.model("me/copy")
    assert one is not None
    assert (one.size_bytes, one.unfinished, one.frees) == (on_disk(hub_settings) // 2, 0, 0)
    assert disk.size_bytes == one.size_bytes
    for stored in disk.models:
        assert [revision.frees for revision in stored.revisions] == [0, 0]
    commit = hub.repositories[MODEL].sha(0)
    assert delete(hub_settings, plan_deletion(two_revisions, "me/copy", commit)) == 0
    assert (folder / "snapshots" / commit).is_dir(), "another model's, of the same name"
    assert delete(hub_settings, plan_deletion(two_revisions, "me/copy")) == 0
    assert two_revisions.get(MODEL).problem is None


def test_what_models_share_in_huggingface_hubs_own_store_goes_with_the_last_of_them(
    hub: Hub, hub_settings: Settings
) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository("me/copy", [files]))
    downloads, cache = Downloads(hub_settings), hub_settings.hf_cache
    assert cache is not None
    for model in (MODEL, "me/copy"):
        downloads.wait(downloads.add(model), 30)
    size, digest = files["model.safetensors"].size, files["model.safetensors"].sha256
    shared = cache / "blobs" / digest[:2] / digest
    shared.parent.mkdir(parents=True)
    (cache / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    names = []
    for blob in list(cache.glob(f"models--*/blobs/{digest}")):
        blob.replace(shared)
        blob.symlink_to(f"../../blobs/{digest[:2]}/{digest}")
        names.append(f"{blob.relative_to(cache)}\n")
    shared.with_name(f"{digest}.refs").write_text("".join(names))
    disk, catalog = read_disk(hub_settings), Catalog(hub_settings)
    assert disk.linked == size
    plan = plan_deletion(catalog, "me/copy")
    rest = disk.models[0].size_bytes - size
    assert plan.frees == delete(hub_settings, plan) == rest
    assert catalog.get(MODEL).problem is None
    plan = plan_deletion(catalog, MODEL)
    assert plan.frees == delete(hub_settings, plan) == rest + size
    assert not shared.exists()


def test_a_model_that_was_moved_and_linked_is_refused_before_anything_is_asked(
    hub_settings: Settings, two_revisions: Catalog, tmp_path: Path
) -> None:
    folder = two_revisions.get(MODEL).path.parents[1]
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(InvalidRequest, match=f"is a link to {tmp_path / 'moved'}"):
        plan_deletion(two_revisions, MODEL)
    with pytest.raises(InvalidRequest, match="remove the link"):
        plan_deletions(two_revisions, read_disk(hub_settings), MODEL)


def test_all_that_can_be_deleted_of_a_model_is_told_at_once(hub_settings: Settings, two_revisions: Catalog) -> None:
    disk = read_disk(hub_settings)
    everything, newest, oldest = plan_deletions(two_revisions, disk, MODEL)
    assert everything == plan_deletion(two_revisions, MODEL)
    assert newest.what.endswith("(main)")
    for plan, revision in ((newest, disk.models[0].revisions[0]), (oldest, disk.models[0].revisions[1])):
        assert plan == plan_deletion(two_revisions, MODEL, revision.commit)
        assert plan.frees + plan.stays == revision.size_bytes
    with pytest.raises(InvalidRequest, match="built in"):
        plan_deletions(two_revisions, disk, "pocket/qwen3")


def test_the_users_own_folders_and_built_in_models_stay(hub_settings: Settings, tmp_path: Path) -> None:
    pocket = Catalog(hub_settings).get("pocket/qwen3").path
    shutil.copytree(pocket, tmp_path / "own" / "mine")
    settings = hub_settings.model_copy(update={"model_folders": [tmp_path / "own"]})
    catalog = Catalog(settings)
    with pytest.raises(InvalidRequest, match="built in"):
        plan_deletion(catalog, "pocket/qwen3")
    with pytest.raises(InvalidRequest, match="--own-folder"):
        plan_deletion(catalog, "mine")
    delete(settings, plan_deletion(catalog, "mine", own_folder=True))
    assert not (tmp_path / "own" / "mine").exists()
    assert (tmp_path / "own").exists()


def test_the_last_answer_of_a_chat_tells_when_a_model_was_used(hub_settings: Settings) -> None:
    hub_settings.data_dir.mkdir()
    with History(hub_settings.data_dir / FILE) as history:
        chat = history.start("hello", MODEL)
        history.add(chat.id, Turn(Message(Role.USER, (TextPart("hello"),))))
        assert history.last_used() == {}
        began = time.time()
        history.add(chat.id, Turn(Message(Role.ASSISTANT, (TextPart("hi"),)), model=MODEL))
    used = last_used(hub_settings)
    assert list(used) == [MODEL]
    assert began <= used[MODEL] <= time.time()
    (hub_settings.data_dir / FILE).write_bytes(b"no database" * 1000)
    assert last_used(hub_settings) == {}


def test_figures_tell_it_too_and_the_later_of_both_counts(hub_settings: Settings) -> None:
    with Figures(hub_settings.figures_file) as figures:
        figures.add([kept("over/http", at=5.0), kept("over/http", at=9.0), kept(MODEL, at=7.0)])
    assert last_used(hub_settings) == {"over/http": 9.0, MODEL: 7.0}
    with History(hub_settings.data_dir / FILE) as history:
        chat = history.start("hello", MODEL)
        history.add(chat.id, Turn(Message(Role.ASSISTANT, (TextPart("hi"),)), model=MODEL))
    assert last_used(hub_settings)[MODEL] > 7.0
    hub_settings.figures_file.write_bytes(b"no database" * 1000)
    assert list(last_used(hub_settings)) == [MODEL]


def test_an_empty_machine_has_an_empty_disk(hub_settings: Settings) -> None:
    disk = read_disk(hub_settings)
    assert (disk.models, disk.size_bytes) == ((), 0)
    assert disk.free > 0
    assert last_used(hub_settings) == {}
    assert memory_budget(hub_settings) == 8_000_000_000
