"""Functions of a suite, run in processes of their own under a time limit, where the user allows it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.golden.graded.leaves import Program
from core.regular_files import read_text
from core.settings import Settings

TIME_S = 10.0
"""What a function has for one answer, its imports included."""
MOST_BYTES = 1_000_000
"""Of a file of checks."""
CHILD = Path(__file__).with_name("child.py")

NOT_ALLOWED = (
    "the suite's Python may not run: --allow-python lets it for one run, golden_python = [{folder}] in the settings "
    "for good. Read it first: it can do what you can"
)


def may_run(folder: Path, settings: Settings) -> bool:
    """Whether the settings let a suite's functions run."""
    return folder.resolve() in [path.resolve() for path in settings.golden_python]


def not_allowed(folder: Path) -> str:
    """Why a suite's functions do not run, and what lets them."""
    return NOT_ALLOWED.format(folder=json.dumps(str(folder.resolve()), ensure_ascii=False))


async def ask_program(folder: Path, leaf: Program, answer: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a function says of an answer: `held` (None where it cannot be found out), `why`, and `sha256` of its file.

    A process group of its own is ended with the time limit, and with the run.
    """
    try:
        file, digest = _file(folder, leaf)
    except (OSError, UnicodeDecodeError) as error:
        return _unknown(f"{leaf.file} cannot be read ({error})")
    asked = json.dumps({"file": str(file), "function": leaf.function, "answer": answer, "about": dict(about)})
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(CHILD),
        cwd=file.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(asked.encode("utf-8", "replace")), TIME_S)
    except TimeoutError:
        return _unknown(f"{leaf.function} did not end within {TIME_S:g} s") | {"sha256": digest}
    finally:
        await _end(child)
    return _told(leaf, child.returncode, out, err) | {"sha256": digest}


def _file(folder: Path, leaf: Program) -> tuple[Path, str]:
    """The file and its digest. Raises OSError, also where a link leads out of the folder, and UnicodeDecodeError."""
    file = (folder / leaf.file).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise OSError("it leads out of the suite's folder")
    return file, hashlib.sha256(read_text(file, MOST_BYTES, "a file of checks").encode()).hexdigest()


async def _end(child: asyncio.subprocess.Process) -> None:
    """Nothing of it is left behind, nor of what it started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # they have all ended; macOS says of those that nobody has asked after that they are not ours
    await child.wait()


def _told(leaf: Program, code: int | None, out: bytes, err: bytes) -> dict[str, Any]:
    """True holds; False and a text, which says why, do not."""
    if code:
        last = err.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        return _unknown(f"{leaf.function} failed: {last or f'exit code {code}'}")
    try:
        value = json.loads(out)
    except ValueError:
        value = None
    if isinstance(value, bool):
        return {"held": value, "why": "" if value else f"{leaf.function} says no"}
    if isinstance(value, str):
        return {"held": False, "why": f"{leaf.function}: {value}"}
    return _unknown(f"{leaf.function} returned neither True, False nor a text")


def _unknown(why: str) -> dict[str, Any]:
    return {"held": None, "why": why}
