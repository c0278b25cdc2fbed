"""Run by itself, in a process of its own: one function of a suite, asked about one answer. It imports nothing of ours.

Reads JSON from standard input: `file`, `function`, `answer`, `about`. What the function returns goes to the standard
output that the process began with, as JSON; what it prints goes to standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys


def main() -> None:
    """Load the file, call the function, tell what it returned."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    sys.path.insert(0, os.path.dirname(asked["file"]))
    spec = importlib.util.spec_from_file_location("golden_check", asked["file"])
    if spec is None or spec.loader is None:
        raise ImportError(f"{asked['file']} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    value = getattr(module, asked["function"])(asked["answer"], asked["about"])
    told.write(json.dumps(value))
    told.close()


if __name__ == "__main__":
    main()
