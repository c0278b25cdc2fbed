"""A Hub that says no, is busy, silent or away, lies or means harm: a sentence, and nothing outside the cache."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from huggingface_hub import close_session, constants

from core.catalog import Catalog
from core.errors import HubError, HubOffline
from core.hub import fetch
from core.hub.downloads import Downloads
from core.hub.find import Query, find
from core.hub.progress import Stage
from core.hub.records import records_folder
from core.settings import Settings
from tests.core.hub.conftest import MODEL, WEIGHTS, download
from tests.hub import Fault, Hub, Repository, pocket_repository
from tests.hub.server import TOKEN


def test_a_wrong_checksum_does_not_count(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(corrupt=True)
    failed = download(downloads)
    assert failed.stage is Stage.FAILED
    assert "checksum" in failed.problem
    assert "model.safetensors" in failed.problem
    assert Catalog(hub_settings).get("pocket/qwen3")
    assert [info.id for info in Catalog(hub_settings).list() if info.id == MODEL and not info.problem] == []
    hub.faults.clear()
    assert download(downloads).stage is Stage.DONE


def test_a_small_files_checksum_is_gits(hub: Hub, downloads: Downloads) -> None:
    hub.faults[f"{MODEL}/config.json"] = Fault(corrupt=True)
    assert "config.json" in download(downloads).problem


@pytest.mark.parametrize("says", [1000, 99_000_000])
def test_sizes_that_lie_are_found_out(hub: Hub, downloads: Downloads, says: int) -> None:
    hub.repositories[MODEL].commits[-1]["model.safetensors"].says_size = says
    failed = download(downloads)
    assert failed.stage is Stage.FAILED
    assert f"{says:,}" in failed.problem
    assert "Nothing that it sends of this file was kept" in failed.problem


def test_an_endless_stream_is_ended(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(endless=True)
    failed = download(downloads)
    assert failed.stage is Stage.FAILED
    assert "more of model.safetensors" in failed.problem
    assert hub_settings.hf_cache is not None
    size = hub.repositories[MODEL].commits[-1]["model.safetensors"].size
    drafts = list(hub_settings.hf_cache.rglob("*.incomplete"))
    assert all(draft.stat().st_size <= size for draft in drafts)


@pytest.mark.parametrize(
    "name", ["../../escape.json", "/etc/x.json", "a/../../b.json", "a\x1b[2J.json", "c:\\x.json", "a//b.json"]
)
def test_names_that_lead_out_are_refused(
    hub: Hub, hub_settings: Settings, downloads: Downloads, name: str, tmp_path: Path
) -> None:
    hub.repositories[MODEL].commits[-1][name] = hub.repositories[MODEL].commits[-1]["config.json"]
    failed = download(downloads)
    assert failed.stage is Stage.FAILED
    assert "no name for a file" in failed.problem
    assert "\x1b" not in failed.problem
    assert hub.bytes_of(MODEL) == 0
    assert not list(tmp_path.rglob("*escape*"))


def test_a_name_for_a_file_and_a_folder_is_refused_before_anything_is_fetched(hub: Hub, downloads: Downloads) -> None:
    hub.repositories[MODEL].commits[-1]["a/config.json/x.json"] = hub.repositories[MODEL].commits[-1]["config.json"]
    hub.repositories[MODEL].commits[-1]["a/config.json"] = hub.repositories[MODEL].commits[-1]["config.json"]
    assert "'a/config.json' both as a file and as a folder" in download(downloads).problem
    assert hub.bytes_of(MODEL) == 0


def test_checksums_that_are_paths_are_refused(hub: Hub, hub_settings: Settings, downloads: Downloads) -> None:
    hub.repositories[MODEL].commits[-1]["model.safetensors"].says_sha256 = "../../../../x" + "0" * 51
    assert "no checksum" in download(downloads).problem


@pytest.mark.parametrize("sha", ["../../x", None, "main", "A" * 40])
def test_a_commit_that_is_none_is_refused(hub: Hub, downloads: Downloads, sha: str | None) -> None:
    hub.repositories[MODEL].says = {"sha": sha}
    assert "no commit" in download(downloads).problem


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(401), "wants to know who asks for mlx-community/qwen3"),
        (Fault(403), "licence"),
        (Fault(404), "nothing at the address"),
        (Fault(503), "503"),
        (Fault(200, body=b"<html>log in to the wifi</html>"), "cannot be read"),
        (Fault(200, body=b"[1, 2]"), "cannot be read"),
        (Fault(200, body=b"[" * 200_000), "cannot be read"),
        (Fault(200, body=b'{"id": 7, "siblings": {"a": 1}}'), "cannot be read"),
        (Fault(endless=True), "is longer than 1 MB"),
        (Fault(429, {"Retry-After": "9999999999"}), "more than two days"),
        (Fault(429, {"Retry-After": "0"}), "by now, so try again"),
    ],
)
def test_the_hubs_errors_are_sentences(
    hub: Hub, downloads: Downloads, fault: Fault, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.hub.client.REPLY_BYTES", 1_000_000)
    hub.faults[f"api/models/{MODEL}"] = fault
    failed = download(downloads)
    assert failed.stage is Stage.FAILED
    assert told in failed.problem
    assert failed.problem.endswith(".")


def test_a_wait_that_is_told_as_a_date_is_one(hub: Hub, downloads: Downloads) -> None:
    then = datetime.now(UTC) + timedelta(minutes=26)
    hub.faults[f"api/models/{MODEL}"] = Fault(429, {"Retry-After": format_datetime(then, usegmt=True)})
    assert "in 26 minutes" in download(downloads).problem


@pytest.mark.parametrize(
    ("fault", "token", "told"),
    [
        (Fault(401), "", "wants to know who searches"),
        (Fault(401), TOKEN, "does not know the token that was sent (401). To search, log in"),
        (Fault(403), "", "does not let you search"),
        (Fault(), "hf_é", "holds characters that no token has"),
        (Fault(404), "", "has no list of models"),
        (Fault(400), "", "about “two words” (400)"),
        (Fault(200, body=b"[1"), "", "about “two words” cannot be read. http"),
        (Fault(302, {"Location": "file:///etc/passwd"}), "", "sends on to an address that is none"),
        (Fault(429, {"Retry-After": "120"}), "", "120 seconds"),
        (Fault(429, {"Retry-After": "soon", "RateLimit": '"api";r=0;t=5'}), "", "5 seconds"),
    ],
)
def test_what_a_search_meets_is_not_told_of_a_model(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, fault: Fault, token: str, told: str
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.faults["api/models"] = fault
    with pytest.raises(HubError) as raised:
        list(find(Query("two words")))
    assert told in raised.value.message
    assert "licence" not in raised.value.message


@pytest.mark.parametrize("status", [404, 416])
def test_a_file_that_is_refused_is_named(hub: Hub, downloads: Downloads, status: int) -> None:
    hub.faults[WEIGHTS] = Fault(status)
    assert "model.safetensors of mlx-community/qwen3" in download(downloads).problem


@pytest.mark.parametrize(
    ("address", "told"),
    [("garbage", "'garbage': an address begins with https://"), ("http://127.0.0.1:9", "reached: Connection refused")],
)
def test_an_address_that_is_none_is_told_from_one_that_does_not_answer(
    hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    assert told in download(downloads).problem


def test_a_busy_hub_is_waited_for_as_long_as_it_says(hub: Hub, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(429, {"Retry-After": "1"}, times=1)
    waits: list[str] = []
    key = downloads.add(MODEL)
    while (now := downloads.wait(key, 0.02)).stage.moves:
        waits.append(now.waiting)
    assert downloads.get(key).stage is Stage.DONE
    assert any("1 s" in wait for wait in waits)


def test_a_hub_that_is_busy_when_a_download_begins_is_waited_for_as_well(hub: Hub, downloads: Downloads) -> None:
    hub.faults[f"api/models/{MODEL}"] = Fault(429, {"Retry-After": "1"}, times=1)
    waits: list[tuple[Stage, str]] = []
    key = downloads.add(MODEL)
    while (now := downloads.wait(key, 0.02)).stage.moves:
        waits.append((now.stage, now.waiting))
    assert downloads.get(key).stage is Stage.DONE
    assert (Stage.LOOKING, "the Hub is busy and takes requests again in 1 s") in waits


def test_a_hub_that_wants_an_hour_is_not_waited_for(hub: Hub, downloads: Downloads) -> None:
    hub.faults[WEIGHTS] = Fault(429, {"Retry-After": "3600"})
    assert "60 minutes" in download(downloads).problem


def test_gated_and_private_say_what_to_do(hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(
        pocket_repository("gemma3", gated="manual"),
        Repository("me/mine", hub.repositories[MODEL].commits, private=True),
    )
    gated = download(downloads, "mlx-community/gemma3").problem
    assert "licence" in gated
    assert f"{hub.url}/mlx-community/gemma3" in gated
    assert "hf auth login" in gated
    assert "private" in download(downloads, "me/mine").problem
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert download(downloads, "mlx-community/gemma3").stage is Stage.DONE
    assert download(downloads, "me/mine").stage is Stage.DONE
    sent = {asked.headers.get("authorization") for asked in hub.asked if asked.host == "localhost"}
    assert sent == {None}, "the token goes to the Hub alone"


def test_offline_is_a_sentence(hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in download(downloads).problem
    assert hub.asked == []


def test_no_network_is_a_sentence(hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in download(downloads).problem


def test_a_silent_hub_is_a_sentence(hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.hub.client.READ_S", 0.2)
    hub.faults[f"api/models/{MODEL}"] = Fault(endless=True, pace=(1 << 10, 5.0))
    assert "does not answer" in download(downloads).problem


def test_room_is_asked_for_before(hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    failed = download(downloads)
    assert "1.0 MB free" in failed.problem
    assert hub.bytes_of(MODEL) == 0


def test_a_model_without_mlx_weights_is_refused(hub: Hub, downloads: Downloads) -> None:
    files = {
        name: file for name, file in hub.repositories[MODEL].commits[0].items() if not name.endswith(".safetensors")
    }
    hub.add(Repository("me/torch", [files]))
    assert "no weights that MLX reads" in download(downloads, "me/torch").problem
    assert hub.bytes_of("me/torch") == 0


def test_a_disk_that_fails_is_not_the_hubs_fault(
    hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(draft: BinaryIO, piece: bytes) -> None:
        raise fetch.unwritten(
            OSError(errno.ENOSPC, "No space left on device"), Path(draft.name), Path(draft.name).parent
        )

    monkeypatch.setattr(fetch, "_write", broken)
    failed = download(downloads)
    assert (failed.stage, failed.code) == (Stage.FAILED, "disk_full")
    assert "is full" in failed.problem


def test_a_data_folder_without_room_is_named(
    hub: Hub, downloads: Downloads, hub_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.hub.records.write_atomically", full)
    failed = download(downloads)
    assert (failed.stage, failed.code) == (Stage.FAILED, "disk_full")
    assert f"The disk of {records_folder(hub_settings)} is full" in failed.problem


@pytest.fixture
def behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """What a search says behind a proxy: the client is made anew for it, and afterwards."""

    def search(proxy: str) -> str:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        close_session()
        with pytest.raises(HubOffline) as raised:
            list(find(Query("words")))
        return raised.value.message

    yield search
    monkeypatch.undo()
    close_session()


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("garbage", "cannot be reached through the proxy garbage: "),
        ("http://me:secret@127.0.0.1:9", "through the proxy http://127.0.0.1:9: Connection refused."),
        ("socks5://me:secret@127.0.0.1:9", "(socks5://127.0.0.1:9): SOCKS takes the package socksio"),
        ("ftp://127.0.0.1:9", "(ftp://127.0.0.1:9): a proxy that can be used is http://HOST:PORT."),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    hub: Hub, behind_a_proxy: Callable[[str], str], proxy: str, told: str
) -> None:
    message = behind_a_proxy(proxy)
    assert told in message
    assert "HTTPS_PROXY" in message
    assert "secret" not in message
