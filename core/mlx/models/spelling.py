"""How a tokenizer spells its tokens: the bytes of one alone, be they half a character or begin with a space.

Decoding one token alone does not tell: decoders drop the first space of a text and replace halves of characters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

Spelling = Callable[[int], bytes]
"""A token's own bytes, by its number."""

_SPACE = "\u2581"
"""What stands for a space in SentencePiece's vocabularies."""


def find_spelling(tokenizer: Any) -> Spelling:
    """The spelling of a tokenizer (transformers'): byte-level BPE and SentencePiece, else what decoding one gives."""
    kinds = set(_decoders(tokenizer))
    byte_level, pieces = "ByteLevel" in kinds, bool(kinds & {"ByteFallback", "Metaspace"})

    def spell(token: int) -> bytes:
        piece = tokenizer.convert_ids_to_tokens(token)
        if not isinstance(piece, str) or not (byte_level or pieces):  # padding has a row of the model and no token
            return str(tokenizer.decode([token])).encode("utf-8", "replace")
        if byte_level:
            known = _byte_alphabet()
            return b"".join(known.get(character) or character.encode("utf-8", "replace") for character in piece)
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(_SPACE, " ").encode("utf-8", "replace")

    return spell


@cache
def _byte_alphabet() -> dict[str, bytes]:
    """The characters by which byte-level BPE writes bytes."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return {character: bytes([byte]) for byte, character in bytes_to_unicode().items()}


def _decoders(tokenizer: Any) -> Iterator[str]:
    """The types of the steps by which a tokenizer makes text of tokens; none where that cannot be read."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    if decoder is None:
        return
    waiting = [json.loads(decoder.__getstate__())]
    while waiting:
        step = waiting.pop()
        yield str(step.get("type"))
        waiting += step.get("decoders", ())
