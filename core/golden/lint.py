"""Find what is wrong with a suite before a model is asked: checks that prove nothing, and tiers in the wrong order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.golden.checks import Answer, holds
from core.golden.expressions import CallsTool, Exact, Expression, Word, describe, leaves
from core.golden.nearest import did_you_mean
from core.golden.proof import TooManyLeaves, can_fail, can_pass, counterexample
from core.golden.reading import read_suite
from core.golden.suite import Case, Problem, Suite
from core.tiers import Tier


def lint_folder(folder: Path) -> tuple[Suite | None, list[Problem]]:
    """Read and lint in one: the suite, if there is one, and every problem; errors forbid a run, warnings do not."""
    suite, problems = read_suite(folder)
    return suite, problems + (lint(suite) if suite else [])


def lint(suite: Suite) -> list[Problem]:
    """What is doubtful in a suite that could be read."""
    return [problem for case in suite.cases for problem in _lint_case(suite, case)]


def _lint_case(suite: Suite, case: Case) -> Iterator[Problem]:
    place = case.file.with_suffix(".toml") if case.line else case.file

    def problem(message: str, warning: bool = False) -> Problem:
        return Problem(f"{case.id}: {message}", place, case.line, warning)

    for tiers, expression in _by_expectation(case):
        where = " and ".join(tiers)
        yield from (problem(message, warning) for message, warning in _lint_expression(case, where, expression))
    try:
        world = counterexample(case.expected(Tier.FULL), case.expected(Tier.QUICK))
    except TooManyLeaves as error:
        yield problem(f"that full implies quick was not proved: there are {error}.", warning=True)
    else:
        if world and world.certain:
            yield problem(f"full does not imply quick: an answer that {world} passes full and fails quick.")
        elif world:
            message = f"that full implies quick cannot be proved: it hangs on {_undecidable(case)}."
            yield problem(message, warning=True)
    for image in (*case.images, *case.swap):
        if not image.path.resolve().is_relative_to(suite.path.resolve()):
            yield problem(f"{image.path} is outside the suite, which cannot be passed on without it.", warning=True)
    if case.swap and {image.sha256 for image in case.swap} == {image.sha256 for image in case.images}:
        yield problem("the swap control shows the very images of the case.")


def _by_expectation(case: Case) -> Iterator[tuple[list[Tier], Expression]]:
    """The expectations that were written, each once, with the tiers that they hold for."""
    pending = list(case.expect)
    while pending:
        same = [tier for tier in pending if case.expect[tier] == case.expect[pending[0]]]
        yield same, case.expect[pending[0]]
        pending = [tier for tier in pending if tier not in same]


def _lint_expression(case: Case, where: str, expression: Expression) -> Iterator[tuple[str, bool]]:
    """(message, whether it is a warning) for one expectation."""
    try:
        if not can_fail(expression):
            yield f"nothing could fail the check of {where} ({describe(expression)}).", False
        elif not can_pass(expression):
            yield f"nothing could pass the check of {where} ({describe(expression)}).", False
    except TooManyLeaves as error:
        yield f"that the check of {where} can fail was not proved: there are {error}.", True
    for leaf in leaves(expression):
        if isinstance(leaf, CallsTool) and (fault := _tool_fault(case, leaf)):
            yield fault, False
    wants_text = any(isinstance(leaf, Word | Exact) for leaf in leaves(expression))
    if wants_text and holds(expression, Answer(case.prompt)):
        yield f"an echo of the prompt would pass the check of {where} ({describe(expression)}).", True


def _tool_fault(case: Case, leaf: CallsTool) -> str | None:
    """Why the expected call can never come, or None."""
    import jsonschema

    tools = {tool.name: tool for tool in case.tools}
    if leaf.name not in tools:
        return f'it expects a call of "{leaf.name}", which it does not offer{did_you_mean(leaf.name, tools)}.'
    schema = {key: value for key, value in tools[leaf.name].parameters.items() if key != "required"}
    fault = jsonschema.exceptions.best_match(
        jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(schema).iter_errors(
            dict(leaf.args)
        )
    )
    if fault:
        return f"the call that it expects breaks the parameters of {leaf.name}: {fault.message}."
    unknown = [key for key in leaf.args if key not in schema.get("properties", {key: None})]
    if unknown:
        known = did_you_mean(unknown[0], schema["properties"])
        return f'it expects an argument "{unknown[0]}", which {leaf.name} does not take{known}.'
    return None


def _undecidable(case: Case) -> str:
    """The patterns and schemas of both expectations, of whose relations nothing is known."""
    every = [*leaves(case.expected(Tier.FULL)), *leaves(case.expected(Tier.QUICK))]
    return ", ".join(dict.fromkeys(describe(leaf) for leaf in every if not isinstance(leaf, Word | Exact)))
