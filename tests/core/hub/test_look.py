"""Models on the Hub are told by their files, before the download, as the catalog tells them after it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalog import Catalog, ModelKind
from core.errors import HubBroken, HubBusy, HubNotFound, HubOffline
from core.hub import find as finding
from core.hub.card import card_text, read_card
from core.hub.downloads import Downloads
from core.hub.find import Query, Sort, find, search
from core.hub.look import FIRST_BYTES, Looker, OnDisk
from core.settings import Settings
from tests.hub import Fault, File, Hub, Repository, pocket_repository
from tests.hub.repositories import files_of
from tests.tiny import audio, embedders

MODEL = "mlx-community/qwen3"


@pytest.fixture
def looker(hub_settings: Settings) -> Iterator[Looker]:
    with Looker(hub_settings) as looker:
        yield looker


@pytest.mark.parametrize("name", ["qwen3", "gemma3", "qwen2-vl"])
def test_what_is_told_before_a_download_is_what_is_told_after(
    hub: Hub, hub_settings: Settings, looker: Looker, name: str
) -> None:
    hub.add(pocket_repository(name))
    before = looker.look(f"mlx-community/{name}")
    assert hub.bytes_of(f"mlx-community/{name}") < 500_000
    downloads = Downloads(hub_settings)
    downloads.wait(downloads.add(f"mlx-community/{name}"), 30)
    after = Catalog(hub_settings).get(f"mlx-community/{name}")
    assert dataclasses.replace(before.info, source="cache") == after
    assert before.info.memory is not None
    assert (before.on_disk, looker.look(before.id).on_disk) == (OnDisk.NO, OnDisk.YES)


@pytest.mark.parametrize("make", [audio.make_whisper, lambda folder: embedders.make_embedder(folder, embedders.BERT)])
def test_other_kinds_are_told_as_well(
    hub: Hub, hub_settings: Settings, looker: Looker, make: object, tmp_path: Path
) -> None:
    make(tmp_path / "made" / "tiny")  # type: ignore[operator]
    hub.add(Repository("me/tiny", [files_of(tmp_path / "made" / "tiny")]))
    (local,) = [
        info
        for info in Catalog(hub_settings.model_copy(update={"model_folders": [tmp_path / "made"]})).list()
        if "tiny" in info.id
    ]
    remote = looker.look("me/tiny").info
    told = ("kind", "family", "parameters", "quantisation", "context_length", "problem", "memory")
    assert [getattr(remote, field) for field in told] == [getattr(local, field) for field in told]


def test_nothing_stays_of_the_folder_that_was_described(hub: Hub, hub_settings: Settings, looker: Looker) -> None:
    looker.look(MODEL)
    assert [path.name for path in hub_settings.cache_dir.iterdir()] == ["hub"]
    assert hub_settings.hf_cache is not None
    assert not list(hub_settings.hf_cache.glob("models--*"))


def test_a_commit_is_looked_at_once(hub: Hub, hub_settings: Settings, looker: Looker) -> None:
    first = looker.look(MODEL)
    served = hub.bytes_of(MODEL)
    with Looker(hub_settings) as later:
        assert later.look(MODEL) == first
    assert hub.bytes_of(MODEL) == served
    hub.repositories[MODEL].commits.append(dict(hub.repositories[MODEL].commits[0]))
    assert looker.look(MODEL).facts.commit != first.facts.commit
    assert hub.bytes_of(MODEL) > served


def test_a_long_header_is_read_to_its_end(hub: Hub, looker: Looker) -> None:
    import numpy as np
    from safetensors.numpy import save

    files = hub.repositories[MODEL].commits[0]
    tensors = {
        f"model.layers.{n}.a_name_that_takes_some_room.weight": np.zeros((1, 1), np.float32) for n in range(2500)
    }
    weights = save(tensors)
    assert len(weights) > 2 * FIRST_BYTES
    hub.add(Repository("me/long", [files | {"model.safetensors": File(weights, lfs=True)}]))
    assert looker.look("me/long").info.parameters == 2500


def test_shards_are_read_together_and_one_that_is_missing_is_told(hub: Hub, looker: Looker) -> None:
    from safetensors.numpy import load, save

    files = dict(hub.repositories[MODEL].commits[0])
    tensors = load(files.pop("model.safetensors").content)
    names = sorted(tensors)
    places = {name: f"model-{number % 3 + 1:05d}-of-00003.safetensors" for number, name in enumerate(names)}
    files["model.safetensors.index.json"] = File(json.dumps({"weight_map": places}).encode())
    for place in set(places.values()):
        files[place] = File(save({name: tensors[name] for name in names if places[name] == place}), lfs=True)
    hub.add(Repository("me/shards", [files]))
    shards, whole = looker.look("me/shards").info, looker.look(MODEL).info
    assert (shards.parameters, shards.memory, shards.problem) == (whole.parameters, whole.memory, None)
    hub.add(Repository("me/part", [files | {}]))
    del hub.repositories["me/part"].commits[0]["model-00002-of-00003.safetensors"]
    assert "missing shard model-00002" in (looker.look("me/part").info.problem or "")


def test_an_older_revision_and_a_part_are_told(hub: Hub, hub_settings: Settings, looker: Looker) -> None:
    downloads = Downloads(hub_settings)
    downloads.wait(downloads.add(MODEL), 30)
    files = hub.repositories[MODEL].commits[0]
    hub.repositories[MODEL].commits.append(files | {"more.json": files["config.json"]})
    assert looker.look(MODEL).on_disk is OnDisk.OLDER
    hub.add(pocket_repository("gemma3"))
    hub.faults["gemma3/model.safetensors"] = Fault(pace=(1 << 15, 0.01))
    key = downloads.add("mlx-community/gemma3")
    hub.wait_for("mlx-community/gemma3", 100_000)
    downloads.close()
    assert key
    assert looker.look("mlx-community/gemma3").on_disk is OnDisk.PART


def test_a_gated_model_says_so_and_is_looked_at_with_a_token(
    hub: Hub, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(pocket_repository("gemma3", gated="auto"))
    remote = looker.look("mlx-community/gemma3")
    assert remote.facts.gated
    assert remote.info.size_bytes > 1_000_000
    assert "licence" in (remote.info.problem or "")
    monkeypatch.setenv("HF_TOKEN", "hf_tests")
    assert looker.look("mlx-community/gemma3").info.problem is None


def test_code_of_its_own_is_told(hub: Hub, looker: Looker) -> None:
    files = hub.repositories[MODEL].commits[0]
    config = File(files["config.json"].content.replace(b"{", b'{"model_file": "mine.py",', 1))
    hub.add(Repository("me/code", [files | {"config.json": config, "mine.py": File(b"print()")}]))
    info = looker.look("me/code").info
    assert info.needs_code
    assert "allow_code" in (info.problem or "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"{" * 100_000),
        ("model.safetensors", b"\xff" * 3000),
        ("model.safetensors", (1 << 62).to_bytes(8, "little") + b"{}"),
        ("model.safetensors", (20).to_bytes(8, "little") + b'{"a":{"dtype":[]}}  '),
    ],
)
def test_files_that_are_none_are_a_problem_and_no_crash(hub: Hub, looker: Looker, name: str, content: bytes) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository("me/odd", [files | {name: File(content, lfs=name.endswith("safetensors"))}]))
    assert looker.look("me/odd").info.problem


def test_a_size_beyond_every_disk_is_a_sentence(hub: Hub, looker: Looker) -> None:
    files = hub.repositories[MODEL].commits[0]
    huge = File(files["model.safetensors"].content, lfs=True, says_size=(1 << 50) - 1)
    hub.add(Repository("me/huge", [files | {"model.safetensors": huge}]))
    try:
        problem = looker.look("me/huge").info.problem
    except Exception as error:
        problem = str(error)
    assert problem


def test_cards_come_without_what_steers_a_terminal() -> None:
    text = card_text(b"---\nlicense: mit\n---\n# A \x1b]52;c;ZXZpbA==\x07title\r\n[link](http://x)\xff \xe2\x80\xaemoc")
    assert text == "# A ]52;c;ZXZpbA==title\n[link](http://x)� moc\n"


def test_a_card_is_read_up_to_a_limit(hub: Hub, looker: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = looker.look(MODEL).facts
    assert read_card(facts).startswith("# qwen3")
    hub.faults[f"{MODEL}/README.md"] = Fault(endless=True)
    monkeypatch.setattr("core.hub.card.MOST", 1000)
    assert len(read_card(facts)) <= 1001
    del hub.repositories[MODEL].commits[0]["README.md"]
    with pytest.raises(HubNotFound):
        read_card(dataclasses.replace(facts, commit=hub.repositories[MODEL].sha()))


@pytest.fixture
def crowd(hub: Hub) -> Hub:
    """Others' models of every kind beside mlx-community's."""
    commits = hub.repositories[MODEL].commits
    vision = pocket_repository("qwen2-vl").commits
    hub.add(
        Repository("someone/qwen3-big", commits, downloads=900, likes=1, modified="2026-05-01T00:00:00.000Z"),
        Repository("someone/qwen3-torch", commits, downloads=999, tags=("pytorch",)),
        Repository(
            "mlx-community/qwen2-vl",
            vision,
            downloads=5,
            likes=99,
            licence="apache-2.0",
            pipeline_tag="text-generation",
        ),
        Repository("mlx-community/qwen-odd\x1b[2J", commits, downloads=50),
        Repository("mlx-community/qwen-sound", commits, downloads=40, pipeline_tag="text-to-speech"),
    )
    return hub


def test_mlx_community_comes_first_then_anyones_mlx_weights(crowd: Hub) -> None:
    assert [facts.id for facts in find(Query("qwen"))] == [
        "mlx-community/qwen3",
        "mlx-community/qwen-sound",
        "mlx-community/qwen2-vl",
        "someone/qwen3-big",
    ]
    assert next(find(Query("qwen", sort=Sort.LIKES))).id == "mlx-community/qwen2-vl"
    assert [facts.id for facts in find(Query("qwen", licence="mit"))] == [MODEL]


def test_filters_ask_what_the_files_say(crowd: Hub, looker: Looker) -> None:
    def ids(query: Query) -> list[str]:
        return [remote.id for remote in search(query, looker, 10)]

    assert ids(Query("qwen", kind=ModelKind.VISION)) == ["mlx-community/qwen2-vl"]
    assert "mlx-community/qwen-sound" not in ids(Query("qwen", kind=ModelKind.TEXT))
    size = looker.look(MODEL).info.size_bytes
    assert ids(Query("qwen3", most_bytes=size)) == [MODEL, "someone/qwen3-big"]
    assert ids(Query("qwen3", most_bytes=size - 1)) == []
    own = looker.look(MODEL).info.quantisation or ""
    assert MODEL in ids(Query("qwen3", quantisation=own))
    assert ids(Query("qwen3", quantisation="7bit")) == []


def test_no_more_is_looked_at_than_is_wanted(crowd: Hub, looker: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "AT_ONCE", 1)
    assert [remote.id for remote in search(Query("qwen"), looker, 1)] == [MODEL]
    assert len(crowd.paths("/revision/")) <= 2


def test_pages_without_an_end_are_a_sentence(hub: Hub) -> None:
    link = f'<{hub.url}/api/models?cursor=0>; rel="next"'
    hub.faults["api/models"] = Fault(200, {"Link": link, "Content-Type": "application/json"}, body=b"[]")
    with pytest.raises(HubBroken, match="pages"):
        list(find(Query("qwen")))


def test_a_search_that_fails_is_a_sentence_at_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.faults["api/models"] = Fault(429, {"Retry-After": "90"})
    with pytest.raises(HubBusy) as caught:
        list(find(Query("qwen")))
    assert caught.value.retry_after_s == 90
    assert len(hub.asked) == 1, "it is not tried again behind the user's back"
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubOffline):
        list(find(Query("qwen")))
