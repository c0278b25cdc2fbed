"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step, on disk before it returns; readers see the old file or the new one.

    `mode` is the new file's. A link is followed: the file that it points to is replaced. Raises OSError, leaving the
    old file as it was.
    """
    with replacing(path, mode) as handle:
        handle.write(data)


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A draft beside `path`, named ".<its name>.…", that takes its place when the block ends; see `write_atomically`.

    Until then only its owner can read it. When the block raises, the draft is removed.
    """
    target = Path(os.path.realpath(path))
    descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        os.replace(draft, target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
