"""Keeps the pane's runs where `assay golden run` keeps its own: a stopped one can be taken up there with --resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.golden.history.joined import weighed
from core.golden.plan import Plan
from core.golden.provenance import header, left_out
from core.golden.results import RunFolder
from core.golden.run import RunResult
from core.golden.suite import BUILTIN
from core.status import EngineStatus
from tui.state import WorkbenchState


def runs_folder(data_dir: Path) -> Path:
    return data_dir / "runs"


def new_folder(data_dir: Path, plan: Plan, status: EngineStatus, state: WorkbenchState) -> RunFolder:
    """A folder for a run that is about to begin. Raises OSError when the disk does not let us."""
    suite = plan.suite.path
    asked: dict[str, Any] = {
        "suite": None if suite == BUILTIN else str(suite.resolve()),
        "quick": state.quick if "quick" in state.chosen else None,
        "full": state.full if "full" in state.chosen else None,
        "route": list(plan.options.routes),
        "case": list(plan.options.cases),
        "ids": None if plan.options.ids is None else list(plan.options.ids),
        "controls": plan.options.controls,
        "repeats": plan.options.repeats,
        "seed": plan.options.seed,
        "metric": plan.options.metric,
        "isolated": plan.options.isolated,
        "in_flight": plan.options.in_flight,
        "url": None,
    }
    return RunFolder.create(runs_folder(data_dir), {**header(plan, status), "asked": asked})


def close_folder(folder: RunFolder, plan: Plan, result: RunResult) -> None:
    """Write down how the run went. Raises OSError."""
    told = weighed(plan.suite, result.attempts, left_out(plan), interrupted=result.interrupted)
    folder.finish(told.to_json())
