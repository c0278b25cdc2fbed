"""What the faces promise about start-up: heavy libraries are imported when they are needed, not before."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MLX = {"mlx", "mlx_lm", "mlx_vlm", "transformers", "llguidance"}
WEB = {"fastapi", "uvicorn", "starlette"}


AT_LEISURE = {
    *("numpy", "PIL", "textual_image", "markdown_it", "pygments", "pydantic", "pydantic_settings", "regex", "typer"),
    *("tui.panes", "tui.chat", "tui.golden", "tui.models", "tui.wire", "tui.hub"),
    *("core.catalog", "core.golden", "core.hub", "core.settings"),
}
"""What the workbench has no use for until its first frame is on the screen."""
FIRST_FRAME = """
from tui.cli import main
from tui.app import AssayApp
class Stops(AssayApp):
    def _furnish(self):
        self.exit()
Stops(dict).run(headless=True)
"""


def imported(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after `statement`."""
    names = "{*sys.modules, *(name.partition('.')[0] for name in sys.modules)}"
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted({names})))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import core.engine", MLX | WEB | {"textual", "PIL", "numpy"}),
        ("import core.catalog", MLX | WEB | {"textual"}),
        ("import core.golden", MLX | WEB | {"textual"}),
        ("import core.pocket", MLX | WEB | {"textual", "numpy"}),
        ("import server.lifecycle", MLX | WEB | {"textual"}),
        ("import tui.cli.main, tui.run, tui.app", MLX | WEB | AT_LEISURE),
        (FIRST_FRAME, MLX | WEB | AT_LEISURE),
        ("import tui.panes", MLX | WEB | {"numpy", "textual_image", "huggingface_hub"}),
        ("import tui.cli.main, tui.cli.chat, tui.cli.golden, tui.cli.models", MLX | WEB | {"textual"}),
        ("import pytest_assay.plugin", MLX | WEB | {"textual", "core", "server", "tui", "pydantic"}),
        ("from core.settings import load_settings; from core.engine import Engine; Engine()", MLX | WEB),
    ],
)
def test_importing_pulls_in_nothing_heavy(statement: str, absent: set[str]) -> None:
    assert imported(statement) & absent == set()


def test_the_check_can_fail() -> None:
    assert "mlx" in imported("import mlx.core")
