"""Find what is wrong with a suite before a model is asked: checks that prove nothing, and tiers in the wrong order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from core.golden.checks import Answer, holds
from core.golden.expressions import (
    SMOKE,
    CallsTool,
    Exact,
    Expression,
    FitsSchema,
    Matches,
    Word,
    describe,
    implied,
    leaves,
)
from core.golden.graded.lint import lint_graded
from core.golden.json_answers import dangling, patterns, schema_fault, unknown_formats
from core.golden.nearest import did_you_mean
from core.golden.patterns import CannotJudge, runs_away
from core.golden.proof import TooManyLeaves, can_fail, can_pass, counterexample
from core.golden.reading import read_suite, suite_text
from core.golden.suite import Case, Control, Problem, Suite
from core.golden.toml_lines import TomlLines
from core.tiers import Tier

OBJECTS: tuple[object, ...] = ({"a key nobody named": 1}, {"": []}, {"x": None, "y": "z"})
ARRAYS: tuple[object, ...] = ([], [None], ["", 0, {}])
OTHERS: tuple[object, ...] = ("", 0, None, True)
"""JSON values of which a schema that means something refuses some."""
COMMON = ("Yes.", "I do not know that.", "a red square", "42 is the answer")
"""A pattern that is found in all of these says little."""

Found = tuple[str, bool]
"""A message, and whether it is a warning."""


def lint_folder(folder: Path, on_disk: Collection[str] = ()) -> tuple[Suite | None, list[Problem]]:
    """Read and lint in one: the suite, if there is one, and every problem; errors forbid a run, warnings do not.

    `on_disk` are the ids of the models that are here; without them, no name of a model is doubted.
    """
    suite, problems = read_suite(folder)
    return suite, problems + (lint(suite, on_disk) if suite else [])


def lint(suite: Suite, on_disk: Collection[str] = ()) -> list[Problem]:
    """What is doubtful in a suite that could be read."""
    cases = (problem for case in suite.cases for problem in _lint_case(suite, case, on_disk))
    return [*_lint_models(suite, on_disk), *cases]


# -- golden.toml -----------------------------------------------------------------------------------------------------


def _lint_models(suite: Suite, on_disk: Collection[str]) -> Iterator[Problem]:
    """Names of models that none has, and lists of models that no case would ask."""
    file = suite.path / "golden.toml"
    if not suite.tiers:
        return
    lines = TomlLines(suite_text(file))
    kinds = {
        "vision": any(case.all_images for case in suite.cases),
        "text": any(not case.all_images for case in suite.cases),
    }
    for tier, models in suite.tiers.items():
        both = models.vision == models.text  # one list for both kinds
        for kind, named in (("vision", models.vision), ("text", () if both else models.text)):
            line = lines.line(("tiers", tier.value, kind))
            for model in named:
                if fault := _model_fault(model, on_disk):
                    yield Problem(f"{tier}: {fault}", file, line, warning=not model.startswith("pocket/"))
            if on_disk and named and not set(named) & set(on_disk):
                message = f"{tier}: none of {', '.join(named)} is on this disk: its cases would be skipped."
                yield Problem(message, file, line, warning=True)
            if named and not both and not kinds[kind]:
                what = "shows an image" if kind == "vision" else "is without images"
                yield Problem(f"{tier}.{kind} has no effect: no case {what}.", file, line, warning=True)


def _model_fault(model: str, on_disk: Collection[str]) -> str | None:
    """What is doubtful about a model's name: one that is not here may well be elsewhere, but for pocket models."""
    from rapidfuzz import fuzz, process

    if not on_disk or model in on_disk:
        return None
    if model.startswith("pocket/"):
        pocket = [name for name in on_disk if name.startswith("pocket/")]
        return f"there is no pocket model {model}{did_you_mean(model, pocket)}."
    near = process.extractOne(model, sorted(on_disk), scorer=fuzz.ratio, score_cutoff=90)
    return f'{model} is not on this disk (did you mean "{near[0]}"?).' if near else None


# -- cases -----------------------------------------------------------------------------------------------------------


def _lint_case(suite: Suite, case: Case, on_disk: Collection[str]) -> Iterator[Problem]:
    place = case.file.with_suffix(".toml") if case.line else case.file
    found: list[Found] = []
    for tiers, expression in _by_expectation(case.expect):
        where = " and ".join(tiers)
        found += _lint_expression(case, where, expression)
    found += [*_lint_order(case.expect, ""), *_lint_asking(case), *_lint_xfail(case)]
    for number, turn in enumerate(case.turns, 1):
        for tiers, expression in _by_expectation(turn.before):
            found += _lint_expression(case, f"{' and '.join(tiers)} in turn {number}", expression)
        found += _lint_order(turn.before, f"in turn {number}, ")
    found += lint_graded(suite, case, on_disk)
    for image in (*case.all_images, *case.swap):
        if not image.path.resolve().is_relative_to(suite.path.resolve()):
            found.append((f"{image.path} is outside the suite, which cannot be passed on without it.", True))
    if case.swap and {image.sha256 for image in case.swap} == {image.sha256 for image in case.images}:
        found.append(("the swap control shows the very images of the case.", False))
    yield from (Problem(f"{case.id}: {message}", place, case.line, warning) for message, warning in found)


