"""Texts that no model's window holds: how they are told from others, and how many tokens they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

HOPELESS_CHARACTERS = 12
"""Characters for each token of the window beyond which a text is looked at in pieces; English has about four."""
PIECE = 16_384
"""Characters that are tokenized at once: they take a hundred times their size meanwhile."""
OVERLAP = 512
"""Characters in which two pieces must agree on a place where a token begins; few tokens have more than 16."""


class Encoded(Protocol):
    """A text's tokens, as the tokenizers library has them: how many, and the place of each in characters."""

    def __len__(self) -> int: ...

    def token_to_chars(self, number: int, /) -> tuple[int, int]: ...


E = TypeVar("E", bound=Encoded)


def maximum(window: int) -> str:
    """The window in words by which other programs know that a prompt was too long."""
    return f"This model's maximum context length is {window} tokens."


def hopeless(characters: int, window: int) -> bool:
    """Whether so much text hardly fits the window."""
    return characters >= HOPELESS_CHARACTERS * window


def by_pieces(
    text: str, encode: Callable[[str], E], piece: int = PIECE, overlap: int = OVERLAP
) -> Iterator[tuple[E, slice]]:
    """The tokens of a text, as if it were tokenized as a whole: pieces of it, and which of each one's tokens count.

    Pieces overlap, and are joined at a place where both have a token begin. A piece begins where a token of the one
    before does, so that they agree in the midst of a long run, too. Where they do not, the one before is made longer.
    """
    skipped, start, end = 0, 0, piece
    here = encode(text[:end])
    while end < len(text):
        lead = next((place for _, place in _backwards(here, start) if place <= end - 2 * overlap), start)
        joint = None
        if lead > start:
            there = encode(text[lead : lead + piece])
            firsts: dict[int, int] = {}
            for number in range(len(there)):
                place = lead + there.token_to_chars(number)[0]
                if place >= end - overlap // 2:
                    break
                if place > lead + overlap // 2:
                    firsts.setdefault(place, number)
            joint = next((place for _, place in _backwards(here, start) if place in firsts), None)
        if joint is None:
            end += end - start
            here = encode(text[start:end])
            continue
        before = next(number for number, place in _backwards(here, start) if place < joint)
        yield here, slice(skipped, before + 1)
        skipped, start, end, here = firsts[joint], lead, lead + piece, there
    yield here, slice(skipped, len(here))


def _backwards(encoded: Encoded, start: int) -> Iterator[tuple[int, int]]:
    """The number of each token with the place at which it begins, from the last to the first."""
    return ((number, start + encoded.token_to_chars(number)[0]) for number in reversed(range(len(encoded))))


def tokens_beyond(texts: Sequence[str], window: int, encode: Callable[[str], Sequence[int]]) -> int | None:
    """A number of tokens over twice the window that the texts have at least; None where they may fit it."""
    counted = 0
    if sum(map(len, texts)) < HOPELESS_CHARACTERS * window:
        return None
    for text in texts:
        for start in range(0, len(text), PIECE):
            counted += len(encode(text[start : start + PIECE]))
            if counted > 2 * window:
                return counted
    return None
