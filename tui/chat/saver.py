"""Keeps chats on disk while they go on: one thread writes, in order, and the screen never waits for it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from core.chats.export import export
from core.chats.history import FILE, Draft, History, Hit
from core.chats.settings import ChatSettings
from core.chats.tree import Node, Place, Turn
from core.errors import HistoryError
from tui.chat.conversation import Conversation, title_of

T = TypeVar("T")


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


class ChatSaver:
    """Brings the file in line with a conversation each time it is told of it: what is not there yet is added.

    A conversation gets its id with its first turn. `on_error` is called on the writing thread, once for each sentence.
    """

    def __init__(self, path: Path, on_error: Callable[[str], None]) -> None:
        self._path = path
        self._on_error = on_error
        self._said: set[str] = set()
        self._deleted: set[int] = set()
        """Chats of which nothing is to be written any more."""
        self._own: Draft | None = None
        """What is in the file for the next new chat, as far as this program has read or written it: another workbench
        on the same folder may have written there since."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._history: History | None = None
        self._thread = threading.Thread(target=self._work, name="assay-history", daemon=True)
        self._thread.start()

    # -- from any thread ----------------------------------------------------------------------------------------------

    def save(self, conversation: Conversation, model: str, settings: ChatSettings | None = None) -> None:
        """Bring the file in line with the conversation as it is now."""
        new = [(node, node.turn) for node in conversation.every if node.written is not node.turn]
        moved = [(place, place.shown) for place in conversation.moved]
        conversation.moved.clear()
        title, first = conversation.title, all(node.written is None for node in conversation.every)
        if not new and not moved:
            return

        def write() -> None:
            history = self._open()
            if new and conversation.chat is None:
                conversation.chat = history.start(title, model, settings).id
                self._clear_new_draft(history)  # it was that of this chat
            elif new and first and conversation.chat is not None:
                history.rename(conversation.chat, title)  # it began as a draft, which may have said something else
            if conversation.chat is None:
                return
            for node, turn in new:
                _write(history, conversation.chat, node, turn)
            for place, shown in moved:
                if shown is not None and shown.id is not None:
                    history.choose(conversation.chat, _id(place), shown.id)

        self._put(write)

    def save_growing(self, conversation: Conversation, node: Node, turn: Turn) -> None:
        """Write what has come of an answer that is not in the conversation yet: one row, rewritten as it grows."""

        def write() -> None:
            chat = conversation.chat
            if chat is not None and chat not in self._deleted and _id(node.parent) is not None:
                _write(self._open(), chat, node, turn)

        self._put(write)

    def save_settings(self, conversation: Conversation, settings: ChatSettings) -> None:
        """What the next requests of a chat are made with; a chat that is not in the file yet gets them when it is."""

        def write() -> None:
            if conversation.chat is not None:
                self._open().set_settings(conversation.chat, settings)

        self._put(write)

    def forget(self, node: Node) -> None:
        """Take out a turn that nothing follows."""

        def write() -> None:
            if node.id is not None:
                self._open().remove(node.id)

        self._put(write)

    def save_written(self, conversation: Conversation, written: Written) -> None:
        """Keep what is written and not sent, of a chat or of the next new one. A chat that is nothing but a draft is
        called by it."""
        draft_only = not conversation.every

        def write() -> None:
            drafts = [written.new] if written.new.text.strip() or written.new.images else []
            if written.edit is not None:
                node, draft = written.edit
                drafts.append(replace(draft, turn=node.id))
            drafts += [replace(draft, turn=node.id, put_off=True) for node, draft in written.put_off]
            if not drafts and self._history is None and not self._path.exists():
                return
            history = self._open()
            if conversation.chat is None:
                own, self._own = self._own, drafts[0] if drafts else None
                conversation.chat = history.set_new_draft(self._own, own, title_of)
                if conversation.chat is None:
                    return
                self._own = None  # another workbench has made a chat of it: it goes on there
            if draft_only:
                history.rename(conversation.chat, title_of(written.new.text))
            history.set_drafts(conversation.chat, drafts)

        self._put(write)

    def put_aside(self, written: Written, model: str, settings: ChatSettings) -> None:
        """Make a chat of its own of what was written for a new one."""

        def write() -> None:
            history = self._open()
            chat = history.start(title_of(written.new.text), model, settings)
            history.set_drafts(chat.id, [written.new])
            self._clear_new_draft(history)

        self._put(write)

    async def written(self) -> Written:
        """What is written for the next new chat. Raises HistoryError."""

        def read() -> Written:
            drafts = self._open().drafts(None) if self._path.exists() else []
            self._own = drafts[0] if drafts else None
            return Written(drafts[0]) if drafts else Written()

        return await self._ask(read)

    async def chats(self, words: str = "") -> list[Hit]:
        """Saved chats, newest first, or those that hold `words` and where. Raises HistoryError."""

        def look() -> list[Hit]:
            if not words.strip():
                return [Hit(chat, None, "") for chat in self._open().chats()]
            found: dict[int, Hit] = {}
            for hit in self._open().search(words):
                found.setdefault(hit.chat.id, hit)
            return list(found.values())

        return await self._ask(look)

    async def open(self, chat: int, turn: int | None = None) -> Opened:
        """Read a chat, to go on with it; with `turn`, show the branch that holds this turn. Raises HistoryError."""

        def read() -> Opened:
            history = self._open()
            head = history.chat(chat)
            conversation = history.tree(chat, Conversation())
            nodes = {node.id: node for node in conversation.every}
            if turn in nodes:
                conversation.show(nodes[turn])
            drafts = history.drafts(chat)
            new = next((draft for draft in drafts if draft.turn is None), NOTHING)
            known = [(nodes[draft.turn], draft) for draft in drafts if draft.turn in nodes]
            edits = [(node, replace(draft, turn=None)) for node, draft in known if not draft.put_off]
            put_off = tuple((node, replace(draft, turn=None, put_off=False)) for node, draft in known if draft.put_off)
            return Opened(conversation, head.settings, Written(new, edits[0] if edits else None, put_off))

        return await self._ask(read)

    async def delete(self, chat: int) -> None:
        """Forget a saved chat with all its branches. Raises HistoryError."""

        def work() -> None:
            self._open().delete(chat)
            self._deleted.add(chat)

        await self._ask(work)

    async def export(self, conversation: Conversation, model: str, path: Path) -> Path:
        """Write a chat to a file, as its name says. Raises HistoryError."""
        return await self._ask(lambda: export(conversation.title, model, conversation, path))

    def close(self, within_s: float = 3.0) -> None:
        """Write what is left, and let go of the file."""
        self._jobs.put(None)
        self._thread.join(within_s)

    # -- on the writing thread ----------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        if self._history is not None:
            self._quietly(self._history.close)

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

    def _put(self, work: Callable[[], None]) -> None:
        self._jobs.put(lambda: self._quietly(work))

    def _quietly(self, work: Callable[[], None]) -> None:
        """A chat goes on whatever the disk does; what went wrong is said once."""
        try:
            work()
        except HistoryError as error:
            if error.message not in self._said:
                self._said.add(error.message)
                self._on_error(error.message)

    async def _ask(self, work: Callable[[], T]) -> T:
        """Run `work` in its turn and wait for what it gives."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(job)
        return await asyncio.shield(asyncio.wrap_future(future))


def _write(history: History, chat: int, node: Node, turn: Turn) -> None:
    """Bring a turn's row in line with it; one that has none gets it."""
    if node.id is None:
        node.id = history.add(chat, turn, _id(node.parent))
    elif node.written is not turn:
        history.rewrite(node.id, turn)
    node.written = turn


def _id(place: Place) -> int | None:
    """A turn's id in the file; None for the beginning of a chat."""
    return place.id if isinstance(place, Node) else None
