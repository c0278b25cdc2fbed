"""The held-out report: how often each pocket model is right on cases that it was never trained on."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from core.pocket import POCKET_MODELS

MEASURES = {
    "pocket/qwen3": "core.pocket.train.text_measure:measure",
    "pocket/qwen2-vl": "core.pocket.train.vision_measure:measure_quick",
    "pocket/gemma3": "core.pocket.train.vision_measure:measure_full",
}
"""Model id -> the `module:function` that takes the model's folder and returns its task results."""


@dataclass(frozen=True)
class TaskResult:
    """One skill of one model."""

    name: str
    n: int
    correct: int
    target: float
    """The share of right answers that the model is meant to reach, from 0 to 1."""

    @property
    def accuracy(self) -> float:
        return self.correct / self.n if self.n else 0.0


def load_function(where: str) -> Callable[..., Any]:
    """Import `module:function`."""
    module, _, name = where.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def measure_all(models: Path, only: str | None = None) -> dict[str, list[TaskResult]]:
    """Measure every pocket model that has weights in the folder `models`, or the one whose id contains `only`."""
    results: dict[str, list[TaskResult]] = {}
    for model in POCKET_MODELS:
        folder = models / model.folder.name
        if (only is None or only in model.id) and (folder / "model.safetensors").is_file():
            results[model.id] = load_function(MEASURES[model.id])(folder)
    return results


def show(results: dict[str, list[TaskResult]], console: Console) -> None:
    """Print one table a model."""
    for model, tasks in results.items():
        table = Table(title=model, title_justify="left")
        for column in ("task", "right", "of", "accuracy", "target"):
            table.add_column(column, justify="left" if column == "task" else "right")
        for task in tasks:
            colour = "green" if task.accuracy >= task.target else "red"
            share = f"[{colour}]{task.accuracy:.1%}[/]"
            table.add_row(task.name, str(task.correct), str(task.n), share, f"{task.target:.0%}")
        console.print(table)


def write_json(results: dict[str, list[TaskResult]], path: Path) -> None:
    """Write the results as {model: [{name, n, correct, accuracy, target}]}."""
    data = {model: [asdict(task) | {"accuracy": task.accuracy} for task in tasks] for model, tasks in results.items()}
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
