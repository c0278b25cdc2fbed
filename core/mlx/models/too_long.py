"""Texts that no model's window holds, found out after a little of them: tokenizing all would hold up every model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

HOPELESS_CHARACTERS = 12
"""Characters for each token of the window beyond which a text is looked at in pieces; English has about four."""
PIECE = 16_384


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
