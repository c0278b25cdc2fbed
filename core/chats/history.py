"""Past chats, in one SQLite file: every turn that `add` has returned for survives a kill, and old turns a full disk."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

from core.calls.events import Finished, FinishReason, Timing, Usage
from core.calls.requests import ImagePart, Message, Part, Role, TextPart, ThinkingPart, ToolResultPart
from core.calls.witness import Witness
from core.chats.database import open_history
from core.chats.parts import parts_from_json, parts_to_json
from core.chats.settings import ChatSettings
from core.chats.tree import Node, Place, Tree, Turn
from core.errors import HistoryError
from core.media.images import ImageData
from core.text_safety import clean

FILE = "history.sqlite3"
"""What the file is called, in data_dir."""
MAX_TITLE = 200
NEWEST = -1
"""In place of a turn's id: the one of the chat that was written last."""
BEGINS, ENDS = "\x02", "\x03"
"""Round what was found; text that is searched holds no control characters."""

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

    A wording that is `put_off` waits at its turn, while something else is written.
    """

    text: str = ""
    images: tuple[ImageData, ...] = ()
    turn: int | None = None
    put_off: bool = False


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
                    *(chat, turn.message.role, _parts(turn.message.parts), turn.model or None, turn.created),
                    *(_details(turn), after, _settings(turn.settings)),
                ),
            )
            id = int(row.lastrowid or 0)
            _keep_images(db, turn.message.images, "message_images", id)
            db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (id, clean(_words(turn.message.parts))))
            _choose(db, chat, after, id)
            db.execute(
                "UPDATE chats SET updated = ?, model = coalesce(?, model) WHERE id = ?", (now, turn.model or None, chat)
            )
        return id

    def rewrite(self, id: int, turn: Turn) -> None:
        """Put what an answer has become in the place of what it was; nothing where it is gone."""
        with self._db.write() as db:
            found = db.execute(
                "UPDATE messages SET parts = ?, created = ?, details = ? WHERE id = ?",
                (_parts(turn.message.parts), turn.created, _details(turn), id),
            )
            if found.rowcount:
                words = clean(_words(turn.message.parts))
                db.execute("UPDATE words SET text = ? WHERE rowid = ?", (words, id))

    def remove(self, turn: int) -> None:
        """Forget a turn that nothing follows, and drafts that were to change it."""
        with self._db.write() as db:
            db.execute("DELETE FROM messages WHERE id = ?", (turn,))
            _forget_images(db)

    def choose(self, chat: int, after: int | None, turn: int) -> None:
        """Have `turn` shown behind `after`, or at the beginning of the chat (None), from now on."""
        with self._db.write() as db:
            _choose(db, chat, after, turn)

    def set_settings(self, chat: int, settings: ChatSettings) -> None:
        """What the next requests of a chat are made with."""
        with self._db.write() as db:
            db.execute("UPDATE chats SET settings = ? WHERE id = ?", (_settings(settings), chat))

    def set_drafts(self, chat: int | None, drafts: Sequence[Draft]) -> None:
        """Replace what is written and not sent in a chat; None is the chat that has not begun yet."""
        with self._db.write() as db:
            db.execute("DELETE FROM drafts WHERE chat IS ?", (chat,))
            for draft in drafts:
                _write_draft(db, chat, draft)
            _forget_images(db)

    def set_new_draft(self, draft: Draft | None, own: Draft | None, title: Callable[[str], str] = str) -> int | None:
        """Replace what is written for the chat that has not begun yet by `draft`, None for nothing.

        `own` is what this program has read or written there last; what another one has written becomes a chat, whose
        title `title` makes of its text. Where another one has made a chat of `own`, nothing is done: returns that chat.
        """
        known = None if own is None else _parts(Message.text(Role.USER, own.text, *own.images).parts)
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
                    text = Message(Role.USER, _read(parts, self._image)).plain_text
                    chat = _start(db, title(text), "", None).id
                    db.execute("UPDATE drafts SET chat = ? WHERE id = ?", (chat, id))
            db.execute("DELETE FROM drafts WHERE chat IS NULL AND parts = ?", (known,))
            if draft is not None:
                _write_draft(db, None, draft)
            _forget_images(db)
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
            _forget_images(db)
            db.execute("INSERT INTO words (words) VALUES ('optimize')")  # or its words would stay in the index's pages

    # -- reading ------------------------------------------------------------------------------------------------------

    def chats(self, limit: int = 200) -> list[Chat]:
        """The chats in which something was said or is written, the one last talked in first."""
        return self._chats(f"WHERE {_HOLDS_SOMETHING} ORDER BY updated DESC, id DESC LIMIT ?", limit)

    def chat(self, chat: int) -> Chat:
        """One chat by its id. Raises HistoryError when it is gone."""
        found = self._chats("WHERE id = ?", chat)
        if not found:
            raise HistoryError(f"There is no chat {chat} in {self.path}; it may have been deleted elsewhere.")
        return found[0]

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
                message = Message(Role(role), _read(parts, image))
                known = json.loads(details)
                tier = known.get("tier", "")
                turn = Turn(message, model or "", _finished(known), _read_settings(settings), created, tier)
                places[id] = tree.add(turn, places[parent], id)
            for id, chosen in [(None, first), *((row[0], row[8]) for row in rows)]:
                seen = places.get(chosen) if chosen else None
                if isinstance(seen, Node) and seen.parent is places[id]:
                    places[id].shown = seen
        return tree

    def drafts(self, chat: int | None) -> list[Draft]:
        """What is written and not sent in a chat, or in the one that has not begun yet (None)."""
        with self._db.read() as db:
            rows = db.execute("SELECT parts, turn, put_off FROM drafts WHERE chat IS ? ORDER BY id", (chat,)).fetchall()
            messages = [(Message(Role.USER, _read(parts, self._image)), *rest) for parts, *rest in rows]
        return [Draft(message.plain_text, message.images, turn, bool(off)) for message, turn, off in messages]

    def last_used(self) -> dict[str, float]:
        """By model, when it last wrote an answer that is kept: seconds since the epoch."""
        with self._db.read() as db:
            return dict(db.execute("SELECT model, max(created) FROM messages WHERE model != '' GROUP BY model"))

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
                "SELECT m.chat, m.id, snippet(words, 0, ?, ?, '…', 16) FROM words "
                "JOIN messages m ON m.id = words.rowid WHERE words MATCH ? ORDER BY rank LIMIT ?",
                (BEGINS, ENDS, " ".join(f'"{word}"*' for word in words), limit),
            ).fetchall()
            if not found:
                rows = db.execute(
                    "SELECT m.chat, m.id, text FROM words JOIN messages m ON m.id = words.rowid "
                    "WHERE text LIKE ? ESCAPE '\\' ORDER BY m.id DESC LIMIT ?",
                    (pattern, limit),
                ).fetchall()
                found = [(chat, turn, _snippet(body, " ".join(words))) for chat, turn, body in rows]
            titled = self._chats(
                f"WHERE title LIKE ? ESCAPE '\\' AND {_HOLDS_SOMETHING} ORDER BY updated DESC LIMIT ?", pattern, limit
            )
            heads = {chat: self.chat(chat) for chat in {row[0] for row in found}}
        hits = [Hit(heads[chat], turn, *_marked(snippet)) for chat, turn, snippet in found]
        titles = [(chat, _snippet(chat.title, " ".join(words), MAX_TITLE)) for chat in titled]
        return (hits + [Hit(chat, None, *_marked(title)) for chat, title in titles])[:limit]

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
    return Chat(id, title, model, created, updated, messages, drafts, _read_settings(settings))


def _title(text: str) -> str:
    return " ".join(clean(text).split())[:MAX_TITLE] or "Untitled"


def _parts(parts: Sequence[Part]) -> str:
    return json.dumps(parts_to_json(parts, lambda image: {"sha": image.sha256, "name": image.name}))


def _read(parts: str, image: Callable[[str, str], ImageData]) -> tuple[Part, ...]:
    return parts_from_json(json.loads(parts), lambda value: image(value["sha"], value.get("name", "")))


def _settings(settings: ChatSettings | None) -> str | None:
    return None if settings is None else json.dumps(settings.to_json())


def _read_settings(text: str | None) -> ChatSettings | None:
    return None if text is None else ChatSettings.from_json(json.loads(text))


def _details(turn: Turn) -> str:
    """What else is known of an answer, as JSON."""
    finished = {"finished": asdict(turn.finished)} if turn.finished else {}
    return json.dumps(finished | ({"tier": turn.tier} if turn.tier else {}))


def _finished(details: Mapping[str, Any]) -> Finished | None:
    """How an answer ended, from its details; None where an older or foreign program wrote other ones."""
    record = details.get("finished")
    if not isinstance(record, dict):
        return None
    try:
        usage, timing, witness = Usage(**record["usage"]), Timing(**record["timing"]), record.get("witness")
        return Finished(
            FinishReason(record["reason"]),
            usage,
            timing,
            record["stop_sequence"],
            Witness.from_json(witness) if witness else None,
            record.get("said", ""),
        )
    except (KeyError, TypeError, ValueError):
        return None


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
    cut = "…" if end + around < len(body) else ""
    return f"{'…' if at > around else ''}{before}{BEGINS}{body[at:end]}{ENDS}{after}{cut}"


def _marked(snippet: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A snippet on one line, and what in it was between BEGINS and ENDS."""
    text, marks = "", []
    for number, piece in enumerate(re.split(f"[{BEGINS}{ENDS}]", re.sub(r"\s", " ", snippet))):
        if number % 2:
            marks.append((len(text), len(text) + len(piece)))
        text += piece
    return text, tuple(marks)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _start(db: sqlite3.Connection, title: str, model: str, settings: ChatSettings | None) -> Chat:
    now = time.time()
    row = db.execute(
        "INSERT INTO chats (title, model, created, updated, settings) VALUES (?, ?, ?, ?, ?)",
        (_title(title), model, now, now, _settings(settings)),
    )
    return Chat(int(row.lastrowid or 0), _title(title), model, now, now, settings=settings)


