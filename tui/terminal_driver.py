"""Textual's driver for terminals, with a reader that survives whatever bytes come and knows the answers among them."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import re
import selectors
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import IO, Any

from textual import events

# pinned: they have no public name
from textual._xterm_parser import BRACKETED_PASTE_END as PASTE_ENDS
from textual._xterm_parser import BRACKETED_PASTE_START as PASTE_BEGINS
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tui import graphics
from tui.foreign import clean
from tui.pasted import cleaned
from tui.terminal_guard import end_soon

log = logging.getLogger(__name__)

QUIET_S = 0.1
"""When nothing has come for so long, what has been begun is not a character any more."""
PASTE_QUIETS = 20
"""After so many times QUIET_S without a byte a paste has ended, whether the terminal says so or not."""
ANSWERS_WITHIN_S = 3.0
READ_BYTES = 4096
ESC = "\x1b"
ALT = re.compile(f"{ESC}([^\\W_NOPX])")
"""A letter or digit with alt held; the others begin a sequence behind escape. Both come as one: where they come apart,
two keys were pressed."""


class BytesDropped(Message):
    """The terminal sent bytes that are not UTF-8."""

    def __init__(self, dropped: bytes) -> None:
        super().__init__()
        self.dropped = dropped


class TextDropped(Message):
    """Escape sequences and control characters, each with how often, were taken out of what was typed or pasted."""

    def __init__(self, sequences: int, characters: Counter[str]) -> None:
        super().__init__()
        self.sequences = sequences
        self.characters = characters


class TerminalGone(Message):
    """The terminal has hung up: nothing can be read from it or written to it any more."""


class Joiner(str):
    """A character that writing needs though Python calls it not printable: a joiner, a space of another width.

    Text fields take what is printable.
    """

    __slots__ = ()

    def isprintable(self) -> bool:
        return True


class TerminalText:
    """Bytes from the terminal as text and pastes: without what is not UTF-8, and without the answers to questions of
    ours.

    Pastes are cut out here. Textual's parser takes an escape sequence inside of one for keys, and what follows with it.
    """

    def __init__(self, on_answer: Callable[[re.Match[str]], None], wait_for_answers: Callable[[], bool]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._on_answer = on_answer
        self._wait_for_answers = wait_for_answers
        self._begun = self._told = ""
        """What may be the beginning of something and is held back; what was, and has been told as keys."""
        self._paste: list[str] | None = None
        self._quiets = 0
        self.dropped = bytearray()
        """The bytes that were dropped since somebody last emptied this."""
        self.sequences = 0
        self.characters: Counter[str] = Counter()
        """The same of what was taken out of pastes."""

    def feed(self, data: bytes, quiet: bool = False) -> list[str | events.Key | events.Paste]:
        """What some bytes mean: text is for a parser of keys; `quiet` says that no more come, so that what is begun is
        not waited for."""
        held, self._begun = self._begun, ""
        text = held + self._decoder.decode(data, final=quiet)
        self._quiets = self._quiets + 1 if quiet else 0
        if not text.isascii():
            self.dropped += bytes(ord(letter) - 0xDC00 for letter in text if "\udc80" <= letter <= "\udcff")
            text = "".join(letter for letter in text if not "\udc80" <= letter <= "\udcff")
        if self._told and text:
            if (self._told + text).startswith(PASTE_BEGINS):
                text = self._told + text
            self._told = ""
        come: list[str | events.Key | events.Paste] = []
        if held == ESC and self._paste is None and ALT.match(text):
            come.append(events.Key("escape", ESC))
            text = text[1:]
        while text or self._paste is not None:
            if self._paste is None:
                keys, begins, text = text.partition(PASTE_BEGINS)
                come += self._keys(keys, quiet) if not begins else self._keys(keys, quiet, whole=True)
                self._paste = [] if begins else None
            else:
                inside, ends, text = text.partition(PASTE_ENDS)
                if not ends:
                    begun = _beginning(inside, PASTE_ENDS)
                    inside, self._begun = inside[: len(inside) - begun], inside[len(inside) - begun :]
                    if self._quiets < PASTE_QUIETS:
                        self._paste.append(inside)
                        break
                    self._begun = ""
                come += self._pasted("".join([*self._paste, inside]))
                self._paste = None
        return [piece for piece in come if piece != ""]

    def _keys(self, text: str, quiet: bool, whole: bool = False) -> list[str | events.Key | events.Paste]:
        """Text outside of pastes; `whole` if a paste follows, so that nothing in it is just begun."""
        if ESC not in text:
            return [text]
        text = graphics.ANSWER.sub(self._taken, text)
        alt, text = _with_alt(text)
        if whole:
            return [*alt, text]
        begun = _beginning(text, PASTE_BEGINS)
        if quiet and (begun <= 2 or self._quiets >= PASTE_QUIETS):  # escape and alt+[ are keys, what is longer is none
            self._told = text[len(text) - begun :]
            return [*alt, text if text != ESC else events.Key("escape", text)]  # the parser would wait once more
        if not quiet and self._wait_for_answers() and (answer := graphics.BEGINNING.search(text)):
            begun = max(begun, len(answer[0]))
        self._begun = text[len(text) - begun :]
        return [*alt, text[: len(text) - begun]]

    def _pasted(self, text: str) -> list[events.Paste]:
        text, sequences, characters = cleaned(text)
        self.sequences += sequences
        self.characters += characters
        return [events.Paste(text)] if text else []

    def _taken(self, answer: re.Match[str]) -> str:
        self._on_answer(answer)
        return ""


def _with_alt(text: str) -> tuple[list[str | events.Key | events.Paste], str]:
    """Keys with alt held and what comes before them, and the text behind the last of them.

    Textual's parser tells them only when nothing follows for a while, and with their letter as a character to write.
    """
    come: list[str | events.Key | events.Paste] = []
    *pairs, rest = ALT.split(text)
    for before, letter in zip(pairs[::2], pairs[1::2], strict=True):
        come.append(before.removesuffix(ESC))
        if before.endswith(ESC):
            come.append(events.Key("escape", ESC))
        come.append(events.Key(f"alt+{'shift+' * letter.isupper()}{letter.lower()}", None))
    return come, rest


def _beginning(text: str, marker: str) -> int:
    """How many characters at the end of `text` are the beginning of `marker`."""
    return next((count for count in range(len(marker) - 1, 0, -1) if text.endswith(marker[:count])), 0)


class _Screen:
    """The terminal as a file to write to. One that is gone takes everything: Textual's writer must not die of it,
    whoever writes would wait for it for ever."""

    def __init__(self, file: IO[str], on_gone: Callable[[], None]) -> None:
        self._file = file
        self._on_gone = on_gone
        self._gone = False

    def write(self, text: str) -> None:
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        self._try(self._file.flush)

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    def _try(self, act: Callable[[], Any]) -> None:
        if self._gone:
            return
        try:
            act()
        except BlockingIOError:
            log.warning("The terminal took only a part of what was drawn.")
        except (OSError, ValueError):
            self._gone = True
            self._on_gone()


class TerminalDriver(LinuxDriver):
    """Asks what the terminal can draw, once it is up."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = _Screen(self._file, self._terminal_gone)  # type: ignore[arg-type]

    def _terminal_gone(self) -> None:
        """Have the app leave in order. Called on the threads that read and write."""
        log.warning("The terminal is gone.")
        end_soon(128 + signal.SIGHUP)
        with contextlib.suppress(RuntimeError):  # the loop has closed: it is leaving already
            self.send_message(TerminalGone())

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
                    self._take(text, text.feed(b"", quiet=True))
                    self._report(text)
                    continue
                try:
                    data = os.read(self.fileno, READ_BYTES)
                except OSError:
                    data = b""
                if not data:
                    self._terminal_gone()
                    break
                self._take(text, text.feed(data))

    def _report(self, text: TerminalText) -> None:
        """Say what was dropped."""
        if text.dropped:
            self.send_message(BytesDropped(bytes(text.dropped)))
            text.dropped.clear()
        if text.sequences or text.characters:
            self.send_message(TextDropped(text.sequences, text.characters))
            text.sequences, text.characters = 0, Counter()

    def _take(self, text: TerminalText, come: list[str | events.Key | events.Paste]) -> None:
        """Make events of what has come, and let the parser know that time goes by."""
        for piece in come:
            if isinstance(piece, str):
                self._parse(text, piece)
            else:
                self.process_message(piece)
        self._parse(text, "")

    def _parse(self, text: TerminalText, piece: str) -> None:
        """Make events of text. What Textual's parser trips over is dropped, and the next key begins anew."""
        try:
            for event in self._parser.feed(piece) if piece else self._parser.tick():  # an empty text would end it
                if not isinstance(event, events.Key) or self._is_fit(text, event):
                    self.process_message(event)
        except Exception:
            log.exception("%r from the terminal was not understood.", piece)
            self._parser = XTermParser(self._debug)

    def _is_fit(self, text: TerminalText, event: events.Key) -> bool:
        """Whether a key may reach a text field. Those of ASCII that write nothing are keys for something else."""
        typed = event.character
        if typed is None or typed.isascii() or event.is_printable:
            return True
        if clean(typed):
            event.character = Joiner(typed)
            return True
        text.characters[typed] += 1
        return False
