"""The SQLite file of past chats: its tables, version by version, and what is said when it fails."""

from __future__ import annotations

from pathlib import Path

from core.database import Database, Kind
from core.errors import HistoryError

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

KIND = Kind(
    name="The chat history",
    what="history",
    entry="A turn",
    gone="The chat is not in {path} any more; it may have been deleted elsewhere.",
    kept="earlier chats are whole, and this one goes on unsaved",
    error=HistoryError,
)


def open_history(path: Path) -> Database:
    """The file of past chats. It, and what it opens, raise HistoryError."""
    return Database(path, KIND, MIGRATIONS)
