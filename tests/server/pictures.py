"""Small images for requests."""

from __future__ import annotations

from tests.pictures import shape


def png(color: str = "red", size: int = 256) -> bytes:
    """A square of `color` in the middle of a white PNG."""
    return shape("square", color, (size // 4, size // 4, size * 3 // 4, size * 3 // 4), size).data
