"""Where a streaming answer can be cut: everything before the cut is whole Markdown blocks that will not change."""

from __future__ import annotations

import re

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def settled_length(text: str, start: int = 0) -> int:
    """The length of the part of `text` that is settled, not less than `start`.

    A block is settled when a blank line ends it outside a fenced code block and the next block has begun. `start` is
    an earlier answer of this function for a prefix of the same text: scanning goes on from there.
    """
    cut = start
    fence: str | None = None
    blank_seen = False
    position = start
    for line in text[start:].splitlines(keepends=True):
        bare = line.strip()
        if fence is not None:
            if bare and set(bare) == {fence[0]} and len(bare) >= len(fence):
                fence = None
        elif not bare:
            blank_seen = True
        else:
            # An indented line may still belong to the list item or code block before the blank line.
            if blank_seen and not line[0].isspace():
                cut = position
            blank_seen = False
            opening = _FENCE.match(line)
            if opening and not (opening[1][0] == "`" and "`" in opening[2]):
                fence = opening[1]
        position += len(line)
    return cut
