"""Past chats, in one SQLite file: every turn that `add` has returned for survives a kill, and old turns a full disk."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from core.calls.requests import ImagePart, Message, Part, Role, TextPart, ThinkingPart, ToolResultPart
from core.chats.database import Database
from core.chats.parts import parts_from_json, parts_to_json
from core.errors import HistoryError
from core.media.images import ImageData
from core.text_safety import clean

FILE = "history.sqlite3"
"""What the file is called, in data_dir."""
MAX_TITLE = 200


@dataclass(frozen=True)
class Chat:
    """A conversation's head. `model` is the id last talked to; times are seconds since the epoch."""

    id: int
    title: str
    model: str
    created: float
    updated: float
    messages: int


@dataclass(frozen=True)
class Turn:
    """A stored message. `model` is who wrote it, for an answer; `details` is what the face wants back (speeds, ...)."""

    id: int
    chat: int
    message: Message
    model: str | None
    created: float
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """Where a search found something: in a turn, or, when `turn` is None, in the title. `snippet` [marks] the words."""

    chat: Chat
    turn: int | None
    snippet: str


class History:
    """The file of past chats. Any thread may call; every method waits for the disk, so no event loop should.

    Every method raises HistoryError when the file cannot be read or written; a write that fails changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = Database(path)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, title: str, model: str) -> Chat:
        """A new, empty chat."""
        now = time.time()
        with self._db.write() as db:
            row = db.execute(
                "INSERT INTO chats (title, model, created, updated) VALUES (?, ?, ?, ?)",
                (_title(title), model, now, now),
            )
            return Chat(int(row.lastrowid or 0), _title(title), model, now, now, 0)

    def add(
        self, chat: int, message: Message, model: str | None = None, details: Mapping[str, Any] | None = None
    ) -> Turn:
        """Append a turn; when this returns, it is on disk. `model` is set for answers, and becomes the chat's."""
        now = time.time()
        with self._db.write() as db:
            row = db.execute(
                "INSERT INTO messages (chat, role, parts, model, created, details) VALUES (?, ?, ?, ?, ?, ?)",
                (chat, message.role, _parts(message), model, now, json.dumps(dict(details or {}))),
            )
            turn = int(row.lastrowid or 0)
            for image in message.images:
                db.execute(
                    "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)",
                    (image.sha256, image.data, image.media_type, image.width, image.height),
                )
                db.execute("INSERT OR IGNORE INTO message_images VALUES (?, ?)", (turn, image.sha256))
            db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (turn, clean(_words(message.parts))))
            db.execute("UPDATE chats SET updated = ?, model = coalesce(?, model) WHERE id = ?", (now, model, chat))
        return Turn(turn, chat, message, model, now, dict(details or {}))

    def cut(self, chat: int, turn: int) -> None:
        """Forget a turn and all that follow it: what editing and regenerating begin with."""
        with self._db.write() as db:
            db.execute("DELETE FROM messages WHERE chat = ? AND id >= ?", (chat, turn))
            _forget_images(db)

    def rename(self, chat: int, title: str) -> None:
        """Give a chat another title."""
        with self._db.write() as db:
            db.execute("UPDATE chats SET title = ? WHERE id = ?", (_title(title), chat))

    def delete(self, chat: int) -> None:
        """Forget a chat, its turns and the images that no other chat shows."""
        with self._db.write() as db:
            db.execute("DELETE FROM messages WHERE chat = ?", (chat,))
            db.execute("DELETE FROM chats WHERE id = ?", (chat,))
            _forget_images(db)
            db.execute("INSERT INTO words (words) VALUES ('optimize')")  # or its words would stay in the index's pages

    def chats(self, limit: int = 200) -> list[Chat]:
        """The chats, the one last talked in first."""
        return self._chats("ORDER BY updated DESC, id DESC LIMIT ?", limit)

    def chat(self, chat: int) -> Chat:
        """One chat by its id. Raises HistoryError when it is gone."""
        found = self._chats("WHERE id = ?", chat)
        if not found:
            raise HistoryError(f"There is no chat {chat} in {self.path}; it may have been deleted elsewhere.")
        return found[0]

    def turns(self, chat: int) -> list[Turn]:
        """A chat's turns in order, images included."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT id, role, parts, model, created, details FROM messages WHERE chat = ? ORDER BY id", (chat,)
            ).fetchall()
            return [
                Turn(turn, chat, Message(Role(role), self._read(parts)), model, created, json.loads(details))
                for turn, role, parts, model, created, details in rows
            ]

    def last_used(self) -> dict[str, float]:
        """By model, when it last wrote an answer that is kept: seconds since the epoch."""
        with self._db.read() as db:
            return dict(db.execute("SELECT model, max(created) FROM messages WHERE model IS NOT NULL GROUP BY model"))

    def search(self, text: str, limit: int = 50) -> list[Hit]:
        """Turns that hold every word of `text` (the beginning of a word is enough), then chats with it in the title.

        Where no turn does, those that hold `text` anywhere: scripts without spaces have no words to begin with.
        """
        words = clean(text).replace('"', " ").split()
        if not words:
            return []
        pattern = "%" + _escaped(" ".join(words)) + "%"
        with self._db.read("searched") as db:
            found = db.execute(
                "SELECT m.chat, m.id, snippet(words, 0, '[', ']', '…', 16) FROM words "
                "JOIN messages m ON m.id = words.rowid WHERE words MATCH ? ORDER BY rank LIMIT ?",
                (" ".join(f'"{word}"*' for word in words), limit),
            ).fetchall()
            if not found:
                rows = db.execute(
                    "SELECT m.chat, m.id, text FROM words JOIN messages m ON m.id = words.rowid "
                    "WHERE text LIKE ? ESCAPE '\\' ORDER BY m.id DESC LIMIT ?",
                    (pattern, limit),
                ).fetchall()
                found = [(chat, turn, _snippet(body, " ".join(words))) for chat, turn, body in rows]
            titled = self._chats("WHERE title LIKE ? ESCAPE '\\' ORDER BY updated DESC LIMIT ?", pattern, limit)
            heads = {chat: self.chat(chat) for chat in {row[0] for row in found}}
        hits = [Hit(heads[chat], turn, snippet) for chat, turn, snippet in found]
        return (hits + [Hit(chat, None, chat.title) for chat in titled])[:limit]

    def _chats(self, where: str, *values: object) -> list[Chat]:
        with self._db.read() as db:
            rows = db.execute(
                "SELECT id, title, model, created, updated, (SELECT count(*) FROM messages WHERE chat = chats.id) "
                f"FROM chats {where}",
                values,
            ).fetchall()
        return [Chat(*row) for row in rows]

    def _read(self, parts: str) -> tuple[Part, ...]:
        return parts_from_json(json.loads(parts), self._image)

    def _image(self, value: Mapping[str, Any]) -> ImageData:
        with self._db.read() as db:
            row = db.execute(
                "SELECT data, media_type, width, height FROM images WHERE sha = ?", (value["sha"],)
            ).fetchone()
        if row is None:
            raise ValueError(f"the image {value['sha']} is missing")
        data, media_type, width, height = row
        return ImageData(data, media_type, width, height, value["sha"], value.get("name", ""))


def _title(text: str) -> str:
    return " ".join(clean(text).split())[:MAX_TITLE] or "Untitled"


def _parts(message: Message) -> str:
    return json.dumps(parts_to_json(message.parts, lambda image: {"sha": image.sha256, "name": image.name}))


def _words(parts: tuple[Part, ...]) -> str:
    """What a search looks through: text, thinking, tool results and the names of images; not the calls' JSON."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, TextPart | ThinkingPart):
            found.append(part.text)
        elif isinstance(part, ImagePart):
            found.append(part.image.name)
        elif isinstance(part, ToolResultPart):
            found.append(_words(part.content))
    return "\n".join(found)


def _snippet(body: str, part: str, around: int = 40) -> str:
    at = max(body.lower().find(part.lower()), 0)
    end = at + len(part)
    before, after = body[max(at - around, 0) : at], body[end : end + around]
    return f"{'…' if at > around else ''}{before}[{body[at:end]}]{after}{'…' if end + around < len(body) else ''}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _forget_images(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM images WHERE sha NOT IN (SELECT sha FROM message_images)")
