"""Keys by name, one for each program that uses the API: made, listed, taken back.

They are kept in data_dir/api_keys.json, which only its owner can read, and there as digests: a key is told once, when
it is made. The key of `core.settings.api_key` is the owner's own and stands beside them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.atomic import write_atomically
from core.errors import SettingsError
from core.regular_files import read_text

FILE = "api_keys.json"
MOST_KEYS = 1_000
MOST_BYTES = 1_000_000
LONGEST_NAME = 64
HINT = 4
"""Characters of a key's end that are kept, so that its owner tells it from others."""
WAIT_S = 10.0
"""How long another program that writes the file is waited for."""


@dataclass(frozen=True)
class NamedKey:
    """A key as it is kept: `digest` is its SHA-256 in hex, `made` the time in UTC as ISO 8601."""

    name: str
    digest: str
    hint: str
    made: str


def digest(key: str) -> str:
    """SHA-256 of a key, in hex. A key is long and random, so that no slower hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def named_keys(data_dir: Path) -> tuple[NamedKey, ...]:
    """All keys, the oldest first. Raises SettingsError when the file cannot be read."""
    file = data_dir / FILE
    try:
        told = json.loads(read_text(file, MOST_BYTES, "a list of keys"))
        return tuple(NamedKey(**{name: str(one[name]) for name in NamedKey.__match_args__}) for one in told["keys"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else "it is no list of keys"
        raise SettingsError(
            f"The named keys in {file} cannot be read: {reason}. Mend the file, or delete it and make the keys anew."
        ) from error


def add_key(data_dir: Path, name: str) -> str:
    """Make a key and return it, the only time that it is told. Raises SettingsError for a name that cannot be used."""
    if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(
            f"{name[:LONGEST_NAME]!r} cannot be the name of a key: it takes 1 to {LONGEST_NAME} printable characters, "
            "with no space at its ends."
        )
    key = "assay-" + secrets.token_urlsafe(24)
    with _changing(data_dir) as keys:
        if any(one.name == name for one in keys):
            raise SettingsError(
                f"There is a key named {name!r} already. `assay key revoke` takes it back; or choose another name."
            )
        if len(keys) >= MOST_KEYS:
            raise SettingsError(f"There are {len(keys):,} keys, the most that are kept. `assay key revoke` some.")
        made = datetime.now(UTC).isoformat(timespec="seconds")
        keys.append(NamedKey(name, digest(key), key[-HINT:], made))
    return key


def revoke_key(data_dir: Path, name: str) -> None:
    """Take a key back: a server that runs refuses it from its next request on. Raises SettingsError for none."""
    with _changing(data_dir) as keys:
        left = [one for one in keys if one.name != name]
        if len(left) == len(keys):
            names = ", ".join(repr(one.name) for one in keys) or "none"
            raise SettingsError(f"There is no key named {name[:LONGEST_NAME]!r}. Keys with a name: {names}.")
        keys[:] = left


@contextmanager
def _changing(data_dir: Path) -> Iterator[list[NamedKey]]:
    """The keys, to be changed: they are written when the block ends without an error."""
    from filelock import FileLock, Timeout

    file = data_dir / FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock"), timeout=WAIT_S):
            keys = list(named_keys(data_dir))
            yield keys
            text = json.dumps({"keys": [asdict(one) for one in keys]}, indent=2) + "\n"
            write_atomically(file, text.encode(), mode=0o600)
    except Timeout:
        raise SettingsError(f"Another program has held {file} for {WAIT_S:.0f} s. Try again.") from None
    except OSError as error:
        raise SettingsError(f"The named keys in {file} cannot be written: {error.strerror or error}.") from error


class KeyRing:
    """Which keys open the API: the owner's, and the named ones as they are now. For one thread."""

    def __init__(self, key: str, data_dir: Path) -> None:
        self._key = key.encode()
        self._data_dir = data_dir
        self._seen: tuple[int, ...] | None = None
        self._names: dict[str, str] = {}

    def name_of(self, key: str) -> str | None:
        """Whose key it is: "" for the owner's, None for one that opens nothing.

        Looks at the file again when it has changed; while it cannot be read, no named key opens anything.
        """
        if hmac.compare_digest(key.encode("utf-8", "replace"), self._key):
            return ""
        self._look()
        return self._names.get(digest(key))

    def _look(self) -> None:
        try:
            state = os.stat(self._data_dir / FILE)
            seen: tuple[int, ...] = (state.st_mtime_ns, state.st_size, state.st_ino)
        except OSError:
            seen = ()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._names = {one.digest: one.name for one in named_keys(self._data_dir)} if seen else {}
        except SettingsError:
            self._names = {}
