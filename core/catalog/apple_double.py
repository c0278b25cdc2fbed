"""AppleDouble files: where macOS keeps a file's attributes on disks that have no room for them."""

from __future__ import annotations


def is_apple_double(name: str) -> bool:
    """Whether a file of that name holds another's attributes, whatever its ending says."""
    return name.startswith("._")
