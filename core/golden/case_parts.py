"""Tables of golden.toml and of a sidecar, made into what a suite and a case hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.calls.json_schemas import prepare_parameters, prepare_schema
from core.calls.requests import Tool, ToolChoice, ToolMode
from core.calls.witness import tools_told
from core.errors import InvalidRequest
from core.golden.expressions import to_json
from core.golden.nearest import did_you_mean
from core.golden.schema import Bounds, ControlsTable, GatesTable, LimitsTable, ToolTable, XfailTable
from core.golden.suite import ROUTES, Case, Control, Gates, KnownFailure, Limits, SuiteImage, Turn
from core.tiers import Tier


def gates(table: GatesTable) -> Gates:
    by_tier = {Tier.QUICK: table.quick, Tier.FULL: table.full}
    most = {tier: gate.max_regressions for tier, gate in by_tier.items()}
    return Gates(
        {tier: gate.passing for tier, gate in by_tier.items()},
        {tier: gate.metric for tier, gate in by_tier.items()},
        tuple(table.parity.routes),
        table.parity.level,
        "parity" in table.model_fields_set,
        {tier: count for tier, count in most.items() if count is not None},
    )


def limits(table: LimitsTable | None) -> dict[Tier, Limits]:
    """A tier's own limits over those for both tiers."""
    if table is None:
        return {}
    common = table.model_dump(exclude={"quick", "full"}, exclude_none=True)
    own: Mapping[Tier, Bounds] = {Tier.QUICK: table.quick, Tier.FULL: table.full}
    made = {tier: Limits(**common | bounds.model_dump(exclude_none=True)) for tier, bounds in own.items()}
    return {tier: limit for tier, limit in made.items() if limit != Limits()}


def declared_controls(table: ControlsTable) -> tuple[Control, ...]:
    asked = {
        Control.SWAP: bool(table.swap),
        Control.BLIND: table.blind,
        Control.NO_SYSTEM: table.no_system,
        Control.SEED: table.seed,
    }
    return tuple(control for control, wanted in asked.items() if wanted)


def control_faults(table: ControlsTable, images: Sequence[SuiteImage], said: Callable[[str], Any]) -> Iterator[str]:
    """Why controls would show nothing of the case."""
    if (table.swap or table.blind) and not images:
        yield "The controls swap and blind need an image to withhold, and the case shows none."
    if table.no_system and not said("system"):
        yield "The control no_system needs a system prompt to withhold, and the case has none."
    if table.seed and said("temperature") == 0:
        yield "The control seed needs a temperature over 0: at 0 no answer depends on the seed."
    if table.seed and (said("repeats") or 1) < 2:
        yield "The control seed needs repeats = 2 at least: one seed shows nothing."


def turn_faults(
    turns: Sequence[Turn], tools: Sequence[Tool], controls: ControlsTable | None
) -> Iterator[tuple[int, str]]:
    """What is wrong with turns, each with its place."""
    offered = [tool.name for tool in tools]
    for index, turn in enumerate(turns):
        for name in turn.results:
            if name not in offered:
                yield (
                    index,
                    f'It tells what "{name}" returns, which the case does not offer{did_you_mean(name, offered)}.',
                )
        if turn.images and controls and controls.swap:
            yield index, "The control swap shows other images with the prompt alone: leave it out of a case like this."


def read_tools(tables: Sequence[ToolTable]) -> tuple[tuple[Tool, ...], list[tuple[tuple[int, str], str]]]:
    """The tools, and what is wrong with them: their place and key, and a sentence."""
    import jsonschema

    faults: list[tuple[tuple[int, str], str]] = []
    for index, table in enumerate(tables):
        try:
            jsonschema.validators.validator_for(table.parameters).check_schema(table.parameters)
        except jsonschema.SchemaError as error:
            sentence = f"The parameters of {table.name} are no JSON schema: {error.message}."
            faults.append(((index, "parameters"), sentence))
            continue
        if table.strict:
            try:
                prepare_parameters(table.name, table.parameters)
            except InvalidRequest as error:
                faults.append(((index, "parameters"), error.message))
    return tuple(Tool(**table.model_dump()) for table in tables), faults


def read_tool_choice(said: str | None, tools: Sequence[Tool]) -> tuple[ToolChoice, str]:
    """Whether tools may or must be called, and what is wrong with that as a sentence, "" for nothing."""
    if said is None:
        return ToolChoice(), ""
    offered = [tool.name for tool in tools]
    if not offered:
        return ToolChoice(), "tool_choice chooses among tools, and the case offers none."
    if said in offered:
        return ToolChoice(ToolMode.REQUIRED, said), ""
    if said in tuple(ToolMode):
        return ToolChoice(ToolMode(said)), ""
    known = [*offered, *ToolMode]
    told = f'tool_choice is auto, none, required, or a tool of the case: "{said}" is none{did_you_mean(said, known)}.'
    return ToolChoice(), told


def schema_fault(schema: Mapping[str, Any] | None) -> str:
    """Why no answer can be held to a schema, as a sentence; "" if one can."""
    import jsonschema

    if schema is None:
        return ""
    try:
        jsonschema.validators.validator_for(schema).check_schema(dict(schema))
        prepare_schema(schema, "json_schema", "json_schema")
    except jsonschema.SchemaError as error:
        return f"json_schema is no JSON schema: {error.message}."
    except InvalidRequest as error:
        return str(error)
    return ""


def with_sha(case: Case) -> Case:
    """The case with its digests: of what may change an answer, and of what may change its verdict as well."""
    asked: list[Any] = [
        case.id,
        case.prompt,
        case.system,
        [image.sha256 for image in case.images],
        tools_told(case.tools),
        vars(case.sampling),
        case.thinking,
        case.seed,
    ]
    if case.tool_choice != ToolChoice():
        asked.append(["tool_choice", case.tool_choice.mode, case.tool_choice.name])
    if case.json_schema is not None:
        asked.append(["json_schema", json.dumps(case.json_schema)])  # the order of its properties is the answer's
    judged: list[Any] = [
        {tier: to_json(expression) for tier, expression in case.expect.items()},
        {tier: vars(limits) for tier, limits in case.limits.items()},
        {where: vars(known) for where, known in case.xfail.items()},
        case.controls,
        [image.sha256 for image in case.swap],
    ]
    for turn in case.turns:
        asked.append([turn.user, [image.sha256 for image in turn.images], dict(turn.results)])
        judged.append({tier: to_json(expression) for tier, expression in turn.before.items()})
    return replace(case, sha=digest([asked, judged]), ask_sha=digest(asked))


def digest(content: Any) -> str:
    """Sixteen characters that change with the content, which is made of what JSON has."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def known_failures(table: XfailTable) -> dict[str, KnownFailure]:
    known = {name: getattr(table, name.replace("-", "_")) for name in (*Tier, *ROUTES)}
    return {str(name): KnownFailure(one.reason, tuple(one.checks)) for name, one in known.items() if one is not None}