def _write_draft(db: sqlite3.Connection, chat: int | None, draft: Draft) -> None:
    parts = Message.text(Role.USER, draft.text, *draft.images).parts
    row = db.execute(
        "INSERT INTO drafts (chat, turn, parts, put_off) VALUES (?, ?, ?, ?)",
        (chat, draft.turn, _parts(parts), draft.put_off),
    )
    _keep_images(db, draft.images, "draft_images", int(row.lastrowid or 0))


def _choose(db: sqlite3.Connection, chat: int, after: int | None, turn: int) -> None:
    if after is None:
        db.execute("UPDATE chats SET chosen = ? WHERE id = ?", (turn, chat))
    else:
        db.execute("UPDATE messages SET chosen = ? WHERE id = ? AND chat = ?", (turn, after, chat))


def _keep_images(db: sqlite3.Connection, images: Sequence[ImageData], table: str, owner: int) -> None:
    for image in images:
        db.execute(
            "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)",
            (image.sha256, image.data, image.media_type, image.width, image.height),
        )
        db.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (owner, image.sha256))


def _forget_images(db: sqlite3.Connection) -> None:
    db.execute(
        "DELETE FROM images WHERE sha NOT IN (SELECT sha FROM message_images UNION SELECT sha FROM draft_images)"
    )
