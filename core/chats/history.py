"""Past chats, in one SQLite file: every turn that `add` has returned for survives a kill, and old turns a full disk."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

from core.calls.requests import Message, Role
from core.chats.database import open_history
from core.chats.rows import (
    BEGINS,
    ENDS,
    escaped,
    forget_images,
    keep_images,
    marked,
    read_finished,
    read_parts,
    read_settings,
    snippet_of,
    words_of,
    write_details,
    write_parts,
    write_settings,
)
from core.chats.settings import ChatSettings
from core.chats.tree import Node, Place, Tree, Turn
from core.errors import HistoryError
from core.media.images import ImageData
from core.text_safety import clean

FILE = "history.sqlite3"
"""What the file is called, in data_dir."""
MAX_TITLE = 200
MOST_FOUND = 200
"""Chats that a search gives at most."""
NEWEST = -1
"""In place of a turn's id: the one of the chat that was written last."""

T = TypeVar("T", bound=Tree)


@dataclass(frozen=True)
class Chat:
    """A conversation's head. `model` is the id last talked to; times are seconds since the epoch.

    `messages` counts the turns of all branches, `drafts` what is written and not sent. `settings` is None where an
    earlier version wrote none.
    """

    id: int
    title: str
    model: str
    created: float
    updated: float
    messages: int = 0
    drafts: int = 0
    settings: ChatSettings | None = None


@dataclass(frozen=True)
class Draft:
    """What is written and not sent yet: a new message, or, with a `turn`, another wording of that one.

    A wording that is `put_off` waits at its turn, while something else is written. `row` is its id in the file, None as
    long as it is not there.
    """

    text: str = ""
    images: tuple[ImageData, ...] = ()
    turn: int | None = None
    put_off: bool = False
    row: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Hit:
    """Where a search found something: in a turn, or, when `turn` is None, in the title.

    `snippet` is the text around it on one line, `marks` where in it the words are: start and end of each.
    """

    chat: Chat
    turn: int | None
    snippet: str
    marks: tuple[tuple[int, int], ...] = ()


