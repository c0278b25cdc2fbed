"""Lay out a run before it starts: every attempt with its model and seed, in an order that loads each model once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from core.catalog import ModelInfo
from core.golden.models import Choice, Chooser
from core.golden.nearest import did_you_mean
from core.golden.suite import Case, Control, Suite, SuiteError, SuiteImage, TierModels
from core.tiers import Tier

IN_FLIGHT = 4
"""Attempts of one model that are under way together."""

CONTEXT = 4096
"""Tokens of KV cache for which a model must fit beside the others."""


@dataclass(frozen=True)
class RunOptions:
    """What a run was asked for.

    `cases` are globs on case ids (none: all cases); `repeats` and `seed` stand in for the suite's when given.
    """

    routes: tuple[str, ...] = ("in-process",)
    cases: tuple[str, ...] = ()
    repeats: int | None = None
    seed: int | None = None
    controls: bool = False
    in_flight: int = IN_FLIGHT


@dataclass(frozen=True)
class Planned:
    """One attempt to come. `model` None means that it is skipped, for the reason in `skip`."""

    index: int
    case: Case
    tier: Tier
    route: str
    repeat: int
    seed: int
    model: ModelInfo | None
    control: Control | None = None
    skip: str = ""

    @property
    def key(self) -> str:
        """What makes it the same attempt in a resumed run."""
        model = self.model.id if self.model else ""
        control = self.control or ""
        return "|".join((self.case.id, self.case.sha, self.tier, model, self.route, str(self.repeat), control))

    @property
    def images(self) -> tuple[SuiteImage, ...]:
        """What the model is shown: the case's images, others, or none."""
        if self.control is None:
            return self.case.images
        return self.case.swap if self.control is Control.SWAP else ()


@dataclass(frozen=True)
class Stage:
    """Models that are in memory together, with their attempts; one route after the other."""

    models: tuple[ModelInfo, ...]
    attempts: tuple[Planned, ...]


@dataclass(frozen=True)
class Plan:
    """A run before it starts. `attempts` are in the order of the suite, `stages` in the order of work."""

    suite: Suite
    options: RunOptions
    attempts: tuple[Planned, ...]
    stages: tuple[Stage, ...] = field(default=())

    @property
    def skipped(self) -> tuple[Planned, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.model is None)

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Every model that will be asked, in the order of work."""
        return tuple(model for stage in self.stages for model in stage.models)


def make_plan(suite: Suite, choose: Chooser, options: RunOptions, memory_budget: int = 0) -> Plan:
    """Every attempt of a run. `memory_budget` is bytes for all models together; 0 means one model at a time.

    Raises SuiteError when no case matches.
    """
    cases = select(suite.cases, options.cases)
    attempts: list[Planned] = []
    for case in cases:
        for tier in Tier:
            choice = choose(case, tier, suite.tiers.get(tier, TierModels()))
            attempts.extend(_attempts(case, tier, choice, options, len(attempts)))
    return Plan(suite, options, tuple(attempts), tuple(_stages(attempts, memory_budget)))


def select(cases: Sequence[Case], globs: Iterable[str]) -> list[Case]:
    """The cases whose id matches one of the globs, wholly or in its last part; all without globs. Raises SuiteError."""
    patterns = list(globs)
    found = [case for case in cases if not patterns or any(_matches(case.id, pattern) for pattern in patterns)]
    if not found:
        near = did_you_mean(patterns[0], [case.id for case in cases]) if patterns else ""
        raise SuiteError(f"No case matches {' or '.join(patterns) or 'everything'}{near}.")
    return found


def _matches(case_id: str, pattern: str) -> bool:
    name = case_id.rsplit("/", 1)[-1]
    return any(fnmatchcase(part, pattern) for part in (case_id, name, case_id.split("#")[0], name.split("#")[0]))


def _attempts(case: Case, tier: Tier, choice: Choice, options: RunOptions, start: int) -> Iterator[Planned]:
    controls: list[Control | None] = [None]
    if options.controls:
        controls += [Control.SWAP] * bool(case.swap) + [Control.BLIND] * case.blind
    base = case.seed if options.seed is None else options.seed
    repeats = case.repeats if options.repeats is None else options.repeats
    index = start
    for control in controls:
        for route in options.routes:
            for repeat in range(repeats if control is None else 1):
                yield Planned(index, case, tier, route, repeat, base + repeat, choice.model, control, choice.reason)
                index += 1


def _stages(attempts: Sequence[Planned], budget: int) -> Iterator[Stage]:
    """Model-major: as many models at a time as fit into the budget together, in the order in which they come up.

    Within a stage the attempts go route by route, so that each route sees the same company in its batches.
    """
    models: Mapping[str, ModelInfo] = {attempt.model.id: attempt.model for attempt in attempts if attempt.model}
    groups: list[list[ModelInfo]] = []
    free = 0
    for model in models.values():
        if not groups or _bytes(model, free) > free:
            groups.append([])
            free = budget
        groups[-1].append(model)
        free -= _bytes(model, free)
    for group in groups:
        ids = {model.id for model in group}
        own = [attempt for attempt in attempts if attempt.model and attempt.model.id in ids]
        routes = list(dict.fromkeys(attempt.route for attempt in own))
        own.sort(key=lambda attempt: routes.index(attempt.route))
        yield Stage(tuple(group), tuple(own))


def _bytes(model: ModelInfo, free: int) -> int:
    """What the model is predicted to take where `free` bytes are; one of unknown size fills all there is."""
    _, memory = model.loaded_into(free)
    return memory.total(CONTEXT) if memory else 1 << 62
