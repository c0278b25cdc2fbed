"""Textual's driver for terminals, with a reader that survives whatever bytes come and knows the answers among them."""

from __future__ import annotations

import codecs
import logging
import os
import re
import selectors
import time
from collections.abc import Callable

from textual._xterm_parser import XTermParser  # pinned: they have no public name
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tui import graphics

log = logging.getLogger(__name__)

QUIET_S = 0.1
"""When nothing has come for so long, what has been begun is not a character any more."""
ANSWERS_WITHIN_S = 3.0
READ_BYTES = 4096


class BytesDropped(Message):
    """The terminal sent bytes that are not UTF-8."""

    def __init__(self, dropped: bytes) -> None:
        super().__init__()
        self.dropped = dropped


class TerminalText:
    """Bytes from the terminal as text: without what is not UTF-8, and without the answers to questions of ours."""

    def __init__(self, on_answer: Callable[[re.Match[str]], None], wait_for_answers: Callable[[], bool]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._on_answer = on_answer
        self._wait_for_answers = wait_for_answers
        self._begun = ""
        self.dropped = bytearray()
        """What was dropped since somebody last emptied this."""

    def feed(self, data: bytes, quiet: bool = False) -> str:
        """The text of some bytes; `quiet` says that no more come, so that what is begun is not waited for."""
        text = self._begun + self._decoder.decode(data, final=quiet)
        self._begun = ""
        if not text.isascii():
            self.dropped += bytes(ord(letter) - 0xDC00 for letter in text if "\udc80" <= letter <= "\udcff")
            text = "".join(letter for letter in text if not "\udc80" <= letter <= "\udcff")
        if "\x1b" not in text:
            return text
        text = graphics.ANSWER.sub(self._taken, text)
        if not quiet and self._wait_for_answers() and (begun := graphics.BEGINNING.search(text)):
            self._begun = begun[0]
            text = text[: begun.start()]
        return text

    def _taken(self, answer: re.Match[str]) -> str:
        self._on_answer(answer)
        return ""


class TerminalDriver(LinuxDriver):
    """Asks what the terminal can draw, once it is up."""

    def start_application_mode(self) -> None:
        self._asked = time.monotonic()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is not None:
            self.write(graphics.terminal.questions())
            self.flush()

    def _answers_may_come(self) -> bool:
        return not graphics.terminal.answered and time.monotonic() - self._asked < ANSWERS_WITHIN_S

    def run_input_thread(self) -> None:
        """Read until the app ends, or the terminal does."""
        text = TerminalText(graphics.terminal.take, self._answers_may_come)
        self._parser = XTermParser(self._debug)
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if not selector.select(QUIET_S):
                    self._parse(text.feed(b"", quiet=True))
                    if text.dropped:
                        self.send_message(BytesDropped(bytes(text.dropped)))
                        text.dropped.clear()
                    continue
                try:
                    data = os.read(self.fileno, READ_BYTES)
                except OSError:
                    break  # the terminal is gone
                if not data:
                    break
                self._parse(text.feed(data))

    def _parse(self, text: str) -> None:
        """Make events of text. What Textual's parser trips over is dropped, and the next key begins anew."""
        try:
            if text:  # an empty text would tell the parser that this was all
                for event in self._parser.feed(text):
                    self.process_message(event)
            for event in self._parser.tick():
                self.process_message(event)
        except Exception:
            log.exception("%r from the terminal was not understood.", text)
            self._parser = XTermParser(self._debug)
