"""Assay asked in processes of its own, each question once, whichever of pytest's processes asks it first."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-P", "-c", "from tui.cli.main import main; main()", "golden")
"""`assay golden` of this very environment; -P keeps folders of the user's out that are called as its packages are."""
END_S = 15.0
"""What a run has after ctrl+c to write down what it has done."""


class AssayFailed(Exception):
    """Assay could not say anything; the message is its own sentence."""


def ask(folder: Path, words: Sequence[str], ids: Sequence[str] = (), tell: Callable[[str], None] = print) -> Any:
    """The JSON that `assay golden WORDS --json FILE` writes. `ids` are cases for --ids; `tell` is given each line of
    its output. `folder` is for pytest's processes to share: the first asks, and the others wait for it.

    Raises AssayFailed where nothing was written.
    """
    name = hashlib.sha256(json.dumps([*words, *ids]).encode()).hexdigest()[:16]
    answer, failure = folder / f"{name}.json", folder / f"{name}.error"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists() and not failure.exists():
            more: list[str] = []
            if ids:
                chosen = folder / f"{name}.ids"
                chosen.write_text("".join(f"{one}\n" for one in ids), encoding="utf-8")
                more = ["--ids", str(chosen)]
            said, code = _run([*COMMAND, *words, *more, "--json", str(answer)], tell)
            if not answer.exists():
                failure.write_text(said.strip() or f"assay golden {words[0]} ended with {code} and said nothing.")
    if failure.exists():
        raise AssayFailed(failure.read_text())
    return json.loads(answer.read_text(encoding="utf-8"))


def runs_in(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The runs that were asked for with this folder."""
    for file in sorted(folder.glob("*.json")):
        told = json.loads(file.read_text(encoding="utf-8"))
        if "run" in told:
            yield told


def _run(command: Sequence[str], tell: Callable[[str], None]) -> tuple[str, int]:
    """What a command says on both streams, and its exit code. It ends with pytest."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            tell(line.rstrip())
        return "".join(said), process.wait()
    except BaseException:
        try:
            process.wait(END_S)  # ctrl+c reaches it as well
        except subprocess.TimeoutExpired:
            process.kill()
        raise
