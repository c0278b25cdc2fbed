"""Keeps the chat on disk while it goes on: one thread writes, in order, and the screen never waits for it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from core.calls.events import Finished, FinishReason, Timing, Usage
from core.chats.history import FILE, Chat, History, Hit
from core.chats.history import Turn as StoredTurn
from core.errors import HistoryError
from tui.chat.conversation import Conversation, Turn

T = TypeVar("T")


def history_file(data_dir: Path) -> Path:
    return data_dir / FILE


class ChatSaver:
    """Brings the file in line with the conversation each time it is told of it.

    Only turns that have changed are written: the file keeps those that the conversation still begins with, forgets the
    rest, and gains the new ones. `on_error` is called on the writing thread, once for each sentence.
    """

    def __init__(self, path: Path, on_error: Callable[[str], None]) -> None:
        self._path = path
        self._on_error = on_error
        self._said: set[str] = set()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._history: History | None = None
        self._chat: int | None = None
        self._saved: list[tuple[Turn, int]] = []
        self._thread = threading.Thread(target=self._work, name="assay-history", daemon=True)
        self._thread.start()

    # -- from any thread ----------------------------------------------------------------------------------------------

    def save(self, conversation: Conversation, model: str) -> None:
        """Bring the file in line with the conversation as it is now."""
        turns, title = list(conversation.turns), conversation.title
        self._jobs.put(lambda: self._quietly(lambda: self._bring_in_line(turns, title, model)))

    def new_chat(self) -> None:
        """What is saved from now on is another chat."""

        def forget() -> None:
            self._chat, self._saved = None, []

        self._jobs.put(forget)

    async def chats(self, words: str = "") -> list[tuple[Chat, str]]:
        """Saved chats, newest first, or those that hold `words`, each with the place where. Raises HistoryError."""

        def look() -> list[tuple[Chat, str]]:
            if not words.strip():
                return [(chat, "") for chat in self._open().chats()]
            found: dict[int, Hit] = {}
            for hit in self._open().search(words):
                found.setdefault(hit.chat.id, hit)
            return [(hit.chat, hit.snippet) for hit in found.values()]

        return await self._ask(look)

    async def open(self, chat: int) -> Conversation:
        """Read a chat and go on with it. Raises HistoryError."""

        def read() -> Conversation:
            stored = self._open().turns(chat)
            turns = [Turn(turn.message, turn.model or "", _finished(turn)) for turn in stored]
            self._chat, self._saved = chat, list(zip(turns, [turn.id for turn in stored], strict=True))
            return Conversation(list(turns))

        return await self._ask(read)

    async def delete(self, chat: int) -> None:
        """Forget a saved chat. Raises HistoryError."""

        def forget() -> None:
            self._open().delete(chat)
            if self._chat == chat:
                self._chat, self._saved = None, []

        await self._ask(forget)

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

    def _quietly(self, work: Callable[[], None]) -> None:
        """A chat goes on whatever the disk does; what went wrong is said once."""
        try:
            work()
        except HistoryError as error:
            if error.message not in self._said:
                self._said.add(error.message)
                self._on_error(error.message)

    def _bring_in_line(self, turns: Sequence[Turn], title: str, model: str) -> None:
        history = self._open()
        same = 0
        while same < min(len(turns), len(self._saved)) and self._saved[same][0] is turns[same]:
            same += 1
        if same < len(self._saved) and self._chat is not None:
            history.cut(self._chat, self._saved[same][1])
            del self._saved[same:]
        for turn in turns[same:]:
            if self._chat is None:
                self._chat = history.start(title, model).id
            details: dict[str, Any] = {"finished": asdict(turn.finished)} if turn.finished else {}
            stored = history.add(self._chat, turn.message, turn.model or None, details)
            self._saved.append((turn, stored.id))

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


def _finished(turn: StoredTurn) -> Finished | None:
    """How an answer ended, from its details; None where an older or foreign program wrote other ones."""
    record = turn.details.get("finished")
    if not isinstance(record, dict):
        return None
    try:
        usage, timing = Usage(**record["usage"]), Timing(**record["timing"])
        return Finished(FinishReason(record["reason"]), usage, timing, record["stop_sequence"])
    except (KeyError, TypeError, ValueError):
        return None
