"""A suite as programs read it: its cases, where each is written, what is expected of it, and who would answer."""

from __future__ import annotations

from typing import Any

from core.golden.expressions import describe, to_json
from core.golden.plan import Plan
from core.golden.suite import Case, SuiteImage
from core.tiers import Tier

LISTING_VERSION = 1


def listing(plan: Plan) -> dict[str, Any]:
    """The suite of a plan as JSON; docs/golden.md lists the keys. Paths are absolute, lines count from 1."""
    suite = plan.suite
    answering = {
        (one.case.id, one.tier): {"model": one.model.id if one.model else None, "skip": one.skip}
        for one in plan.attempts
        if one.control is None and one.repeat == 0
    }
    return {
        "v": LISTING_VERSION,
        "suite": {"name": suite.name, "path": str(suite.path.resolve()), "sha": suite.sha},
        "tiers": [tier.value for tier in plan.options.tiers],
        "cases": [
            _case(plan, case)
            | {"tiers": {tier: _expected(case, Tier(tier)) | answering[case.id, tier] for tier in plan.options.tiers}}
            for case in suite.cases
        ],
    }


def _case(plan: Plan, case: Case) -> dict[str, Any]:
    home, file = plan.suite.path.resolve(), case.file.resolve()
    sidecar = file.with_suffix(".toml")
    folder = file.parent.relative_to(home).as_posix()
    return {
        "id": case.id,
        "folder": "" if folder == "." else folder,
        "file": str(file),
        "sidecar": str(sidecar) if sidecar.exists() else None,
        "line": case.line,
        "prompt": case.prompt,
        "system": case.system,
        "turns": [turn.text for turn in case.turns],
        "images": [_image(image) for image in case.all_images],
        "repeats": case.repeats,
        "controls": [control.value for control in case.controls],
    }


def _image(image: SuiteImage) -> dict[str, Any]:
    path = str(image.path.resolve())
    return {"path": path, "sha256": image.sha256, "width": image.width, "height": image.height}


def _expected(case: Case, tier: Tier) -> dict[str, Any]:
    """What the last answer must be, as a sidecar says it and in words."""
    expression = case.expected(tier)
    return {"expect": to_json(expression), "expected": describe(expression)}
