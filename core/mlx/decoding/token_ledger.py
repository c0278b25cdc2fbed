"""Which tokens the shown text is made of: what each of them wrote, and what of that is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.calls.events import TokenLogprob


@dataclass
class _Entry:
    """A token. `coming` are its bytes that are no text yet, `undecided` counts its characters that may yet be shown."""

    score: TokenLogprob
    coming: bytes
    undecided: int = 0
    shown: dict[bool, tuple[str, bytes]] = field(default_factory=dict)
    """Text and bytes that are shown, in thinking and in the answer."""


class TokenLedger:
    """Scored tokens come in with `add`, the text that they make with `write`; what is seen of it is told with `show`.

    Both text and what is shown come in order, so that what `show` passes over is seen by nobody. Positions count the
    characters of the whole answer, markers included. A ledger without tokens keeps nothing.
    """

    def __init__(self) -> None:
        self._coming: deque[_Entry] = deque()
        self._written: deque[tuple[str, Sequence[tuple[_Entry, bytes]]]] = deque()
        self._position = 0  # of the first character in _written
        self._settled: dict[bool, list[TokenLogprob]] = {True: [], False: []}

    def add(self, score: TokenLogprob) -> None:
        """The next token; its `raw` are its own bytes."""
        self._coming.append(_Entry(score, score.text.encode() if score.raw is None else score.raw))

    def write(self, text: str) -> None:
        """The text that the tokens so far have come to, beyond what was written before."""
        if not self._coming and not self._written:
            self._position += len(text)
            return
        data = text.encode("utf-8", "surrogatepass")
        start = b"".join(entry.coming for entry in self._coming).find(data)
        if start < 0:  # it is spelled in another way than they are: the last of them has written it
            for entry in self._coming:
                entry.coming = data if entry is self._coming[-1] else b""
        for entry, _ in self._take(max(start, 0)):  # such as a text's first space, which decoders drop
            self._settle(entry)
        for character in text:
            parts = self._take(len(character.encode("utf-8", "surrogatepass")))
            for entry, _ in parts:
                entry.undecided += 1
            self._written.append((character, parts))

    def show(self, text: str, position: int, thinking: bool) -> None:
        """`text` is shown: the characters from `position` on, some of them left out perhaps."""
        while self._written and self._position < position:
            self._decide(None)
        for character in text:
            while self._written and self._written[0][0] != character:
                self._decide(None)
            if self._written:
                self._decide(thinking)

    def close(self) -> None:
        """Nothing more is shown."""
        while self._written:
            self._decide(None)
        for entry in self._coming:
            entry.coming = b""
            self._settle(entry)
        self._coming.clear()

    def settled(self, thinking: bool) -> tuple[TokenLogprob, ...]:
        """The tokens of thinking, or of the answer, of which all is known by now, each with what is shown of it."""
        found, self._settled[thinking] = tuple(self._settled[thinking]), []
        return found

    def _take(self, count: int) -> list[tuple[_Entry, bytes]]:
        """The next `count` bytes, by the tokens that they belong to."""
        parts: list[tuple[_Entry, bytes]] = []
        while self._coming:
            entry = self._coming[0]
            data, entry.coming = entry.coming[:count], entry.coming[count:]
            count -= len(data)
            if data:
                parts.append((entry, data))
            else:
                self._settle(entry)
            if entry.coming:
                break
            self._coming.popleft()
        return parts

    def _decide(self, thinking: bool | None) -> None:
        """The next character is shown, in thinking or not, or by None not at all."""
        character, parts = self._written.popleft()
        self._position += 1
        for place, (entry, data) in enumerate(parts):
            entry.undecided -= 1
            if thinking is not None:
                text, raw = entry.shown.get(thinking, ("", b""))
                whole = place == len(parts) - 1
                entry.shown[thinking] = (text + character if whole else text, raw + data)
            self._settle(entry)

    def _settle(self, entry: _Entry) -> None:
        if entry.coming or entry.undecided:
            return
        for thinking, (text, raw) in entry.shown.items():
            score = entry.score
            top = [replace(one, text=text, raw=raw) if one.token_id == score.token_id else one for one in score.top]
            self._settled[thinking].append(replace(score, text=text, raw=raw, top=tuple(top)))
        entry.shown = {}
