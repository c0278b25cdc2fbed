"""Tables of golden.toml and of a sidecar, made into what a suite and a case hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.golden.schema import Bounds, ControlsTable, GatesTable, LimitsTable, XfailTable
from core.golden.suite import ROUTES, Control, Gates, KnownFailure, Limits, SuiteImage
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


def known_failures(table: XfailTable) -> dict[str, KnownFailure]:
    known = {name: getattr(table, name.replace("-", "_")) for name in (*Tier, *ROUTES)}
    return {str(name): KnownFailure(one.reason, tuple(one.checks)) for name, one in known.items() if one is not None}