class History:
    """The file of past chats. Any thread may call; every method waits for the disk, so no event loop should.

    Every method raises HistoryError when the file cannot be read or written; a write that fails changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_history(path)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing ------------------------------------------------------------------------------------------------------

    def start(self, title: str, model: str, settings: ChatSettings | None = None) -> Chat:
        """A new, empty chat."""
        with self._db.write() as db:
            return _start(db, title, model, settings)

    def add(self, chat: int, turn: Turn, after: int | None = NEWEST) -> int:
        """Put a turn behind another one, or at the beginning (None), where it is the one that is shown; returns its id.

        When this returns, it is on disk. An answer's model becomes the chat's.
        """
        now = time.time()
        with self._db.write() as db:
            if after == NEWEST:
                (after,) = db.execute("SELECT max(id) FROM messages WHERE chat = ?", (chat,)).fetchone()
            row = db.execute(
                "INSERT INTO messages (chat, role, parts, model, created, details, parent, settings) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(chat, turn.message.role, write_parts(turn.message.parts), turn.model or None, turn.created),
                    *(write_details(turn), after, write_settings(turn.settings)),
                ),
            )
            id = int(row.lastrowid or 0)
            keep_images(db, turn.message.images, "message_images", id)
            db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (id, clean(words_of(turn.message.parts))))
            _choose(db, chat, after, id)
            db.execute(
                "UPDATE chats SET updated = ?, model = coalesce(?, model) WHERE id = ?", (now, turn.model or None, chat)
            )
        return id

    def rewrite(self, id: int, turn: Turn) -> bool:
        """Put what an answer has become in the place of what it was; False where it is gone."""
        with self._db.write() as db:
            found = db.execute(
                "UPDATE messages SET parts = ?, created = ?, details = ? WHERE id = ?",
                (write_parts(turn.message.parts), turn.created, write_details(turn), id),
            )
            if found.rowcount:
                words = clean(words_of(turn.message.parts))
                db.execute("UPDATE words SET text = ? WHERE rowid = ?", (words, id))
        return bool(found.rowcount)

    def remove(self, turn: int) -> None:
        """Forget a turn, and drafts that were to change it; one that something follows stays."""
        with self._db.write() as db:
            db.execute(
                "DELETE FROM messages WHERE id = ? AND NOT EXISTS (SELECT 1 FROM messages WHERE parent = ?)",
                (turn, turn),
            )
            forget_images(db)

    def choose(self, chat: int, after: int | None, turn: int) -> None:
        """Have `turn` shown behind `after`, or at the beginning of the chat (None), from now on."""
        with self._db.write() as db:
            _choose(db, chat, after, turn)

    def set_settings(self, chat: int, settings: ChatSettings) -> None:
        """What the next requests of a chat are made with."""
        with self._db.write() as db:
            db.execute("UPDATE chats SET settings = ? WHERE id = ?", (write_settings(settings), chat))

    def set_drafts(self, chat: int | None, drafts: Sequence[Draft], own: Sequence[Draft] | None = None) -> list[Draft]:
        """Replace what is written and not sent in a chat; None is the chat that has not begun yet.

        `own` are the drafts that this program has read or written last, and which it replaces, wherever another one has
        put them: what others have written stays. None stands for all of them. Returns the drafts with their rows; one
        that was to change a turn which is gone is a new message.
        """
        with self._db.write() as db:
            if own is None:
                db.execute("DELETE FROM drafts WHERE chat IS ?", (chat,))
            for draft in own or ():
                db.execute("DELETE FROM drafts WHERE id = ? AND parts = ?", (draft.row, _draft_parts(draft)))
            kept = [_write_draft(db, chat, draft) for draft in drafts]
            forget_images(db)
        return kept

    def part_drafts(self, drafts: Sequence[Draft], title: Callable[[str], str] = str) -> None:
        """Make chats of drafts as they are in the file, each one of its own, whose title `title` makes of its text."""
        with self._db.write() as db:
            for draft in drafts:
                found = db.execute("SELECT 1 FROM drafts WHERE id = ? AND parts = ?", (draft.row, _draft_parts(draft)))
                if found.fetchone():
                    chat = _start(db, title(draft.text), "", None).id
                    db.execute("UPDATE drafts SET chat = ?, put_off = 0 WHERE id = ?", (chat, draft.row))

    def set_new_draft(self, draft: Draft | None, own: Draft | None, title: Callable[[str], str] = str) -> int | None:
        """Replace what is written for the chat that has not begun yet by `draft`, None for nothing.

        `own` is what this program has read or written there last; what another one has written becomes a chat, whose
        title `title` makes of its text. Where another one has made a chat of `own`, nothing is done: returns that chat.
        """
        known = None if own is None else _draft_parts(own)
        with self._db.write() as db:
            found = db.execute("SELECT id, parts FROM drafts WHERE chat IS NULL").fetchall()
            if known is not None and known not in [parts for _, parts in found]:
                moved = db.execute(
                    "SELECT max(chat) FROM drafts WHERE chat IS NOT NULL AND turn IS NULL AND parts = ?", (known,)
                ).fetchone()
                if moved[0] is not None:
                    return int(moved[0])
            for id, parts in found if draft is not None else []:
                if parts != known:
                    text = Message(Role.USER, read_parts(parts, self._image)).plain_text
                    chat = _start(db, title(text), "", None).id
                    db.execute("UPDATE drafts SET chat = ? WHERE id = ?", (chat, id))
            db.execute("DELETE FROM drafts WHERE chat IS NULL AND parts = ?", (known,))
            if draft is not None:
                _write_draft(db, None, draft)
            forget_images(db)
        return None

    def rename(self, chat: int, title: str) -> None:
        """Give a chat another title."""
        with self._db.write() as db:
            db.execute("UPDATE chats SET title = ? WHERE id = ?", (_title(title), chat))

    def delete(self, chat: int) -> None:
        """Forget a chat, its turns and the images that no other chat shows."""
        with self._db.write() as db:
            db.execute("DELETE FROM drafts WHERE chat = ?", (chat,))
            db.execute("DELETE FROM messages WHERE chat = ?", (chat,))
            db.execute("DELETE FROM chats WHERE id = ?", (chat,))
            forget_images(db)
            db.execute("INSERT INTO words (words) VALUES ('optimize')")  # or its words would stay in the index's pages

    # -- reading ------------------------------------------------------------------------------------------------------

    def chats(self) -> list[Chat]:
        """The chats in which something was said or is written, the one last talked in first."""
        return self._chats(f"WHERE {_HOLDS_SOMETHING} ORDER BY updated DESC, id DESC")

    def chat(self, chat: int) -> Chat:
        """One chat by its id. Raises HistoryError when it is gone."""
        found = self._chats("WHERE id = ?", chat)
        if not found:
            raise HistoryError(f"There is no chat {chat} in {self.path}; it may have been deleted elsewhere.")
        return found[0]

    def holds(self, chat: int, turns: Iterable[int] = ()) -> bool:
        """Whether a chat is still there, with all these turns of it."""
        wanted = set(turns)
        with self._db.read() as db:
            if not db.execute("SELECT 1 FROM chats WHERE id = ?", (chat,)).fetchone():
                return False
            asked = "SELECT 1 FROM messages WHERE id = ? AND chat = ?"
            return all(db.execute(asked, (turn, chat)).fetchone() for turn in wanted)

    def turns(self, chat: int) -> list[Turn]:
        """The turns of the branch that was seen last, in order, images included."""
        return self.tree(chat, Tree()).turns

    def tree(self, chat: int, tree: T) -> T:
        """Fill an empty tree with a chat: every branch, images included, each place showing what was seen last."""
        tree.chat = chat
        image = cache(self._image)
        with self._db.read() as db:
            rows = db.execute(
                "SELECT id, role, parts, model, created, details, settings, parent, chosen "
                "FROM messages WHERE chat = ? ORDER BY id",
                (chat,),
            ).fetchall()
            ((first,),) = db.execute("SELECT chosen FROM chats WHERE id = ?", (chat,)).fetchall() or [(None,)]
            places: dict[int | None, Place] = {None: tree}
            for id, role, parts, model, created, details, settings, parent, _ in rows:
                message = Message(Role(role), read_parts(parts, image))
                known = json.loads(details)
                tier = known.get("tier", "")
                turn = Turn(message, model or "", read_finished(known), read_settings(settings), created, tier)
                places[id] = tree.add(turn, places[parent], id)
            for id, chosen in [(None, first), *((row[0], row[8]) for row in rows)]:
                seen = places.get(chosen) if chosen else None
                if isinstance(seen, Node) and seen.parent is places[id]:
                    places[id].shown = seen
        return tree

    def drafts(self, chat: int | None) -> list[Draft]:
        """What is written and not sent in a chat, or in the one that has not begun yet (None)."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT parts, turn, put_off, id FROM drafts WHERE chat IS ? ORDER BY id", (chat,)
            ).fetchall()
            messages = [(Message(Role.USER, read_parts(parts, self._image)), *rest) for parts, *rest in rows]
        return [Draft(message.plain_text, message.images, turn, bool(off), row) for message, turn, off, row in messages]

    def last_used(self) -> dict[str, float]:
        """By model, when it last wrote an answer that is kept: seconds since the epoch."""
        with self._db.read() as db:
            return dict(db.execute("SELECT model, max(created) FROM messages WHERE model != '' GROUP BY model"))

    def search(self, text: str, limit: int = MOST_FOUND) -> list[Hit]:
        """Chats with a turn that holds every word of `text` (the beginning of a word is enough), each with the turn
        that fits best, then those that have it in the title. `limit` counts chats.

        Where no turn does, those with one that holds `text` anywhere: scripts without spaces have no words to begin
        with.
        """
        words = clean(text).replace('"', " ").split()
        if not words:
            return []
        pattern = "%" + escaped(" ".join(words)) + "%"
        wanted = " ".join(f'"{word}"*' for word in words)
        with self._db.read("searched") as db:
            best: dict[int, int] = {}
            for chat, turn in db.execute(
                "SELECT m.chat, m.id FROM words JOIN messages m ON m.id = words.rowid "
                "WHERE words MATCH ? ORDER BY rank",
                (wanted,),
            ):
                best.setdefault(chat, turn)
            turns = list(best.values())[:limit]
            snippets = dict(
                db.execute(
                    "SELECT rowid, snippet(words, 0, ?, ?, '…', 16) FROM words "
                    "WHERE words MATCH ? AND rowid IN (SELECT value FROM json_each(?))",
                    (BEGINS, ENDS, wanted, json.dumps(turns)),
                )
            )
            found = [(chat, turn, snippets[turn]) for chat, turn in best.items() if turn in snippets]
            if not found:
                rows = db.execute(
                    "SELECT m.chat, max(m.id), text FROM words JOIN messages m ON m.id = words.rowid "
                    "WHERE text LIKE ? ESCAPE '\\' GROUP BY m.chat ORDER BY max(m.id) DESC LIMIT ?",
                    (pattern, limit),
                ).fetchall()
                found = [(chat, turn, snippet_of(body, " ".join(words))) for chat, turn, body in rows]
            titled = self._chats(
                f"WHERE title LIKE ? ESCAPE '\\' AND {_HOLDS_SOMETHING} ORDER BY updated DESC LIMIT ?", pattern, limit
            )
            heads = {chat: self.chat(chat) for chat, _, _ in found}
        hits = [Hit(heads[chat], turn, *marked(snippet)) for chat, turn, snippet in found]
        titles = [(chat, snippet_of(chat.title, " ".join(words), MAX_TITLE)) for chat in titled if chat.id not in heads]
        return (hits + [Hit(chat, None, *marked(title)) for chat, title in titles])[:limit]

    def _chats(self, where: str, *values: object) -> list[Chat]:
        with self._db.read() as db:
            rows = db.execute(
                "SELECT id, title, model, created, updated, (SELECT count(*) FROM messages WHERE chat = chats.id), "
                f"(SELECT count(*) FROM drafts WHERE chat = chats.id), settings FROM chats {where}",
                values,
            ).fetchall()
        return [_chat(*row) for row in rows]

    def _image(self, sha: str, name: str) -> ImageData:
        with self._db.read() as db:
            row = db.execute("SELECT data, media_type, width, height FROM images WHERE sha = ?", (sha,)).fetchone()
        if row is None:
            raise ValueError(f"the image {sha} is missing")
        data, media_type, width, height = row
        return ImageData(data, media_type, width, height, sha, name)


