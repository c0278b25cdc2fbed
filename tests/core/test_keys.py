"""Keys by name: made once, kept as digests, taken back."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.keys import FILE, KeyRing, add_key, named_keys, revoke_key


def test_a_key_opens_until_it_is_taken_back(tmp_path: Path) -> None:
    ring = KeyRing("owner", tmp_path)
    assert (ring.name_of("owner"), ring.name_of("other"), ring.name_of("")) == ("", None, None)
    key, other = add_key(tmp_path, "Open WebUI"), add_key(tmp_path, "codex")
    assert (ring.name_of(key), ring.name_of(other)) == ("Open WebUI", "codex")
    assert [one.name for one in named_keys(tmp_path)] == ["Open WebUI", "codex"]
    assert named_keys(tmp_path)[0].hint == key[-4:]
    revoke_key(tmp_path, "Open WebUI")
    assert (ring.name_of(key), ring.name_of(other)) == (None, "codex")


def test_the_file_is_its_owners_and_holds_no_key(tmp_path: Path) -> None:
    key = add_key(tmp_path / "new", "a")
    file = tmp_path / "new" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "\x1b[2J", "x" * 65])
def test_names_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be the name of a key"):
        add_key(tmp_path, name)
    assert named_keys(tmp_path) == ()


def test_a_name_is_given_once_and_an_unknown_one_names_those_there_are(tmp_path: Path) -> None:
    add_key(tmp_path, "a")
    with pytest.raises(SettingsError, match="a key named 'a' already"):
        add_key(tmp_path, "a")
    with pytest.raises(SettingsError, match="no key named 'b'. Keys with a name: 'a'"):
        revoke_key(tmp_path, "b")


def test_programs_that_make_keys_at_once_lose_none(tmp_path: Path) -> None:
    threads = [threading.Thread(target=add_key, args=(tmp_path, str(number))) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.name for one in named_keys(tmp_path)) == sorted(map(str, range(12)))


@pytest.mark.parametrize("text", ["{", "[]", '{"keys": [1]}', '{"keys": [{"name": "a"}]}', "\xff"])
def test_a_file_that_is_no_list_of_keys_is_said_and_opens_nothing(tmp_path: Path, text: str) -> None:
    key = add_key(tmp_path, "a")
    ring = KeyRing("owner", tmp_path)
    assert ring.name_of(key) == "a"
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="it is no list of keys"):
        add_key(tmp_path, "b")
    assert (ring.name_of(key), ring.name_of("owner")) == (None, "")
