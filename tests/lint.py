"""Everything that reads the code without running it: `uv run python -m tests.lint`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ROOT

LONGEST = 440
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports", "--no-logo"),
)


def too_long() -> list[str]:
    """Python files of more than LONGEST lines, each with its length."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lengths = {
        name: len((ROOT / name).read_text().splitlines()) for name in listed.stdout.split() if (ROOT / name).exists()
    }
    return [f"{name}: {lines} lines; the limit is {LONGEST}" for name, lines in lengths.items() if lines > LONGEST]


def main() -> int:
    """Run every check, so that one run shows all there is to mend; returns the exit code. --list only names them."""
    if "--list" in sys.argv[1:]:
        for command in CHECKS:
            print(*command)
        return 0
    failed = []
    for command in CHECKS:
        print("$", *command, flush=True)
        program = Path(sys.executable).parent / command[0]
        if subprocess.run([program, *command[1:]], cwd=ROOT, check=False).returncode:
            failed.append(command[0])
    long = too_long()
    print(*long, sep="\n")
    if long:
        failed.append("file length")
    print("lint:", f"failed: {', '.join(failed)}" if failed else "all clean")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