_HOLDS_SOMETHING = (
    "(EXISTS (SELECT 1 FROM messages WHERE chat = chats.id) OR EXISTS (SELECT 1 FROM drafts WHERE chat = chats.id))"
)


def _chat(
    id: int, title: str, model: str, created: float, updated: float, messages: int, drafts: int, settings: str | None
) -> Chat:
    return Chat(id, title, model, created, updated, messages, drafts, read_settings(settings))


def _title(text: str) -> str:
    return " ".join(clean(text).split())[:MAX_TITLE] or "Untitled"


def _start(db: sqlite3.Connection, title: str, model: str, settings: ChatSettings | None) -> Chat:
    now = time.time()
    row = db.execute(
        "INSERT INTO chats (title, model, created, updated, settings) VALUES (?, ?, ?, ?, ?)",
        (_title(title), model, now, now, write_settings(settings)),
    )
    return Chat(int(row.lastrowid or 0), _title(title), model, now, now, settings=settings)


def _draft_parts(draft: Draft) -> str:
    return write_parts(Message.text(Role.USER, draft.text, *draft.images).parts)


def _write_draft(db: sqlite3.Connection, chat: int | None, draft: Draft) -> Draft:
    """Returns the draft with its row."""
    row = db.execute(
        "INSERT INTO drafts (chat, turn, parts, put_off) VALUES (?, (SELECT id FROM messages WHERE id = ?), ?, ?)",
        (chat, draft.turn, _draft_parts(draft), draft.put_off),
    )
    id = int(row.lastrowid or 0)
    keep_images(db, draft.images, "draft_images", id)
    return replace(draft, row=id)


def _choose(db: sqlite3.Connection, chat: int, after: int | None, turn: int) -> None:
    if after is None:
        db.execute("UPDATE chats SET chosen = ? WHERE id = ?", (turn, chat))
    else:
        db.execute("UPDATE messages SET chosen = ? WHERE id = ? AND chat = ?", (turn, after, chat))
