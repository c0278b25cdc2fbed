"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step, on disk before it returns; readers see the old file or the new one.

    `mode` is the new file's. A link is followed: the file that it points to is replaced. Raises OSError, leaving the
    old file as it was.
    """
    target = Path(os.path.realpath(path))
    descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        os.replace(draft, target)
    except BaseException:
        os.unlink(draft)
        raise
