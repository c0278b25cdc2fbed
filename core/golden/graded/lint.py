"""What is doubtful about graded checks before anything is graded."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from itertools import chain

from core.golden.expressions import leaves
from core.golden.graded.leaves import Graded, Judged, Program, Similar
from core.golden.nearest import did_you_mean
from core.golden.suite import Case, Suite
from core.regular_files import read_text

MOST_BYTES = 1_000_000
LOW = 0.3
"""A similarity that texts of one language have which are about nothing in common."""


def lint_graded(suite: Suite, case: Case, on_disk: Collection[str]) -> Iterator[tuple[str, bool]]:
    """A message for each doubt, and whether it is a warning. `on_disk` are the ids of the models that are here; without
    them no name is doubted."""
    expectations = (*case.expect.values(), *(one for turn in case.turns for one in turn.before.values()))
    for leaf in dict.fromkeys(chain.from_iterable(leaves(one) for one in expectations)):
        if isinstance(leaf, Program):
            if fault := _program_fault(suite, leaf):
                yield fault, False
        elif isinstance(leaf, Graded):
            name = "judge" if isinstance(leaf, Judged) else "similar"
            if on_disk and leaf.model not in on_disk:
                here = did_you_mean(leaf.model, on_disk)
                yield f"{name}: {leaf.model} is not on this disk{here}: its checks cannot be graded and fail.", True
        if isinstance(leaf, Similar) and leaf.at_least <= LOW:
            yield f"similar: at_least = {leaf.at_least:g} is what unrelated texts reach with many models.", True
        if isinstance(leaf, Judged) and leaf.model in _asked(suite):
            yield f"judge: {leaf.model} also answers in this suite, and models favour their own answers.", True


def _asked(suite: Suite) -> set[str]:
    return {model for models in suite.tiers.values() for model in (*models.vision, *models.text)}


def _program_fault(suite: Suite, leaf: Program) -> str | None:
    """Why the function cannot be called, told without running anything."""
    try:
        module = ast.parse(read_text(suite.path / leaf.file, MOST_BYTES, "a file of checks"))
    except (OSError, ValueError, SyntaxError) as error:
        return f"python: {leaf.file} cannot be read ({error})."
    functions = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
    if leaf.function in functions:
        return None
    return f"python: {leaf.file} has no function {leaf.function}{did_you_mean(leaf.function, functions)}."
