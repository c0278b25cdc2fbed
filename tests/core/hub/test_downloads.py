"""Downloads from the Hub of the tests: whole, gone on with, several, stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from huggingface_hub import constants, scan_cache_dir, snapshot_download

from core.catalog import Catalog
from core.hub import fetch
from core.hub.cache import repository_folder
from core.hub.delete import delete, plan_deletion
from core.hub.downloads import Downloads, downloading
from core.hub.progress import Stage
from core.hub.records import read_records
from core.settings import Settings
from tests.core.hub.conftest import MODEL, WEIGHTS, download
from tests.hub import Fault, Hub, Repository, pocket_repository

SLOW = (1 << 15, 0.005)


def names(hub: Hub) -> set[str]:
    return {name.removeprefix(f"{MODEL}/") for name in hub.served}


def test_a_model_arrives_whole_in_the_caches_own_layout(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    stages: list[Stage] = []
    downloads.listen(lambda progress: stages.append(progress.stage))
    done = download(downloads)
    assert (done.stage, done.problem) == (Stage.DONE, "")
    assert done.done == done.total == hub.bytes_of(MODEL)
    assert list(dict.fromkeys(stages)) == [Stage.QUEUED, Stage.LOOKING, Stage.RUNNING, Stage.DONE]
    files = hub.repositories[MODEL].commits[-1]
    info = Catalog(hub_settings).get(MODEL)
    assert info.problem is None
    assert info.revision == hub.repositories[MODEL].sha()
    assert all((info.path / name).read_bytes() == files[name].content for name in names(hub))
    assert names(hub) == set(files) - {"pytorch_model.bin", "onnx/model.onnx", ".gitattributes"}
    assert read_records(hub_settings) == []
    (repository,) = scan_cache_dir(hub_settings.hf_cache).repos
    assert {revision.commit_hash: set(revision.refs) for revision in repository.revisions} == {info.revision: {"main"}}


def test_the_librarys_own_download_finds_every_file_there(
    hub: Hub, hub_settings: Settings, downloads: Downloads
) -> None:
    download(downloads)
    before = hub.bytes_of(MODEL)
    snapshot_download(MODEL, cache_dir=hub_settings.hf_cache, allow_patterns=["*.json", "*.safetensors", "*.jinja"])
    assert hub.bytes_of(MODEL) == before


def test_what_is_there_already_is_not_fetched(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    snapshot_download(MODEL, cache_dir=hub_settings.hf_cache, allow_patterns=["*.safetensors"])
    assert download(downloads).stage is Stage.DONE
    assert hub.served[WEIGHTS] == hub.repositories[MODEL].commits[-1]["model.safetensors"].size
    assert Catalog(hub_settings).get(MODEL).problem is None


def test_everything_can_be_asked_for(hub: Hub, downloads: Downloads) -> None:
    download(downloads, everything=True)
    assert names(hub) == set(hub.repositories[MODEL].commits[-1])


def test_a_stream_that_breaks_off_is_gone_on_with(hub: Hub, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(cut_after=300_000, times=3)
    assert download(downloads).stage is Stage.DONE
    size = hub.repositories[MODEL].commits[-1]["model.safetensors"].size
    assert size <= hub.served[WEIGHTS] <= size + 3 * fetch.CHUNK
    ranges = [asked.headers["range"] for asked in hub.asked if "range" in asked.headers]
    assert len(ranges) >= 3


def test_a_stream_that_always_breaks_off_keeps_what_came_and_says_so(
    hub: Hub, hub_settings: Settings, downloads: Downloads
) -> None:
    hub.faults[WEIGHTS] = Fault(cut_after=0)
    failed = download(downloads)
    assert failed.stage is Stage.FAILED
    assert "broke off" in failed.problem or "cannot be reached" in failed.problem
    (record,) = read_records(hub_settings)
    assert record.problem == failed.problem
    hub.faults.clear()
    assert downloads.wait(downloads.add(MODEL), 30).stage is Stage.DONE


def test_pause_and_resume_fetch_nothing_twice(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 400_000)
    downloads.pause(key)
    paused = downloads.wait(key, 30)
    assert paused.stage is Stage.PAUSED
    assert 0 < paused.done < paused.total
    downloads.resume(key)
    assert downloads.wait(key, 30).stage is Stage.DONE
    size = hub.repositories[MODEL].commits[-1]["model.safetensors"].size
    assert size <= hub.served[WEIGHTS] <= size + fetch.CHUNK


def test_a_restart_finds_the_unfinished_and_its_commit(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 400_000)
    downloads.close()
    first = hub.repositories[MODEL].sha()
    hub.repositories[MODEL].commits.append(
        hub.repositories[MODEL].commits[0] | {"extra.json": hub.repositories[MODEL].commits[0]["config.json"]}
    )
    later = Downloads(hub_settings)
    (found,) = later.restore()
    assert (found.key, found.stage, found.commit) == (key, Stage.PAUSED, first)
    assert 0 < found.done < found.total
    later.resume(key)
    assert later.wait(key, 30).stage is Stage.DONE
    assert Catalog(hub_settings).get(MODEL).revision == first
    later.close()


def test_cancelling_throws_away_what_came(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 400_000)
    downloads.cancel(key)
    assert downloads.wait(key, 30).stage is Stage.CANCELLED
    assert read_records(hub_settings) == []
    assert hub_settings.hf_cache is not None
    assert not repository_folder(hub_settings.hf_cache, MODEL).exists()


def test_cancelling_a_paused_one_keeps_what_an_older_revision_uses(
    hub: Hub, hub_settings: Settings, downloads: Downloads
) -> None:
    download(downloads)
    old = Catalog(hub_settings).get(MODEL)
    files = hub.repositories[MODEL].commits[0]
    hub.repositories[MODEL].commits.append(
        files | {"model.safetensors": pocket_repository("gemma3").commits[0]["model.safetensors"]}
    )
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    before = hub.bytes_of(MODEL)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, before + 400_000)
    assert Catalog(hub_settings).get(MODEL) == old
    downloads.pause(key)
    downloads.wait(key, 30)
    downloads.cancel(key)
    assert downloads.wait(key, 30).stage is Stage.CANCELLED
    assert Catalog(hub_settings).get(MODEL) == old
    assert snapshot_download(MODEL, cache_dir=hub_settings.hf_cache, local_files_only=True) == str(old.path)


def test_several_are_fetched_side_by_side_and_the_next_ones_wait(hub: Hub, downloads: Downloads) -> None:
    for number in range(3):
        hub.add(Repository(f"me/m{number}", hub.repositories[MODEL].commits))
    hub.faults["model.safetensors"] = Fault(pace=(1 << 15, 0.01))
    keys = [downloads.add(f"me/m{number}") for number in range(3)]
    hub.wait_for("me/m0", 200_000)
    hub.wait_for("me/m1", 200_000)
    assert downloads.get(keys[2]).stage is Stage.QUEUED
    assert hub.bytes_of("me/m2") == 0
    hub.faults.clear()
    assert [downloads.wait(key, 30).stage for key in keys] == [Stage.DONE] * 3


def test_nothing_is_listed_before_all_of_it_is_there(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[f"{MODEL}/chat_template.jinja"] = Fault(pace=(64, 0.002))  # all else is there before it
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 2_000_000)
    seen = set()
    while downloads.get(key).stage.moves:
        listed = [info for info in Catalog(hub_settings).list(all=True) if info.id == MODEL]
        seen |= {info.problem for info in listed}
    assert Catalog(hub_settings).get(MODEL).problem is None
    seen.discard(None)
    assert len(seen) == 1
    assert "assay models download" in seen.pop()


def test_a_download_by_others_is_not_ready_before_it_is(hub: Hub, hub_settings: Settings) -> None:
    """huggingface_hub's own shows a text model without its template as soon as the rest is there."""
    assert hub_settings.hf_cache is not None
    hub.faults[f"{MODEL}/chat_template.jinja"] = Fault(pace=(256, 0.05))
    wanted = ["*.json", "*.safetensors", "*.jinja"]
    arguments = {"cache_dir": hub_settings.hf_cache, "allow_patterns": wanted}
    thread = threading.Thread(target=snapshot_download, args=(MODEL,), kwargs=arguments)
    thread.start()
    hub.wait_for(f"{MODEL}/chat_template.jinja"[: len(MODEL)], 1)
    seen = set()
    while thread.is_alive():
        for info in Catalog(hub_settings).list(all=True):
            if info.id == MODEL and info.path.name != repository_folder(hub_settings.hf_cache, MODEL).name:
                ready = info.problem is None
                seen.add((ready, (info.path / "chat_template.jinja").exists()))
    assert (True, False) not in seen
    assert Catalog(hub_settings).get(MODEL).problem is None


