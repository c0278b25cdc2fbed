"""Responses that are kept for those who name them later: in memory or in a file, bounded in bytes and in number."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.body import to_json

log = logging.getLogger(__name__)

MOST = 1000
"""Responses that are kept; the oldest go first."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, kept REAL NOT NULL, body BLOB NOT NULL, input TEXT NOT NULL, output TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (key TEXT PRIMARY KEY, id TEXT NOT NULL, json BLOB NOT NULL, uses INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS items_by_id ON items (id);
"""
"""An item is kept once, however many responses hold it: a conversation that is sent whole each time costs its news.
`input` and `output` of a response are the keys of its items as JSON."""


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

    A file that cannot be read or written is said in the log and costs what would have been kept, never an answer; only
    deleting raises.
    """

    def __init__(self, path: Path | None, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, "assay-responses")
        self._last: Future[None] | None = None
        """The newest that is being written: one thread writes them in their order."""
        self._db = _opened(path)
        self._bytes = self._measured()

    def close(self) -> None:
        """Let go of the file. What is asked later is answered as if nothing was kept."""
        self._writer.shutdown()
        with self._lock:
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
        with self._lock:
            before = self._bytes
            try:
                with self._db:
                    self._insert(response["id"], body, keys, list(unique.values()))
                    self._make_room()
            except sqlite3.Error as error:
                self._bytes = before
                log.warning("A response was not kept: %s.", error)

    def put_soon(self, response: dict[str, Any], conversation: Sequence[Piece]) -> None:
        """The same on a thread, which costs an event loop nothing. Who asks for what is not yet there waits for it."""
        try:
            self._last = self._writer.submit(self.put, response, conversation)
        except RuntimeError:
            log.warning("A response was not kept: the API is being switched off.")

    def get(self, id: str) -> Kept | None:
        """A response by its id."""
        self._settle()
        with self._lock:
            try:
                found = "SELECT body, input, output FROM responses WHERE id = ?"
                row = self._db.execute(found, (id,)).fetchone()
                if row is None:
                    return None
                response: dict[str, Any] = json.loads(row[0])
                return Kept(response | {"output": self._items(row[2])}, self._items(row[1]))
            except sqlite3.Error as error:
                log.warning("Kept responses cannot be read: %s.", error)
                return None

    def item(self, id: str) -> dict[str, Any] | None:
        """The newest item of that id, of whichever response."""
        self._settle()
        with self._lock:
            try:
                found = "SELECT json FROM items WHERE id = ? ORDER BY rowid DESC LIMIT 1"
                row = self._db.execute(found, (id,)).fetchone()
            except sqlite3.Error as error:
                log.warning("Kept responses cannot be read: %s.", error)
                return None
        return None if row is None else json.loads(row[0])

    def delete(self, id: str) -> bool:
        """Forget a response, and the items that no other holds; False if there is none.

        Raises sqlite3.Error where a file cannot be written: nobody is told that it is gone while it is not.
        """
        self._settle()
        with self._lock, self._db:
            return self._forget(id)

    def _settle(self) -> None:
        if self._last is not None:
            wait([self._last])

    def _measured(self) -> int:
        (items,) = self._db.execute("SELECT coalesce(sum(length(json)), 0) FROM items").fetchone()
        (rest,) = self._db.execute(f"SELECT coalesce(sum({_SIZE}), 0) FROM responses").fetchone()
        return int(items) + int(rest)

    def _insert(self, id: str, body: bytes, keys: Sequence[str], held: Sequence[Piece]) -> None:
        named = json.dumps([piece.key for piece in held])
        known = {key for (key,) in self._db.execute(f"SELECT key FROM items WHERE {_NAMED}", (named,))}
        self._db.executemany(
            "INSERT INTO items VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET uses = uses + 1",
            [(piece.key, piece.id, piece.text) for piece in held],
        )
        self._db.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?)", (id, time.time(), body, *keys))
        self._bytes += sum(len(piece.text) for piece in held if piece.key not in known)
        self._bytes += len(body) + sum(map(len, keys))

    def _make_room(self) -> None:
        oldest = [id for (id,) in self._db.execute("SELECT id FROM responses ORDER BY kept, rowid")]
        for place, id in enumerate(oldest):
            if self._bytes <= self.limit and len(oldest) - place <= MOST:
                break
            self._forget(id)

    def _forget(self, id: str) -> bool:
        row = self._db.execute(f"SELECT input, output, {_SIZE} FROM responses WHERE id = ?", (id,)).fetchone()
        if row is None:
            return False
        named = (json.dumps(list(dict.fromkeys([*json.loads(row[0]), *json.loads(row[1])]))),)
        self._db.execute("DELETE FROM responses WHERE id = ?", (id,))
        self._db.execute(f"UPDATE items SET uses = uses - 1 WHERE {_NAMED}", named)
        unused = f"uses = 0 AND {_NAMED}"
        freed = self._db.execute(f"SELECT coalesce(sum(length(json)), 0) FROM items WHERE {unused}", named).fetchone()
        self._db.execute(f"DELETE FROM items WHERE {unused}", named)
        self._bytes -= int(row[2]) + int(freed[0])
        return True

    def _items(self, keys: str) -> list[dict[str, Any]]:
        found = dict(self._db.execute(f"SELECT key, json FROM items WHERE {_NAMED}", (keys,)))
        return [json.loads(found[key]) for key in json.loads(keys) if key in found]  # another program may delete some


def _opened(path: Path | None) -> sqlite3.Connection:
    """The file, its owner's alone, or a place in memory where there is none to be had."""
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return _with_tables(str(path))
        except (OSError, sqlite3.Error) as error:
            log.warning("%s cannot be used (%s); responses are kept in memory.", path, error)
    return _with_tables(":memory:")


def _with_tables(place: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=1.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # the last ones may be lost with the power, none is torn
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
