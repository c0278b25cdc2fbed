"""A fast BLAS under MLX on Linux: its CPU wheel carries the reference one, which multiplies thirty times slower.

MLX calls plain `cblas_sgemm`. A library that has it and is in the process's global scope before MLX is loaded takes the
reference's place (ld.so(8): a symbol is looked up in the global scope first). opencv-python, which mlx-vlm depends on,
brings an OpenBLAS; many systems have one. None is trusted before it has multiplied correctly, the first time in a
process of its own, because old builds crash on processors that they do not know.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

REFERENCE = "the reference BLAS of MLX's wheel"

BUNDLED = ("opencv_python*.libs/libopenblas*.so*", "opencv_contrib_python*.libs/libopenblas*.so*")
"""Where packages of the environment keep an OpenBLAS with plain names; NumPy's and SciPy's have prefixes."""
SYSTEM = ("/usr/local/lib", "/usr/lib", "/usr/lib64", "/usr/lib/*-linux-gnu", "/usr/lib/*-linux-gnu/openblas-*")
"""Where systems keep theirs, after LD_LIBRARY_PATH and the environment's own lib."""

SHAPES = ((1, 33, 57), (19, 40, 23), (97, 128, 64))
"""Rows, columns and depth of the products that are tried: one row, odd edges, and enough work for several threads."""
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
STOOD = b"its products were right\n"
CHECK_S = 20.0
"""Seconds that the process which tries a library for the first time may take."""


@dataclass(frozen=True)
class Blas:
    """Who multiplies float32 matrices for MLX. `path` is None for the reference; `why` then says why, in a phrase."""

    name: str
    path: str | None = None
    threads: int = 1
    why: str = ""

    def __str__(self) -> str:
        if self.path is None:
            return f"{self.name}{f' ({self.why})' if self.why else ''}"
        return f"{self.name}, {self.threads} thread{'' if self.threads == 1 else 's'} ({self.path})"


class WrongProduct(Exception):
    """A library cannot be loaded, lacks what MLX calls, or multiplied wrongly; the message says which, as a phrase."""


_lock = threading.Lock()
_installed: Blas | None = None


def install(wanted: bool = True, kept: Path | None = None) -> Blas:
    """Put the best OpenBLAS that is there under MLX, if MLX has not been loaded yet; returns who multiplies.

    Call it before the first import of mlx; later calls return what the first one found. In the folder `kept` it is
    remembered which libraries have stood the test. OPENBLAS_* variables are the library's own and hold. Raises nothing:
    without a library that works, MLX computes as it does by itself.
    """
    global _installed
    with _lock:
        if _installed is None:
            try:
                _installed = _find(wanted, kept)
            except Exception as error:  # nobody shall go without an engine because of what lies on a disk
                log.warning("looking for an OpenBLAS failed", exc_info=True)
                _installed = Blas(REFERENCE, why=f"looking for an OpenBLAS failed: {type(error).__name__}: {error}")
            log.info("float32 products are computed by %s", _installed)
        return _installed


def _find(wanted: bool, kept: Path | None) -> Blas:
    from core.compute import on_linux_cpu

    if not on_linux_cpu():
        return Blas("MLX's own")
    if not wanted:
        return Blas(REFERENCE, why="the setting cpu_openblas is off")
    if "mlx.core" in sys.modules:
        return Blas(REFERENCE, why="MLX had been loaded before")
    reasons = []
    for candidate in candidates():
        try:
            return _use(candidate, kept)
        except WrongProduct as reason:
            reasons.append(f"{candidate}: {reason}")
    return Blas(REFERENCE, why="; ".join(reasons) or "there is no OpenBLAS here; opencv-python brings one")


def candidates() -> Iterator[str]:
    """Paths of libraries to try, the best first: the environment's, then the system's."""
    seen: set[str] = set()
    bundled = [(part, pattern) for part in sys.path if part for pattern in BUNDLED]
    own = [*filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)), f"{sys.prefix}/lib"]
    system = [("/", f"{folder.lstrip('/')}/libopenblas.so*") for folder in (*map(os.path.abspath, own), *SYSTEM)]
    for folder, pattern in bundled + system:
        for file in sorted(Path(folder).glob(pattern)):
            if (real := os.path.realpath(file)) not in seen:
                seen.add(real)
                yield str(file)


def _use(candidate: str, kept: Path | None) -> Blas:
    _survives(candidate, kept)
    library = check(candidate)
    ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)  # it is loaded already: this makes its names visible to MLX
    return Blas(_name(library), candidate, _threads(library))