def _lint_order(expect: Mapping[Tier, Expression], where: str) -> Iterator[Found]:
    """Whether what passes the full tier passes the quick one."""
    full, quick = (expect.get(tier, SMOKE) for tier in (Tier.FULL, Tier.QUICK))
    try:
        world = counterexample(full, quick)
    except TooManyLeaves as error:
        yield f"{where}that full implies quick was not proved: there are {error}.", True
        return
    if world and world.certain:
        yield f"{where}full does not imply quick: an answer that {world} passes full and fails quick.", False
    elif world:
        yield f"{where}that full implies quick cannot be proved: it hangs on {_undecidable(full, quick)}.", True


def _lint_asking(case: Case) -> Iterator[Found]:
    """Ways of asking that tell less than they seem to."""
    greedy = case.sampling.temperature == 0
    if greedy and case.repeats > 1:
        yield f"repeats = {case.repeats} at temperature 0 asks the same {case.repeats} times: they count once.", True
    if case.all_images and not {Control.SWAP, Control.BLIND} & set(case.controls):
        yield (
            "it shows images and no control asks whether they are seen: a model that does not look may pass "
            "([controls] blind = true).",
            True,
        )


def _lint_xfail(case: Case) -> Iterator[Found]:
    """Checks that are known to fail, and that there are not."""
    found: dict[Found, None] = {}
    for where, known in case.xfail.items():
        tiers = [Tier(where)] if where in list(Tier) else list(Tier)
        names = {"expect", "ttft_s", "total_s", "decode_tps"}
        for tier in tiers:
            expression = case.expected(tier)
            names |= {*implied(expression), *map(describe, leaves(expression))}
        for name in known.checks:
            if name not in names:
                found[f'xfail names a check "{name}" that there is not{did_you_mean(name, names)}.', False] = None
    yield from found


def _by_expectation(expect: Mapping[Tier, Expression]) -> Iterator[tuple[list[Tier], Expression]]:
    """The expectations that were written, each once, with the tiers that they hold for."""
    pending = list(expect)
    while pending:
        same = [tier for tier in pending if expect[tier] == expect[pending[0]]]
        yield same, expect[pending[0]]
        pending = [tier for tier in pending if tier not in same]


def _lint_expression(case: Case, where: str, expression: Expression) -> Iterator[Found]:
    idle = False
    try:
        if idle := not can_fail(expression):
            yield f"nothing could fail the check of {where} ({describe(expression)}).", False
        elif not can_pass(expression):
            yield f"nothing could pass the check of {where} ({describe(expression)}).", False
    except TooManyLeaves as error:
        yield f"that the check of {where} can fail was not proved: there are {error}.", True
    for leaf in leaves(expression):
        if isinstance(leaf, CallsTool) and (fault := _tool_fault(case, leaf)):
            yield fault, False
        if isinstance(leaf, FitsSchema):
            yield from _lint_schema(where, leaf)
        wanted = (
            [leaf.pattern]
            if isinstance(leaf, Matches)
            else patterns(leaf.schema)
            if isinstance(leaf, FitsSchema)
            else []
        )
        if not idle and isinstance(leaf, Matches) and all(_holds(leaf, text) for text in COMMON):
            yield f"almost any answer would pass {describe(leaf)}.", True
        for pattern in wanted:
            if runs_away(pattern):
                yield f"/{pattern}/ tries too many ways to match: it would be given up on long answers.", False
    wants_text = any(isinstance(leaf, Word | Exact) for leaf in leaves(expression))
    if wants_text and _holds(expression, case.prompt):
        yield f"an echo of the prompt would pass the check of {where} ({describe(expression)}).", True


def _lint_schema(where: str, leaf: FitsSchema) -> Iterator[Found]:
    """Schemas that ask for nothing, or for what cannot be checked."""
    for name in unknown_formats(leaf.schema):
        yield f'the format "{name}" is not checked.', True
    for pointer in dangling(leaf.schema):
        yield f"the schema of {where} refers to {pointer}, which is not in it.", False
    try:
        objects, arrays, others = (
            [schema_fault(leaf.schema, value) is None for value in kind] for kind in (OBJECTS, ARRAYS, OTHERS)
        )
    except CannotJudge as reason:
        yield f"the schema of {where} cannot be used: {reason}.", False
        return
    if all(objects) and all(arrays) and all(others):
        yield f"any JSON would pass the schema of {where}: say what it holds.", False
    elif all(objects):
        yield f"any object would pass the schema of {where}: list its properties.", True
    elif all(arrays):
        yield f"any list would pass the schema of {where}: say what its items are.", True
    elif leaf.schema.get("not") in ({}, True):
        yield f"nothing could pass the schema of {where}.", False


def _holds(expression: Expression, text: str) -> bool:
    try:
        return holds(expression, Answer(text))
    except CannotJudge:
        return False


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


def _undecidable(full: Expression, quick: Expression) -> str:
    """The patterns and schemas of both expectations, of whose relations nothing is known."""
    every = [*leaves(full), *leaves(quick)]
    return ", ".join(dict.fromkeys(describe(leaf) for leaf in every if not isinstance(leaf, Word | Exact)))
