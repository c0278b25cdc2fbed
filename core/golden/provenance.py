"""What a run was made of and made on, for its record: suite, options, versions, machine, memory, schedule."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from core.golden.outcome import LeftOut
from core.golden.plan import Plan
from core.status import EngineStatus

PACKAGES = ("mlx-assay", "mlx", "mlx-lm", "mlx-vlm", "transformers")


def header(plan: Plan, status: EngineStatus | None) -> dict[str, Any]:
    """The head of run.json. `status` is None when a server elsewhere does the work."""
    suite = plan.suite
    return {
        "suite": {"name": suite.name, "path": str(suite.path.resolve()), "sha": suite.sha},
        "options": asdict(plan.options),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "device": status.device if status else None,
            "blas": (status.blas or None) if status else None,
        },
        "memory_budget": status.memory_budget if status else None,
        "planned": [attempt.key for attempt in plan.attempts],
        "left_out": left_out(plan).to_json(),
        "schedule": [
            {"models": [model.id for model in stage.models], "attempts": len(stage.attempts)} for stage in plan.stages
        ],
    }


def left_out(plan: Plan) -> LeftOut:
    """What the suite declares and the run will not do."""
    return LeftOut(plan.controls_left_out, plan.parity_left_out, plan.cases_left_out)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
