"""The way to files that others have made, as a model's or a suite's: regular ones alone, and no more than is wanted.

A named pipe may never say anything, a device fills the memory, and under /proc lie files of 0 bytes that have no end.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from core.sizes import readable_size

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnfitFile(OSError):
    """A file that is not read, whatever is in it; `strerror` says why."""

    def __init__(self, why: str, file: Path | str) -> None:
        super().__init__(errno.EINVAL, why, str(file))


def open_regular(file: Path | str) -> BinaryIO:
    """A regular file, or what a link leads to, opened to be read in bytes. It never waits for anybody.

    Raises UnfitFile for anything else, IsADirectoryError for a folder, and OSError.
    """
    check_regular(file)  # before it is opened: a device may do something then
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(descriptor)
        _check(about, file)
        if about.st_size == 0 and not _at_end(descriptor):
            raise UnfitFile("it says that it is empty, and is not", file)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(file: Path | str, limit: int, kind: str) -> bytes:
    """A regular file's bytes; of one that grows meanwhile, those that it had. `kind` is what it should be: "a prompt".

    Raises as `open_regular`, and UnfitFile for one of more than `limit` bytes.
    """
    with open_regular(file) as opened:
        size = os.fstat(opened.fileno()).st_size
        if size > limit:
            raise UnfitFile(too_long(size, limit, kind), file)
        return opened.read(size)


def read_text(file: Path | str, limit: int, kind: str, errors: str = "strict") -> str:
    """What `read_regular` gives, as UTF-8 text without a byte-order mark, its lines ended by a line feed.

    Raises as that does, and UnicodeDecodeError.
    """
    data = io.BytesIO(read_regular(file, limit, kind))
    return io.TextIOWrapper(data, encoding="utf-8-sig", errors=errors).read()


def too_long(size: int, limit: int, kind: str) -> str:
    """That a file of `size` bytes is beyond the `limit` of its `kind`."""
    return f"it has {readable_size(size)}, and {kind} is read up to {readable_size(limit)}"


def check_regular(file: Path | str) -> None:
    """Raises what `open_regular` would for a file of that kind, without opening it."""
    _check(os.stat(file), file)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one; a link that leads to itself does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _check(about: os.stat_result, file: Path | str) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if not stat.S_ISREG(about.st_mode):
        kind = _KINDS.get(stat.S_IFMT(about.st_mode), "something else")
        raise UnfitFile(f"it is {kind}, not a regular file", file)


def _at_end(descriptor: int) -> bool:
    try:
        return not os.read(descriptor, 1)
    except BlockingIOError:
        return False
