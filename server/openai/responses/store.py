"""Responses that are kept for those who name them later: in memory or in a file, bounded in bytes and in number."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.database import Database, Kind
from core.errors import ResponsesError
from server.body import to_json

log = logging.getLogger(__name__)

MOST = 1000
"""Responses that are kept; the oldest go first."""

# An item is kept once, however many responses hold it: a conversation that is sent whole costs what is new.
# `input` and `output` of a response are the keys of its items as JSON. Entries are never changed once released.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE responses (
            id TEXT PRIMARY KEY, kept REAL NOT NULL, body BLOB NOT NULL, input TEXT NOT NULL, output TEXT NOT NULL)""",
        "CREATE TABLE items (key TEXT PRIMARY KEY, id TEXT NOT NULL, json BLOB NOT NULL, uses INTEGER NOT NULL)",
        "CREATE INDEX items_by_id ON items (id)",
    ),
)

KIND = Kind(
    name="The file of kept responses",
    what="such file",
    entry="A response",
    gone="The response is not in {path} any more.",
    kept="what was kept before is whole, and new responses are not kept",
    error=ResponsesError,
)

_SIZE = "length(body) + length(input) + length(output)"
_NAMED = "key IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class Piece:
    """An item as it is kept: its JSON, under a digest of it."""

    key: str
    id: str
    text: bytes = field(repr=False)


def pieces(items: Iterable[dict[str, Any]]) -> list[Piece]:
    """Items, ready to be kept; of long ones this takes a while."""
    made = []
    for item in items:
        text = to_json(item)
        made.append(Piece(hashlib.sha256(text).hexdigest()[:32], item["id"], text))
    return made


@dataclass(frozen=True)
class Kept:
    """A response as its client got it, and all items of the conversation before it, oldest first."""

    response: dict[str, Any]
    input: list[dict[str, Any]]

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """What a request that goes on from here begins with."""
        return [*self.input, *self.response["output"]]


class ResponseStore:
    """Any thread may use it. `path` None keeps all in memory; `limit` is in bytes, and 0 keeps nothing.

    A file that cannot be opened is said in the log, and memory stands in for it. Methods raise ResponsesError when it
    cannot be read or written later; only what cannot be kept is no more than said in the log, and costs no answer.
    """

    def __init__(self, path: Path | None, limit: int) -> None:
        self.limit = limit
        self._db = _opened(path)
        self._writer = ThreadPoolExecutor(1, "assay-responses")
        self._last: Future[None] | None = None
        """The newest that is being written: one thread writes them in their order."""
        with self._db.read() as db:
            (items,) = db.execute("SELECT coalesce(sum(length(json)), 0) FROM items").fetchone()
            (rest,) = db.execute(f"SELECT coalesce(sum({_SIZE}), 0) FROM responses").fetchone()
        self._bytes = int(items) + int(rest)

    def close(self) -> None:
        """Let go of the file, once all is written."""
        self._writer.shutdown()
        self._db.close()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def put(self, response: dict[str, Any], conversation: Sequence[Piece]) -> None:
        """Keep a response with what was its input; the oldest make room. One that alone is too large is not kept."""
        output = pieces(response["output"])
        unique = {piece.key: piece for piece in (*conversation, *output)}
        body = to_json({**response, "output": []})
        keys = [json.dumps([piece.key for piece in part]) for part in (conversation, output)]
        if sum(map(len, (body, *keys, *(piece.text for piece in unique.values())))) > self.limit:
            return
        before = self._bytes
        try:
            with self._db.write() as db:
                self._insert(db, response["id"], body, keys, list(unique.values()))
                self._make_room(db)
        except ResponsesError as error:
            self._bytes = before
            log.warning("A response was not kept. %s", error)

    def put_soon(self, response: dict[str, Any], conversation: Sequence[Piece]) -> None:
        """The same on a thread, which costs an event loop nothing. Who asks for what is not yet there waits for it."""
        try:
            self._last = self._writer.submit(self.put, response, conversation)
        except RuntimeError:
            log.warning("A response was not kept: the API is being switched off.")

    def get(self, id: str) -> Kept | None:
        """A response by its id."""
        self._settle()
        with self._db.read() as db:
            row = db.execute("SELECT body, input, output FROM responses WHERE id = ?", (id,)).fetchone()
            if row is None:
                return None
            response: dict[str, Any] = json.loads(row[0])
            return Kept(response | {"output": _items(db, row[2])}, _items(db, row[1]))

    def item(self, id: str) -> dict[str, Any] | None:
        """The newest item of that id, of whichever response."""
        self._settle()
        with self._db.read() as db:
            row = db.execute("SELECT json FROM items WHERE id = ? ORDER BY rowid DESC LIMIT 1", (id,)).fetchone()
            return None if row is None else json.loads(row[0])

    def delete(self, id: str) -> bool:
        """Forget a response, and the items that no other holds; False if there is none."""
        self._settle()
        with self._db.write() as db:
            return self._forget(db, id)

    def _settle(self) -> None:
        if self._last is not None:
            wait([self._last])

    def _insert(self, db: sqlite3.Connection, id: str, body: bytes, keys: Sequence[str], held: Sequence[Piece]) -> None:
        named = json.dumps([piece.key for piece in held])
        known = {key for (key,) in db.execute(f"SELECT key FROM items WHERE {_NAMED}", (named,))}
        db.executemany(
            "INSERT INTO items VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET uses = uses + 1",
            [(piece.key, piece.id, piece.text) for piece in held],
        )
        db.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?)", (id, time.time(), body, *keys))
        self._bytes += sum(len(piece.text) for piece in held if piece.key not in known)
        self._bytes += len(body) + sum(map(len, keys))

    def _make_room(self, db: sqlite3.Connection) -> None:
        oldest = [id for (id,) in db.execute("SELECT id FROM responses ORDER BY kept, rowid")]
        for place, id in enumerate(oldest):
            if self._bytes <= self.limit and len(oldest) - place <= MOST:
                break
            self._forget(db, id)

    def _forget(self, db: sqlite3.Connection, id: str) -> bool:
        row = db.execute(f"SELECT input, output, {_SIZE} FROM responses WHERE id = ?", (id,)).fetchone()
        if row is None:
            return False
        named = (json.dumps(list(dict.fromkeys([*json.loads(row[0]), *json.loads(row[1])]))),)
        db.execute("DELETE FROM responses WHERE id = ?", (id,))
        db.execute(f"UPDATE items SET uses = uses - 1 WHERE {_NAMED}", named)
        unused = f"uses = 0 AND {_NAMED}"
        freed = db.execute(f"SELECT coalesce(sum(length(json)), 0) FROM items WHERE {unused}", named).fetchone()
        db.execute(f"DELETE FROM items WHERE {unused}", named)
        self._bytes -= int(row[2]) + int(freed[0])
        return True


def _items(db: sqlite3.Connection, keys: str) -> list[dict[str, Any]]:
    found = dict(db.execute(f"SELECT key, json FROM items WHERE {_NAMED}", (keys,)))
    return [json.loads(found[key]) for key in json.loads(keys) if key in found]  # another program may delete some


def _opened(path: Path | None) -> Database:
    if path is not None:
        try:
            return Database(path, KIND, MIGRATIONS)
        except ResponsesError as error:
            log.warning("%s Responses are kept in memory.", error)
    return Database(None, KIND, MIGRATIONS)
