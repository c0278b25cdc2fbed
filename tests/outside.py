"""Nothing that the person who runs the tests has set reaches them, nor the programs that they start.

Imported by conftest before anything that reads its environment when it is imported.
"""

from __future__ import annotations

import os
import sys

from tests import ROOT

OTHERS = (
    "ASSAY_",
    "HF_",
    "HUGGING_FACE_",
    "HUGGINGFACE_",
    "TRANSFORMERS_",
    "TEXTUAL_",
    "LC_",
    "CLICOLOR",
    "OMPI_COMM_",
    "MLX_",
)
"""What these programs read, by the beginnings of their names."""
OURS = ("TEXTUAL_SNAPSHOT_",)
"""What a plugin of pytest tells its workers."""
SINGLE = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "LANGUAGE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
CACHE = ROOT / ".pytest_cache" / "assay"
"""What can be made again is kept from one run to the next, apart from the user's."""
LOCAL = "localhost,127.0.0.1,::1"
HUB = "TESTS_HUB_CACHE"
"""Where the user's models lie, for the tests that ask for reference models."""
ASKED, CARRIED = "ASSAY_E2E_", "TESTS_E2E_"
"""How the names begin of the user's variables for those tests, and of the copies that workers see."""


def leave_outside() -> None:
    """Make the environment that of a plain terminal, in a locale that every machine has."""
    _remember_models()
    for name in list(os.environ):
        if (name.startswith(OTHERS) and not name.startswith(OURS)) or name in SINGLE:
            del os.environ[name]
    os.environ |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    os.environ["ASSAY_CACHE_DIR"] = str(CACHE)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy is for the package registry, not for servers that tests start
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), LOCAL)))


def _remember_models() -> None:
    """Workers come later, into an environment that no longer says it."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    hub = os.environ.get("ASSAY_HF_CACHE") or os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    os.environ.setdefault(HUB, os.path.expanduser(hub))
    for name, value in list(os.environ.items()):
        if name.startswith(ASKED):
            os.environ[CARRIED + name.removeprefix(ASKED)] = value


def compile_once() -> None:
    """Where compiled modules may not lie beside their sources, keep them elsewhere: dozens of programs are started."""
    if sys.dont_write_bytecode:
        prefix = ROOT / ".pytest_cache" / "pycache"
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(prefix)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False


def share_cores() -> None:
    """Let each of several workers multiply on its part of the cores alone; OPENBLAS_NUM_THREADS wins."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers > 1:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max((os.cpu_count() or 1) // workers, 1)))