def test_a_draft_that_a_crash_has_spoilt_is_fetched_anew(
    hub: Hub, hub_settings: Settings, downloads: Downloads
) -> None:
    assert hub_settings.hf_cache is not None
    file = hub.repositories[MODEL].commits[-1]["model.safetensors"]
    blobs = repository_folder(hub_settings.hf_cache, MODEL) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{file.sha256}.incomplete").write_bytes(bytes(500_000))
    assert download(downloads).stage is Stage.DONE
    assert (blobs / file.sha256).read_bytes() == file.content


def test_a_hub_without_ranges_begins_anew(hub: Hub, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(cut_after=300_000, times=1)
    hub.faults[f"{WEIGHTS}"] = Fault(cut_after=300_000, no_ranges=True, times=1)
    key = downloads.add(MODEL)
    assert downloads.wait(key, 30).stage is Stage.DONE


def test_a_revision_is_a_download_of_its_own(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    repository = hub.repositories[MODEL]
    repository.commits.append(dict(repository.commits[0]) | {"new.json": repository.commits[0]["config.json"]})
    done = download(downloads, revision=repository.sha(0))
    assert (done.stage, done.commit) == (Stage.DONE, repository.sha(0))
    assert Catalog(hub_settings).get(MODEL).revision == repository.sha(0)
    assert download(downloads).commit == repository.sha(1)
    assert Catalog(hub_settings).get(MODEL).revision == repository.sha(1)
    assert "no such revision" in download(downloads, revision="v9").problem


def test_another_queues_download_is_left_alone(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 300_000)
    other = Downloads(hub_settings)
    other.restore()
    failed = other.wait(other.add(MODEL), 30)
    assert (failed.stage, failed.code) == (Stage.FAILED, "model_in_use")
    assert read_records(hub_settings)[0].problem == ""
    assert downloads.wait(key, 30).stage is Stage.DONE
    assert hub.served[WEIGHTS] == hub.repositories[MODEL].commits[0]["model.safetensors"].size
    assert list((hub_settings.data_dir / "downloads").iterdir()) == []


def test_two_revisions_of_a_model_at_once(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    repository = hub.repositories[MODEL]
    repository.commits.append(repository.commits[0] | {"new.json": repository.commits[0]["config.json"]})
    keys = [downloads.add(MODEL, repository.sha(0)), downloads.add(MODEL)]
    assert [downloads.wait(key, 30).stage for key in keys] == [Stage.DONE, Stage.DONE]
    assert hub.served[WEIGHTS] == repository.commits[0]["model.safetensors"].size
    assert hub_settings.hf_cache is not None
    folder = repository_folder(hub_settings.hf_cache, MODEL)
    assert {path.name for path in folder.iterdir()} == {"blobs", "refs", "snapshots"}
    assert {path.name for path in (folder / "snapshots").iterdir()} == {repository.sha(0), repository.sha(1)}


def test_a_model_that_is_there_is_not_moved_by_another_download(
    hub: Hub, hub_settings: Settings, downloads: Downloads
) -> None:
    download(downloads)
    folder = Catalog(hub_settings).get(MODEL).path
    before = (folder.stat().st_ino, hub.bytes_of(MODEL))
    assert download(downloads).stage is Stage.DONE
    assert (folder.stat().st_ino, hub.bytes_of(MODEL)) == before


def test_adding_does_not_wait_for_the_hub(hub: Hub, downloads: Downloads) -> None:
    hub.faults[f"api/models/{MODEL}"] = Fault(endless=True, times=1)
    done = threading.Event()
    threading.Thread(target=lambda: (downloads.add(MODEL), downloads.all(), done.set())).start()
    assert done.wait(2)


def opened_again(settings: Settings) -> Downloads:
    """The queue of a program that people open again, at the next start of which it has found what is unfinished."""
    again = Downloads(settings, goes_on=True)
    again.restore()
    return again


def test_what_moved_or_waited_goes_on_when_the_program_is_opened_again(hub: Hub, hub_settings: Settings) -> None:
    for number in range(4):
        hub.add(Repository(f"me/m{number}", hub.repositories[MODEL].commits))
    hub.faults["model.safetensors"] = Fault(pace=SLOW)
    first = opened_again(hub_settings)
    keys = [first.add(f"me/m{number}") for number in range(4)]
    hub.wait_for("me/m0", 200_000)
    first.pause(keys[1])
    first.wait(keys[1], 30)
    first.close()
    hub.faults.clear()
    later = opened_again(hub_settings)
    assert later.get(keys[1]).stage is Stage.PAUSED, "somebody has paused it"
    assert [later.wait(key, 30).stage for key in (keys[0], keys[2], keys[3])] == [Stage.DONE] * 3
    later.close()
    assert [record.key for record in read_records(hub_settings)] == [keys[1]]


def test_the_command_leaves_its_downloads_to_whoever_asks_for_them(
    hub: Hub, hub_settings: Settings, downloads: Downloads
) -> None:
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 200_000)
    beside = opened_again(hub_settings)
    assert beside.get(key).stage is Stage.PAUSED
    downloads.close()
    later = opened_again(hub_settings)
    assert later.get(key).stage is Stage.PAUSED
    for queue in (beside, later):
        queue.close()


@pytest.mark.parametrize("begun", [True, False])
def test_a_start_that_may_not_ask_the_hub_stops_nothing_for_good(
    hub: Hub, hub_settings: Settings, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    hub.faults[WEIGHTS] = Fault(pace=SLOW)
    first = Downloads(hub_settings, at_once=1 if begun else 0, goes_on=True)
    first.add(MODEL)
    if begun:
        hub.wait_for(MODEL, 200_000)
    first.close()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = opened_again(hub_settings)
    assert "HF_HUB_OFFLINE is set" in offline.wait(MODEL, 10).problem
    offline.close()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.faults.clear()
    later = opened_again(hub_settings)
    assert later.wait(MODEL, 30).stage is Stage.DONE
    later.close()


def test_another_cache_gets_a_download_of_its_own(hub: Hub, hub_settings: Settings, tmp_path: Path) -> None:
    first = opened_again(hub_settings)
    paused(hub, first)
    first.close()
    elsewhere = hub_settings.model_copy(update={"hf_cache": tmp_path / "elsewhere"})
    assert read_records(elsewhere) == []
    with downloading(elsewhere) as downloads:
        assert download(downloads).stage is Stage.DONE
    assert Catalog(elsewhere).get(MODEL).path.is_relative_to(tmp_path / "elsewhere")
    before = hub.bytes_of(MODEL)
    with downloading(hub_settings) as downloads:
        done = download(downloads)
    assert done.stage is Stage.DONE
    assert hub.bytes_of(MODEL) - before < done.total, "the part in the first cache is gone on with"


def test_a_model_on_its_way_into_two_caches_is_two_downloads(hub: Hub, hub_settings: Settings, tmp_path: Path) -> None:
    elsewhere = hub_settings.model_copy(update={"hf_cache": tmp_path / "elsewhere"})
    first, second = opened_again(hub_settings), opened_again(elsewhere)
    paused(hub, first)
    paused(hub, second)
    second.cancel(MODEL)
    assert second.wait(MODEL, 10).stage is Stage.CANCELLED
    first.close()
    second.close()
    assert read_records(elsewhere) == []
    (record,) = read_records(hub_settings)
    assert (record.cache, record.commit) == (hub_settings.hf_cache, hub.repositories[MODEL].sha())


def test_a_revision_may_be_longer_than_a_files_name(hub: Hub, downloads: Downloads) -> None:
    assert "has no such revision" in download(downloads, revision="r" * 300).problem


def paused(hub: Hub, downloads: Downloads) -> None:
    fault, before = Fault(pace=(1 << 12, 0.02)), hub.bytes_of(MODEL)
    hub.faults[WEIGHTS] = fault
    downloads.add(MODEL)
    hub.wait_for(MODEL, before + 60_000)
    downloads.pause(MODEL)
    assert downloads.wait(MODEL, 10).stage is Stage.PAUSED
    fault.pace = None


@pytest.mark.parametrize("by_us", [True, False])
def test_what_another_program_has_ended_is_off_the_list(hub: Hub, hub_settings: Settings, by_us: bool) -> None:
    queue = opened_again(hub_settings)
    paused(hub, queue)
    if by_us:
        with downloading(hub_settings) as others:
            assert download(others).stage is Stage.DONE
    else:
        assert hub_settings.hf_cache is not None
        snapshot_download(MODEL, cache_dir=hub_settings.hf_cache)
    assert queue.look_again() == ()
    assert read_records(hub_settings) == []
    queue.close()


def test_what_another_program_has_thrown_away_is_off_the_list(hub: Hub, hub_settings: Settings) -> None:
    queue = opened_again(hub_settings)
    paused(hub, queue)
    assert [one.stage for one in queue.look_again()] == [Stage.PAUSED], "what is unfinished stays"
    delete(hub_settings, plan_deletion(Catalog(hub_settings), MODEL))
    assert queue.look_again() == ()
    queue.close()


def test_a_download_that_could_not_begin_stays_on_the_list(
    hub: Hub, hub_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    queue = opened_again(hub_settings)
    assert download(queue).stage is Stage.FAILED
    assert [one.stage for one in queue.look_again()] == [Stage.FAILED]
    queue.close()
