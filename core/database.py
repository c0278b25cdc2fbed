"""SQLite files: opened, migrated, read and written in transactions, their errors as sentences. The one way to them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import EngineError, ended
from core.regular_files import check_regular

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # what was acknowledged outlives a power cut too
    "fullfsync = ON",  # on macOS it takes this for that
    "foreign_keys = ON",
    "secure_delete = ON",
)

NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""How a write fails on a full disk; beyond a quota or a limit of a file's size it is the second."""


@dataclass(frozen=True)
class Kind:
    """What a file holds, in the words of its errors' sentences, and which error they are."""

    name: str
    """Its subject: "The chat history"."""
    what: str
    """What a damaged file may not be at all: "history"."""
    entry: str
    """What cannot be read where a value is odd: "A turn"."""
    gone: str
    """The sentence, with {path}, where something refers to what is not there any more."""
    kept: str
    """What holds when the disk is full: "earlier chats are whole, and this one goes on unsaved"."""
    error: type[EngineError]


class Database:
    """One connection, for any thread, one at a time; every method waits for the disk. `path` None is a place in memory.

    `migrations` holds an entry for each schema version (PRAGMA user_version), each a tuple of statements. Every method
    raises the error of its kind when the file cannot be read or written; a write that fails changes nothing.
    """

    def __init__(self, path: Path | None, kind: Kind, migrations: Sequence[tuple[str, ...]]) -> None:
        self.path = path or "memory"
        self._kind = kind
        self._migrations = migrations
        self._lock = threading.RLock()
        with self._errors("opened"):
            if path is not None:
                _make(path)
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=5.0, isolation_level=None, check_same_thread=False
            )
            try:
                for setting in PRAGMAS:
                    self._connection.execute(f"PRAGMA {setting}")
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock, self._errors("closed"):
            self._connection.close()

    @contextmanager
    def read(self, done: str = "read") -> Iterator[sqlite3.Connection]:
        """The connection, to ask it something; `done` is what a failure's sentence says that cannot be."""
        with self._lock, self._errors(done):
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk afterwards, or none."""
        with self._lock, self._errors("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error) and _code(error) in NO_ROOM:
                    self._make_room()
                raise

    def _make_room(self) -> None:
        """Have the next write begin the log anew instead of adding to it, as far as the file can take what is there:
        the log is only folded into it by a write that succeeds, and would eat the first space that is freed."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _migrate(self) -> None:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            known = len(self._migrations)
            if version > known:
                raise self._kind.error(
                    f"{self.path} was written by a newer Assay (schema {version}, this one knows {known}). "
                    "Update Assay, or set data_dir to another folder."
                )
            for statements in self._migrations[version:]:
                for statement in statements:
                    db.execute(statement)
            if version < known:
                db.execute(f"PRAGMA user_version = {known}")

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        kind = self._kind
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise kind.error(kind.gone.format(path=self.path)) from error
        except sqlite3.Error as error:
            raise kind.error(f"{kind.name} {self.path} cannot be {done}: {_reason(error, kind)}") from error
        except OSError as error:
            raise kind.error(f"{kind.name} {self.path} cannot be {done}: {error.strerror or error}.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise kind.error(f"{kind.entry} in {self.path} cannot be {done}: {ended(error)}") from error


def _make(path: Path) -> None:
    """Make the file where there is none: SQLite gives its log the same permissions.

    One that is there is not opened: to close it would take away the locks of this process's other connections to it
    (POSIX locks belong to the process), and another program would throw away the log that they write into.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        check_regular(path)
        return
    with contextlib.suppress(FileExistsError):  # another connection was quicker
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _reason(error: sqlite3.Error, kind: Kind) -> str:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return f"the disk is full. Free some space; {kind.kept}."
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk failed or is full ({error}). {kind.kept.capitalize()}."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program has kept it locked for 5 s. Close that one, or try again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return (
            f"its folder or file is not writable ({error}). Check its permissions, or set data_dir to another folder."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"it is damaged or no {kind.what} at all ({error}). Move it away to start a new one."
    return ended(error)
