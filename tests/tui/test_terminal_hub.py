"""The Hub in a real terminal, by keyboard alone: searched, looked at, two downloads, one broken off, loaded, asked,
measured, deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Fault, File, Hub, Repository, pocket_repository
from tests.tui.test_terminal import Terminal, terminal

__all__ = ["terminal"]

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that the program in the terminal asks; the weights of two models come slowly from it at first."""
    small, other = pocket_repository("qwen3", downloads=900), pocket_repository("gemma3", downloads=800)
    config = json.loads(small.commits[0]["config.json"].content) | {"num_hidden_layers": 500_000, "head_dim": 512}
    huge = Repository(
        "mlx-community/huge", [small.commits[0] | {"config.json": File(json.dumps(config).encode())}], downloads=700
    )
    with Hub([small, other, huge]) as hub:
        hub.faults["model.safetensors"] = Fault(pace=(1 << 11, 0.1))
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield hub


def test_from_a_search_to_a_chat_and_away_again(hub: Hub, terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("quick ○ qwen2-vl")
    terminal.press("F2")
    terminal.wait_for("3 models")
    terminal.press("h")
    terminal.wait_for(lambda screen: "The Hub has not been asked yet." in screen and "d Download" in screen)
    terminal.press("/")
    terminal.wait_for(lambda screen: "d Download" not in screen)
    terminal.press("Enter")
    terminal.wait_for(lambda screen: "mlx-community/huge" in screen and screen.count("fits") >= 2)
    terminal.press("G")
    terminal.wait_for("does not fit")
    terminal.press("g", "Enter")
    terminal.wait_for("A model of mlx-community.")
    terminal.press("d")
    terminal.wait_for("1 download")
    terminal.press("j", "d")
    terminal.wait_for("2 downloads")
    terminal.wait_for(lambda screen: screen.count("K/s") >= 2)
    terminal.press("p")
    terminal.wait_for("1 paused")
    hub.faults["model.safetensors"].pace = None
    terminal.wait_for("qwen3 is on disk")
    terminal.press("p")
    terminal.wait_for("gemma3 is on disk")
    size = hub.repositories["mlx-community/gemma3"].commits[0]["model.safetensors"].size
    assert hub.served["mlx-community/gemma3/model.safetensors"] < size + 1_500_000, "gone on with, not begun anew"
    terminal.press("h")
    terminal.wait_for(lambda screen: "5 models" in screen and "q Quick" in screen)
    terminal.press("/")
    terminal.wait_for(lambda screen: "q Quick" not in screen)
    terminal.type("mlx-community/qwen3")
    terminal.wait_for("1 of 5")
    terminal.press("Enter")
    terminal.press("q")
    terminal.wait_for("quick ● qwen3")
    terminal.press("Enter")
    terminal.wait_for("Ask the model something.")
    terminal.type("What is the capital of France?")
    terminal.press("Enter")
    terminal.wait_for("Paris")
    terminal.press("F2")
    terminal.wait_for(lambda screen: "loads in" in screen and "after short prompts" in screen)
    terminal.press("x")
    terminal.wait_for("mlx-community/qwen3 is in memory here.")
    terminal.press("u")
    terminal.wait_for("quick ○ qwen3")
    terminal.press("x")
    terminal.wait_for("Delete mlx-community/qwen3?")
    terminal.press("y")
    terminal.wait_for("are free again.")
    terminal.wait_for("0 of 4")
    assert not (tmp_path / "hf/hub/models--mlx-community--qwen3").exists()
    terminal.press("C-q")
    terminal.wait_for("left with 0")
