"""Keeps chats on disk while they go on: one thread writes, in order, and the screen never waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.chats.export import export
from core.chats.history import FILE, Draft, History, Hit
from core.chats.settings import ChatSettings
from core.chats.tree import Node, Place, Turn
from core.errors import HistoryError
from tui.chat.conversation import Conversation, title_of
from tui.chat.saving_thread import Job, SavingThread


def history_file(data_dir: Path) -> Path:
    return data_dir / FILE


NOTHING = Draft()


@dataclass(frozen=True)
class Written:
    """What is written and not sent: a new message, another wording of a turn if one is edited, and those that were put
    off, each at its turn."""

    new: Draft = NOTHING
    edit: tuple[Node, Draft] | None = None
    put_off: tuple[tuple[Node, Draft], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edit or self.put_off) or bool(self.new.text.strip() or self.new.images)


@dataclass(frozen=True)
class Opened:
    """A chat as it was left. `settings` is None where an earlier version wrote none."""

    conversation: Conversation
    settings: ChatSettings | None
    written: Written


@dataclass
class _AsItIs:
    """A conversation as it was when it was to be saved, and what stands at its head if it has to begin."""

    conversation: Conversation
    every: list[tuple[Node, Turn]]
    title: str
    model: str
    settings: ChatSettings | None
    anew: bool = False
    """Whether it was in the file before, and is gone."""


class ChatSaver:
    """Brings the file in line with a conversation each time it is told of it: what is not there yet is added.

    A conversation gets its id with its first turn. What cannot be written is tried again until it can; `on_change` is
    called on the writing thread with the reason, and with "" when all is written. A chat that another program has
    deleted is written anew, as a chat of its own, when something is said or written in it.
    """

    def __init__(self, path: Path, on_change: Callable[[str], None]) -> None:
        self._path = path
        self._deleted: set[int] = set()
        """Chats of which nothing is to be written any more."""
        self._own: Draft | None = None
        """What is in the file for the next new chat, as far as this program has read or written it: another workbench
        on the same folder may have written there since."""
        self._rows: set[int] = set()
        """Drafts that this program has written."""
        self._history: History | None = None
        self._thread = SavingThread("assay-history", on_change, self._close)

    # -- from any thread ----------------------------------------------------------------------------------------------

    def save(self, conversation: Conversation, model: str, settings: ChatSettings | None = None) -> None:
        """Bring the file in line with the conversation as it is now."""
        every = [(node, node.turn) for node in conversation.every]
        moved = [(place, place.shown) for place in conversation.moved]
        conversation.moved.clear()
        if not moved and all(node.written is turn for node, turn in every):
            return
        chat = _AsItIs(conversation, every, conversation.title, model, settings)

        def write() -> None:
            if not self._is_deleted(conversation):
                history = self._open()
                self._save(history, chat)
                self._choose(history, conversation, moved)

        self._put(write, conversation)

    def save_growing(self, conversation: Conversation, node: Node, turn: Turn) -> None:
        """Write what has come of an answer that is not in the conversation yet: one row, rewritten as it grows."""

        def write() -> None:
            chat, asked = conversation.chat, _id(node.parent)
            if chat is None or asked is None or self._is_deleted(conversation):
                return
            history = self._open()
            if history.holds(chat, [asked]):  # else it waits for the whole answer
                _write(history, chat, node, turn)

        self._put(write, conversation, "growing")

    def save_settings(self, conversation: Conversation, settings: ChatSettings) -> None:
        """What the next requests of a chat are made with; a chat that is not in the file yet gets them when it is."""

        def write() -> None:
            if conversation.chat is not None:
                self._open().set_settings(conversation.chat, settings)

        self._put(write, conversation, "settings")

    def forget(self, conversation: Conversation, node: Node) -> None:
        """Take out a turn that nothing follows."""

        def write() -> None:
            if node.id is not None:
                self._open().remove(node.id)

        self._put(write, conversation)

    def save_written(self, conversation: Conversation, written: Written, settings: ChatSettings | None = None) -> None:
        """Keep what is written and not sent, of a chat or of the next new one. A chat that is nothing but a draft is
        called by it."""
        every = [(node, node.turn) for node in conversation.every]
        title = conversation.title if every else title_of(written.new.text)
        chat = _AsItIs(conversation, every, title, "", settings)

        def write() -> None:
            drafts = _drafts(written)
            if self._is_deleted(conversation):
                return
            if not drafts and self._history is None and not self._path.exists():
                return
            history = self._open()
            if conversation.chat is not None and drafts and not history.holds(conversation.chat):
                _begin_anew(chat)
            if chat.anew:
                self._save(history, chat)
                drafts = _drafts(written)  # the turns have other rows now
            if conversation.chat is None:
                new = drafts[0] if drafts else None
                conversation.chat = history.set_new_draft(new, self._own, title_of)
                if conversation.chat is None:
                    self._own = new
                    return
                self._own = None  # another workbench has made a chat of it: it goes on there
                conversation.own_drafts = history.drafts(conversation.chat)
            if not every:
                history.rename(conversation.chat, title)
            conversation.own_drafts = history.set_drafts(conversation.chat, drafts, conversation.own_drafts)
            self._rows.update(draft.row for draft in conversation.own_drafts if draft.row is not None)

        self._put(write, conversation, "written")

    def put_aside(self, conversation: Conversation, written: Written, model: str, settings: ChatSettings) -> None:
        """Make a chat of its own of what was written for a new one, which is `conversation` now."""
        begun: list[int] = []

        def write() -> None:
            history = self._open()
            if not begun:
                begun.append(history.start(title_of(written.new.text), model, settings).id)
            history.set_drafts(begun[0], [written.new])
            self._clear_new_draft(history)

        self._put(write, conversation)

    def retry(self) -> None:
        """Try now to write what could not be written."""
        self._thread.retry()

    async def unsaved(self, conversation: Conversation | None = None) -> str:
        """Try again to write what could not be written; returns why something of a chat, or of any, still cannot be, ""
        where all is written."""
        return await self._thread.unsaved(conversation)

    async def written(self) -> Written:
        """What is written for the next new chat. Raises HistoryError."""

        def read() -> Written:
            drafts = self._open().drafts(None) if self._path.exists() else []
            self._own = drafts[0] if drafts else None
            return Written(drafts[0]) if drafts else Written()

        return await self._thread.ask(read)

    async def chats(self, words: str = "") -> list[Hit]:
        """Saved chats, newest first, or those that hold `words` and where, MOST_FOUND at most. Raises HistoryError."""

        def look() -> list[Hit]:
            if not words.strip():
                return [Hit(chat, None, "") for chat in self._open().chats()]
            return self._open().search(words)

        return await self._thread.ask(look)

    async def open(self, chat: int, turn: int | None = None) -> Opened:
        """Read a chat, to go on with it; with `turn`, show the branch that holds this turn. Raises HistoryError."""

        def read() -> Opened:
            history = self._open()
            head = history.chat(chat)
            conversation = history.tree(chat, Conversation())
            nodes = {node.id: node for node in conversation.every}
            if turn in nodes:
                conversation.show(nodes[turn])
            written = self._take_drafts(conversation, history.drafts(chat), nodes)
            return Opened(conversation, head.settings, written)

        return await self._thread.ask(read)

    async def delete(self, chat: int) -> None:
        """Forget a saved chat with all its branches. Raises HistoryError."""

        def work() -> None:
            self._open().delete(chat)
            self._deleted.add(chat)

        await self._thread.ask(work)

    async def export(self, conversation: Conversation, model: str, path: Path) -> Path:
        """Write a chat to a file, as its name says. Raises HistoryError."""
        return await self._thread.ask(lambda: export(conversation.title, model, conversation, path))

    def close(self, within_s: float = 3.0) -> None:
        """Write what is left, and let go of the file."""
        self._thread.close(within_s)

    # -- on the writing thread ----------------------------------------------------------------------------------------

    def _put(self, work: Callable[[], None], owner: object, replaces: str = "") -> None:
        self._thread.put(Job(work, owner, replaces))

    def _close(self) -> None:
        if self._history is not None:
            with contextlib.suppress(HistoryError):
                self._history.close()

    def _open(self) -> History:
        if self._history is None:
            self._history = History(self._path)
        return self._history

    def _clear_new_draft(self, history: History) -> None:
        """What was written for a new chat has become one. Another workbench's draft stays."""
        aside = history.set_new_draft(None, self._own)
        self._own = None
        if aside is not None:
            history.set_drafts(aside, [])  # the other one had made a chat of it

    def _is_deleted(self, conversation: Conversation) -> bool:
        """Whether it was deleted here; what is still on its way to it goes nowhere."""
        return conversation.chat in self._deleted

    def _save(self, history: History, chat: _AsItIs) -> None:
        """Write the turns of a conversation that are not in the file as they are."""
        conversation = chat.conversation
        new = [(node, turn) for node, turn in chat.every if node.written is not turn]
        above = [id for id in (_id(node.parent) for node, _ in new) if id is not None]
        if new and conversation.chat is not None and not history.holds(conversation.chat, above):
            _begin_anew(chat)
            new = chat.every
        if not new:
            return
        if conversation.chat is None:
            conversation.chat = history.start(chat.title, chat.model, chat.settings).id
            conversation.began_new = not chat.anew
        elif all(node.written is None for node, _ in chat.every):
            history.rename(conversation.chat, chat.title)  # it began as a draft, which may have said something else
        if conversation.began_new:
            self._clear_new_draft(history)  # it was that of this chat
            conversation.began_new = False
        for node, turn in new:
            _write(history, conversation.chat, node, turn)
        if chat.anew:
            places = [conversation, *(node for node, _ in chat.every)]
            self._choose(history, conversation, [(place, place.shown) for place in places if len(place.children) > 1])

    def _choose(self, history: History, conversation: Conversation, moved: list[tuple[Place, Node | None]]) -> None:
        for place, shown in moved:
            if conversation.chat is not None and shown is not None and shown.id is not None:
                history.choose(conversation.chat, _id(place), shown.id)

    def _take_drafts(self, conversation: Conversation, drafts: list[Draft], nodes: dict[int | None, Node]) -> Written:
        """Go on with what is written in a chat. Of new messages by several programs that is the one of this program,
        else the last; the others become chats of their own. What else is there twice stays where it is."""
        new = [draft for draft in drafts if draft.turn is None]
        new.sort(key=lambda draft: (draft.row in self._rows, draft.row or 0))
        if others := new[:-1]:
            self._put(lambda: self._open().part_drafts(others, title_of), others)
        known = [(nodes[draft.turn], draft) for draft in drafts if draft.turn in nodes]
        edits = [(node, draft) for node, draft in known if not draft.put_off]
        edit = max(edits, key=lambda found: (found[1].row in self._rows, found[1].row or 0), default=None)
        waiting: dict[Node, Draft] = {}
        for node, draft in known:
            if edit is None or draft is not edit[1]:
                waiting.setdefault(node, draft)
        conversation.own_drafts = [*new[-1:], *([edit[1]] if edit else []), *waiting.values()]
        return Written(
            new[-1] if new else NOTHING,
            (edit[0], replace(edit[1], turn=None)) if edit else None,
            tuple((node, replace(draft, turn=None, put_off=False)) for node, draft in waiting.items()),
        )


def _begin_anew(chat: _AsItIs) -> None:
    """What a conversation was in the file is gone, or what its turns follow: it becomes a chat of its own."""
    chat.anew = True
    chat.conversation.chat = None
    chat.conversation.own_drafts = []
    for node, _ in chat.every:
        node.id = node.written = None


def _drafts(written: Written) -> list[Draft]:
    """What is written as it lies in the file."""
    drafts = [written.new] if written.new.text.strip() or written.new.images else []
    if written.edit is not None:
        node, draft = written.edit
        drafts.append(replace(draft, turn=node.id))
    return drafts + [replace(draft, turn=node.id, put_off=True) for node, draft in written.put_off]


def _write(history: History, chat: int, node: Node, turn: Turn) -> None:
    """Bring a turn's row in line with it; one that has none gets it."""
    if node.written is turn:
        return
    if node.id is None or not history.rewrite(node.id, turn):
        node.id = history.add(chat, turn, _id(node.parent))
    node.written = turn


def _id(place: Place) -> int | None:
    """A turn's id in the file; None for the beginning of a chat."""
    return place.id if isinstance(place, Node) else None