def check(candidate: str) -> ctypes.CDLL:
    """Load a library for this module alone, and compare its products with NumPy's. Raises WrongProduct."""
    try:
        library = ctypes.CDLL(candidate)
        sgemm = library.cblas_sgemm
    except (OSError, AttributeError) as error:
        raise WrongProduct(f"it cannot be used ({error})") from error
    import numpy as np

    sgemm.restype = None
    whole, real, pointer = ctypes.c_int, ctypes.c_float, ctypes.POINTER(ctypes.c_float)
    sgemm.argtypes = [whole] * 6 + [real, pointer, whole, pointer, whole, real, pointer, whole]
    for rows, columns, depth in SHAPES:
        numbers = np.arange(rows * depth + columns * depth, dtype=np.float32) * 37 % 101 / 101 - 0.5
        left = numbers[: rows * depth].reshape(rows, depth)
        for transposed in (False, True):
            right = numbers[rows * depth :].reshape((columns, depth) if transposed else (depth, columns))
            product = np.full((rows, columns), np.nan, np.float32)
            places = [array.ctypes.data_as(pointer) for array in (left, right, product)]
            mode, width = (TRANSPOSED, depth) if transposed else (PLAIN, columns)
            sizes = (rows, columns, depth)
            sgemm(ROW_MAJOR, PLAIN, mode, *sizes, 1.0, places[0], depth, places[1], width, 0.0, places[2], columns)
            expected = left.astype(np.float64) @ (right.T if transposed else right).astype(np.float64)
            if not np.allclose(product, expected, rtol=1e-4, atol=1e-4):
                raise WrongProduct(f"it multiplied {rows}×{depth} by {depth}×{columns} wrongly")
    return library


def _survives(candidate: str, kept: Path | None) -> None:
    """Try a library in a process of its own, once on this machine. Raises WrongProduct when that one does not end well.

    Only success is remembered, under a name made of all that it depends on: whatever else happened may pass.
    """
    try:
        about = os.stat(candidate)
    except OSError as error:
        raise WrongProduct(f"it cannot be read ({error.strerror})") from error
    own = sorted(entry for entry in os.environ.items() if entry[0].startswith("OPENBLAS_"))
    depends = repr((candidate, about.st_size, about.st_mtime_ns, own, platform.release(), _processor()))
    from core.atomic import write_atomically  # not needed where this file is a program
    from core.regular_files import read_regular
    from core.settings import CACHE_DIR

    stood = (kept or CACHE_DIR) / "blas" / hashlib.sha256(depends.encode()).hexdigest()
    try:
        if read_regular(stood, len(STOOD), "a mark") == STOOD:
            return
    except OSError:
        log.debug("%s is tried out", candidate)
    if reason := _try_out(candidate):
        raise WrongProduct(reason)
    try:
        stood.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(stood, STOOD)
    except OSError as error:
        log.info("that %s stood the test cannot be kept: %s", candidate, error)


def _try_out(candidate: str) -> str:
    """Why a library is of no use, "" for one that works."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", __file__, candidate],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"trying it out came to nothing ({type(error).__name__})"
    if done.returncode < 0:
        return f"it crashed with signal {-done.returncode} when it was tried out"
    return (done.stdout.strip() or f"trying it out ended with {done.returncode}") if done.returncode else ""


def _processor() -> str:
    """What the processor calls itself: another one may run the next time, from the same disk."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            named = {line for line in lines if line.startswith(("model", "flags", "Features", "CPU part", "stepping"))}
    except OSError:
        return platform.machine()
    return "".join(sorted(named))


def processor_name() -> str:
    """The processor's name as the system has it; "" where nothing tells."""
    for line in _processor().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == "model name":
            return value.strip()
    return platform.processor()


def _name(library: ctypes.CDLL) -> str:
    try:
        library.openblas_get_config.restype = library.openblas_get_corename.restype = ctypes.c_char_p
        config, core = library.openblas_get_config().decode(), library.openblas_get_corename().decode()
        return f"{' '.join(config.split()[:2])} for {core}"
    except AttributeError:
        return "a BLAS of the system"


def _threads(library: ctypes.CDLL) -> int:
    try:
        return int(library.openblas_get_num_threads())
    except AttributeError:
        return 1


if __name__ == "__main__":
    try:
        check(sys.argv[1])
    except WrongProduct as wrong:
        print(wrong)  # noqa: T201
        sys.exit(1)
