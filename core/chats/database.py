"""The SQLite file of past chats: opened, migrated, read and written in transactions, its errors as sentences."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import HistoryError, ended

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # an acknowledged turn outlives a power cut too
    "fullfsync = ON",  # on macOS it takes this for that
    "foreign_keys = ON",
    "secure_delete = ON",
)

# One entry a schema version (PRAGMA user_version), each a tuple of statements. Entries are never changed once released:
# a new version is a new entry.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE chats (
            id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, model TEXT NOT NULL,
            created REAL NOT NULL, updated REAL NOT NULL)""",
        """CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT, chat INTEGER NOT NULL REFERENCES chats ON DELETE CASCADE,
            role TEXT NOT NULL, parts TEXT NOT NULL, model TEXT, created REAL NOT NULL, details TEXT NOT NULL)""",
        "CREATE INDEX messages_by_chat ON messages (chat, id)",
        """CREATE TABLE images (
            sha TEXT PRIMARY KEY, data BLOB NOT NULL, media_type TEXT NOT NULL,
            width INTEGER NOT NULL, height INTEGER NOT NULL)""",
        """CREATE TABLE message_images (
            message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE, sha TEXT NOT NULL REFERENCES images,
            PRIMARY KEY (message, sha)) WITHOUT ROWID""",
        "CREATE INDEX message_images_by_sha ON message_images (sha)",
        "CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')",
        "CREATE TRIGGER forget_words AFTER DELETE ON messages BEGIN DELETE FROM words WHERE rowid = old.id; END",
    ),
    (
        # A turn's `parent` is the one that it follows, NULL at the beginning; `chosen` is the turn that was seen last
        # behind a turn or at a chat's beginning, NULL for the newest. Deleting never cascades along parents: a chain of
        # a thousand turns is deeper than SQLite goes.
        "ALTER TABLE messages ADD COLUMN parent INTEGER REFERENCES messages DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE messages ADD COLUMN chosen INTEGER",
        "ALTER TABLE messages ADD COLUMN settings TEXT",
        """UPDATE messages SET parent = (
            SELECT max(other.id) FROM messages other WHERE other.chat = messages.chat AND other.id < messages.id)""",
        "CREATE INDEX messages_by_parent ON messages (parent)",
        "ALTER TABLE chats ADD COLUMN chosen INTEGER",
        "ALTER TABLE chats ADD COLUMN settings TEXT",
        # A draft of no chat is that of the next new one; one with a `turn` changes that turn.
        """CREATE TABLE drafts (
            id INTEGER PRIMARY KEY, chat INTEGER REFERENCES chats ON DELETE CASCADE,
            turn INTEGER REFERENCES messages ON DELETE CASCADE, parts TEXT NOT NULL)""",
        "CREATE INDEX drafts_by_chat ON drafts (chat)",
        "CREATE INDEX drafts_by_turn ON drafts (turn)",
        """CREATE TABLE draft_images (
            draft INTEGER NOT NULL REFERENCES drafts ON DELETE CASCADE, sha TEXT NOT NULL REFERENCES images,
            PRIMARY KEY (draft, sha)) WITHOUT ROWID""",
        "CREATE INDEX draft_images_by_sha ON draft_images (sha)",
    ),
    # Another wording of a turn that was left waits at its turn; the one that was being written is gone on with.
    ("ALTER TABLE drafts ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0",),
)


class Database:
    """One connection, for any thread, one at a time; every method waits for the disk.

    Every method raises HistoryError when the file cannot be read or written; a write that fails changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._errors("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its log the same permissions
            self._connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
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
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _migrate(self) -> None:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise HistoryError(
                    f"{self.path} was written by a newer Assay (schema {version}, this one knows {len(MIGRATIONS)}). "
                    "Update Assay, or set data_dir to another folder."
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    db.execute(statement)
            if version < len(MIGRATIONS):
                db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise HistoryError(
                f"The chat is not in {self.path} any more; it may have been deleted elsewhere."
            ) from error
        except sqlite3.Error as error:
            raise HistoryError(f"The chat history {self.path} cannot be {done}: {_reason(error)}") from error
        except OSError as error:
            raise HistoryError(f"The chat history {self.path} cannot be {done}: {error.strerror or error}.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise HistoryError(f"A turn in {self.path} cannot be {done}: {ended(error)}") from error


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full. Free some space; earlier chats are whole, and this one goes on unsaved."
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk failed or is full ({error}). Earlier chats are whole, and this one goes on unsaved."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program has kept it locked for 5 s. Close that one, or try again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return (
            f"its folder or file is not writable ({error}). Check its permissions, or set data_dir to another folder."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"it is damaged or no history at all ({error}). Move it away to start a new one."
    return ended(error)
