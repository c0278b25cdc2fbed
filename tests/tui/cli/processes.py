"""The command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

ASSAY = (sys.executable, "-c", "from tui.cli.main import main; main()")


def on_a_terminal(environment: dict[str, str], *arguments: str, typed: bytes = b"") -> subprocess.CompletedProcess[str]:
    """A command with a terminal of its own, in which `typed` waits: all that a person gets is its standard output."""
    here, there = os.openpty()
    os.write(here, typed)
    run = subprocess.Popen([*ASSAY, *arguments], env=environment, stdin=there, stdout=there, stderr=there)
    os.close(there)
    written = b""
    with open(here, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(4096)
            except OSError:  # the other end has closed, as Linux tells it
                break
            if not piece:
                break
            written += piece
    return subprocess.CompletedProcess(run.args, run.wait(timeout=60), written.decode())
