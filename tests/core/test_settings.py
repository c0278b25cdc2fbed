"""Settings: where they come from, what is said about wrong ones, how one is saved, and the API's key."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings, api_key, load_settings, save_setting, settings_file


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """A settings.toml that is looked at."""
    path = tmp_path / "config" / "settings.toml"
    path.parent.mkdir()
    monkeypatch.setenv("ASSAY_CONFIG", str(path))
    return path


def test_without_a_file_the_defaults_hold(file):
    settings = load_settings()
    assert (settings.host, settings.port, settings.api_key_required) == ("127.0.0.1", 8484, True)
    assert settings.allow_code == []
    assert settings_file() == file


def test_a_variable_wins_over_the_file_and_the_command_line_over_both(file, monkeypatch):
    file.write_text("port = 1001\nmax_queue = 7\n")
    assert (load_settings().port, load_settings().max_queue) == (1001, 7)
    monkeypatch.setenv("ASSAY_PORT", "1002")
    assert load_settings().port == 1002
    assert load_settings(port=1003).port == 1003


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ASSAY_FETCH_IMAGES", "false", False),
        ("ASSAY_CACHE_BUDGET_GB", "0.5", 0.5),
        ("ASSAY_QUICK_MODEL", "org/name", "org/name"),
        ("ASSAY_ALLOW_CODE", "org/a, org/b", ["org/a", "org/b"]),
        ("ASSAY_ALLOW_CODE", '["org/a"]', ["org/a"]),
        ("ASSAY_ALLOWED_HOSTS", "", []),
        ("ASSAY_MODEL_FOLDERS", "/a,~/b", [Path("/a"), Path.home() / "b"]),
        ("ASSAY_HF_CACHE", "~/hub", Path.home() / "hub"),
    ],
)
def test_every_kind_of_value_can_come_from_a_variable(file, monkeypatch, name, text, value):
    monkeypatch.setenv(name, text)
    assert getattr(load_settings(), name.removeprefix("ASSAY_").lower()) == value


def test_folders_in_the_file_may_begin_at_home(file):
    file.write_text('data_dir = "~/assay"\nmodel_folders = ["~/models", "/m"]\n')
    settings = load_settings()
    assert settings.data_dir == Path.home() / "assay"
    assert settings.model_folders == [Path.home() / "models", Path("/m")]


def test_an_unknown_key_is_an_error_with_its_line_and_the_nearest_known_one(file):
    file.write_text("# mine\nport = 1\n\nfetch_image = false\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{file}, line 4: there is no setting 'fetch_image'. Did you mean fetch_images?"


def test_an_unknown_table_is_an_error_with_its_line(file):
    file.write_text("port = 1\n[server]\nhost = '::1'\n")
    with pytest.raises(SettingsError, match=r"line 2: there is no setting 'server'"):
        load_settings()


def test_a_key_like_no_other_gets_the_whole_list(file):
    file.write_text("xyzzy = 1\n")
    with pytest.raises(
        SettingsError, match=r"'xyzzy'. There are data_dir, cache_dir, model_folders, .*cache_budget_gb"
    ):
        load_settings()


def test_an_unknown_override_is_an_error(file):
    with pytest.raises(SettingsError, match=r"no setting 'prot'. Did you mean port"):
        load_settings(prot=1)


def test_a_misspelt_variable_is_an_error_and_a_foreign_one_is_not(file, monkeypatch):
    monkeypatch.setenv("ASSAY_KEY", "x")
    assert load_settings().port == 8484
    monkeypatch.setenv("ASSAY_FETCH_IMAGE", "false")
    with pytest.raises(SettingsError, match=r"variable ASSAY_FETCH_IMAGE. Did you mean ASSAY_FETCH_IMAGES\?"):
        load_settings()


def test_a_wrong_value_names_its_place_and_what_is_allowed(file, monkeypatch):
    file.write_text("max_batch = 4\n\nport = 70000\n")
    with pytest.raises(SettingsError, match=r"port cannot be 70000: .*65535.*settings\.toml, line 3\."):
        load_settings()
    monkeypatch.setenv("ASSAY_PORT", "many")
    with pytest.raises(SettingsError, match=r"port cannot be 'many': .*the variable ASSAY_PORT\."):
        load_settings()
    with pytest.raises(SettingsError, match=r"port cannot be -1: .*the command line\."):
        load_settings(port=-1)
    monkeypatch.setenv("ASSAY_ALLOW_CODE", "[1")
    with pytest.raises(SettingsError, match=r"allow_code cannot be '\[1': .*no JSON list"):
        load_settings(port=1)


@pytest.mark.parametrize(
    "name", ["prefill_ms", "memory_budget_gb", "idle_unload_minutes", "cache_budget_gb", "cache_on_disk_gb"]
)
def test_no_number_is_beyond_all_measure(name, file, monkeypatch):
    for value in ("inf", "1e300", "nan"):
        file.write_text(f"{name} = {value}\n")
        with pytest.raises(SettingsError, match=rf"{name} cannot be .*settings\.toml, line 1\."):
            load_settings()
    file.write_text("")
    monkeypatch.setenv(f"ASSAY_{name.upper()}", "inf")
    with pytest.raises(SettingsError, match=rf"{name} cannot be .*the variable ASSAY_"):
        load_settings()


def test_a_variable_can_ask_for_the_default_that_is_no_number(file, monkeypatch):
    file.write_text("cache_budget_gb = 0\n")
    monkeypatch.setenv("ASSAY_CACHE_BUDGET_GB", "none")
    assert load_settings().cache_budget_gb is None


@pytest.mark.parametrize("content", [b"port = \n", b"port = 1\nport = 2\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_an_error_that_names_it(file, content):
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.toml cannot be read: "):
        load_settings()


def test_saving_keeps_everything_else_comments_too(file):
    file.write_text(
        "# What I set\nport = 1001  # a free one\nmodel_folders = [\n  '/a',  # disk a\n  '/b',\n]\nmax_queue = 9\n"
    )
    save_setting("port", 1002)
    save_setting("model_folders", [Path("/c")])
    save_setting("quick_model", "org/name")
    text = file.read_text()
    assert text.startswith("# What I set\nport = 1002\n")
    assert "max_queue = 9\n" in text
    assert tomllib.loads(text) == {
        "port": 1002,
        "model_folders": ["/c"],
        "max_queue": 9,
        "quick_model": "org/name",
    }
    assert load_settings().quick_model == "org/name"


def test_saving_none_takes_a_setting_out(file):
    file.write_text('quick_model = "a"\nport = 1\n')
    save_setting("quick_model", None)
    assert file.read_text() == "port = 1\n"
    save_setting("full_model", None)
    assert file.read_text() == "port = 1\n"


def test_saving_makes_the_file_and_its_folder(tmp_path, file, monkeypatch):
    monkeypatch.setenv("ASSAY_CONFIG", str(tmp_path / "new" / "folder" / "settings.toml"))
    save_setting("max_batch", 3)
    assert load_settings().max_batch == 3


@pytest.mark.parametrize(("name", "value"), [("port", 99999), ("port", "x"), ("prot", 1), ("prot", None)])
def test_what_is_not_allowed_is_not_saved(file, name, value):
    file.write_text("port = 1\n")
    with pytest.raises(SettingsError):
        save_setting(name, value)
    assert file.read_text() == "port = 1\n"


def test_a_broken_file_is_not_overwritten(file):
    file.write_text("port = ")
    with pytest.raises(SettingsError):
        save_setting("port", 5)
    assert file.read_text() == "port = "


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(file, monkeypatch):
    file.write_text("port = 1\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SettingsError, match="No space left on device"):
            save_setting("port", 2)
    assert file.read_text() == "port = 1\n"
    assert list(file.parent.iterdir()) == [file]


def test_the_key_is_made_once_for_its_owner_alone(file, tmp_path):
    settings = load_settings(data_dir=tmp_path / "data")
    key = api_key(settings)
    assert key.startswith("assay-")
    assert len(key) >= 32
    assert api_key(settings) == key
    path = tmp_path / "data" / "api_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["api_key"]


def test_a_key_that_others_could_read_is_taken_from_them(file, tmp_path):
    (tmp_path / "api_key").write_text("mine\n")
    (tmp_path / "api_key").chmod(0o644)
    assert api_key(load_settings(data_dir=tmp_path)) == "mine"
    assert stat.S_IMODE((tmp_path / "api_key").stat().st_mode) == 0o600


def test_an_empty_key_file_gets_a_key(file, tmp_path):
    (tmp_path / "api_key").write_text("")
    key = api_key(load_settings(data_dir=tmp_path))
    assert (tmp_path / "api_key").read_text() == key + "\n"


def test_threads_that_start_at_once_get_one_key(file, tmp_path):
    settings = load_settings(data_dir=tmp_path / "data")
    barrier, keys = threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        keys.append(api_key(settings))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_programs_that_start_at_once_get_one_key(file, tmp_path):
    program = (
        "import sys; from core.settings import *; sys.stdin.read(); print(api_key(load_settings(data_dir=sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    pipe = subprocess.PIPE
    programs = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for started in programs:
        started.stdin.close()
    keys = {started.stdout.read() for started in programs}
    assert [started.wait() for started in programs] == [0] * 4
    assert len(keys) == 1


def test_a_key_that_cannot_be_kept_is_a_sentence(file, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="API key in .* cannot be read or made"):
        api_key(Settings(data_dir=tmp_path / "file" / "data"))
