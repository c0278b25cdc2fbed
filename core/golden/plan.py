"""Lay out a run before it starts: every attempt with its model and seed, in an order that loads each model once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from core.calls.requests import Message, Role
from core.catalog import ModelInfo, fingerprint, short
from core.golden.models import Choice, Chooser
from core.golden.nearest import did_you_mean
from core.golden.rates import Metric
from core.golden.suite import Case, Control, Suite, SuiteError, SuiteImage, TierModels, Turn
from core.media.images import ImageData
from core.tiers import Tier

IN_FLIGHT = 8
"""Attempts of one model that are under way together."""

CONTEXT = 4096
"""Tokens of KV cache for which a model must fit beside the others."""


@dataclass(frozen=True)
class RunOptions:
    """What a run was asked for.

    `cases` are globs on case ids (none: all cases), and `ids`, where it is given, leaves only those of them. Each of
    `models` is asked every case; without any, the tiers say who answers. `repeats`, `seed` and `metric` stand in for
    the suite's when given. `isolated` asks for times of a model alone: one attempt at a time, one model in memory.
    """

    routes: tuple[str, ...] = ("in-process",)
    cases: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    models: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = tuple(Tier)
    repeats: int | None = None
    seed: int | None = None
    controls: bool = True
    metric: str | None = None
    isolated: bool = False
    in_flight: int = IN_FLIGHT


@dataclass(frozen=True)
class Planned:
    """One attempt to come. `model` None means that it is skipped, for the reason in `skip`.

    `same_as` is the index of another attempt that asks the same model the same: it is asked once, for both tiers.
    `fingerprint` tells the model's files apart from others of its name; "" for one that is not on this disk. `wanted`
    is the id of the model that was asked for by name.
    """

    index: int
    case: Case
    tier: Tier
    route: str
    repeat: int
    seed: int
    model: ModelInfo | None
    control: Control | None = None
    skip: str = ""
    same_as: int | None = None
    fingerprint: str = ""
    wanted: str = ""

    @property
    def place(self) -> tuple[str, Tier, str, str]:
        """What a case's attempts have in common with its controls: case, tier, route, model."""
        return self.case.id, self.tier, self.route, self.model.id if self.model else self.wanted

    @property
    def key(self) -> str:
        """What makes it the same attempt in a resumed run: all that may change the answer."""
        model = f"{self.model.id}@{self.fingerprint}" if self.model else self.wanted
        turns = (image for turn in self.case.turns for image in self.images_of(turn))
        shown = ",".join(image.sha256[:16] for image in (*self.images, *turns))
        control, count = self.control or "", str(self.repeat)
        return "|".join(
            (self.case.id, self.case.ask_sha, self.tier, model, self.route, count, str(self.seed), control, shown)
        )

    @staticmethod
    def cases_of(keys: Iterable[str]) -> frozenset[str]:
        """The ids of the cases in keys of attempts."""
        return frozenset(key.rsplit("|", 8)[0] for key in keys)

    @property
    def images(self) -> tuple[SuiteImage, ...]:
        """What the model is shown: the case's images, others, or none."""
        match self.control:
            case Control.SWAP:
                return self.case.swap
            case Control.BLIND:
                return ()
            case _:
                return self.case.images

    def images_of(self, turn: Turn) -> tuple[SuiteImage, ...]:
        """What the model is shown in a later turn."""
        return () if self.control is Control.BLIND else turn.images

    @property
    def system(self) -> str | None:
        """The system prompt that is sent."""
        return None if self.control is Control.NO_SYSTEM else self.case.system

    def messages(self, *images: ImageData) -> tuple[Message, ...]:
        """What is sent first, with the images that have been read."""
        system = (Message.text(Role.SYSTEM, self.system),) if self.system else ()
        return (*system, Message.text(Role.USER, self.case.prompt, *images))


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
    def parity_left_out(self) -> tuple[str, ...]:
        """Routes that the suite itself declares must agree, and that this run does not take."""
        gates = self.suite.gates
        return tuple(name for name in gates.parity_routes if gates.parity_declared and name not in self.options.routes)

    @property
    def controls_left_out(self) -> int:
        """How many cases declare controls that this run does not ask."""
        cases = {attempt.case.id for attempt in self.attempts if attempt.case.controls}
        return 0 if self.options.controls else len(cases)

    @property
    def cases_left_out(self) -> int:
        """How many cases of the suite this run does not ask."""
        return len(self.suite.cases) - len({attempt.case.id for attempt in self.attempts})

    @property
    def skipped(self) -> tuple[Planned, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.model is None)

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Every model that will be asked, in the order of work."""
        return tuple(model for stage in self.stages for model in stage.models)


def on_this_disk(model: ModelInfo) -> str:
    """A model's files in a few characters; "" for those that cannot be read."""
    try:
        return short(fingerprint(model))
    except (OSError, ValueError):
        return ""


def answering(suite: Suite, choose: Chooser) -> dict[tuple[str, Tier], str]:
    """By case and tier, the id of the model that would answer; nothing where none can."""
    chosen = {(case.id, tier): _chosen(suite, case, tier, choose).model for case in suite.cases for tier in Tier}
    return {place: model.id for place, model in chosen.items() if model is not None}


def _chosen(suite: Suite, case: Case, tier: Tier, choose: Chooser, wanted: str = "") -> Choice:
    named = TierModels((wanted,), (wanted,)) if wanted else suite.tiers.get(tier, TierModels())
    return choose(case, tier, named)


def make_plan(
    suite: Suite,
    choose: Chooser,
    options: RunOptions,
    memory_budget: int = 0,
    fingerprint_of: Callable[[ModelInfo], str] = on_this_disk,
) -> Plan:
    """Every attempt of a run. `memory_budget` is bytes for all models together; 0 means one model at a time.
    `fingerprint_of` tells a model's files apart from others of its name.

    Raises SuiteError when no case matches, one is not asked often enough for the metric, or there is no such metric.
    """
    cases = select(suite.cases, options.cases, options.ids)
    suite = with_metric(suite, options.metric)
    _check_repeats(cases, suite, options)
    attempts: list[Planned] = []
    prints: dict[str, str] = {}
    for case in cases:
        before: dict[str, int] = {}
        for tier, wanted in itertools.product(options.tiers, options.models or ("",)):
            choice = _chosen(suite, case, tier, choose, wanted)
            found = list(_attempts(case, tier, choice, options, len(attempts), wanted))
            if choice.model is not None:
                twin = before.setdefault(choice.model.id, len(attempts))
                shift = None if twin == len(attempts) else len(attempts) - twin
                if choice.model.id not in prints:
                    prints[choice.model.id] = fingerprint_of(choice.model)
                found = [
                    replace(one, fingerprint=prints[choice.model.id], same_as=one.index - shift if shift else None)
                    for one in found
                ]
            attempts.extend(found)
    budget = 0 if options.isolated else memory_budget
    return Plan(suite, options, tuple(attempts), tuple(_stages(attempts, budget)))


def with_metric(suite: Suite, metric: str | None) -> Suite:
    """The suite with another metric for both tiers, if there is one. Raises SuiteError for one that there is not."""
    if metric is None:
        return suite
    try:
        chosen = Metric.parse(metric)
    except ValueError as error:
        raise SuiteError(f"--metric cannot be used: {error}.") from error
    return replace(suite, gates=replace(suite.gates, metrics=dict.fromkeys(Tier, chosen)))


def _check_repeats(cases: Iterable[Case], suite: Suite, options: RunOptions) -> None:
    """A chance of k tries needs k tries."""
    for tier in options.tiers:
        metric = suite.gates.metrics.get(tier, Metric())
        for case in cases:
            repeats = case.repeats if options.repeats is None else options.repeats
            if repeats < metric.k and case.sampling.temperature != 0:
                raise SuiteError(
                    f"{metric} needs each case asked {metric.k} times, and {case.id} is asked {repeats} times on the "
                    f"{tier} tier: raise its repeats, or run with --repeats {metric.k}."
                )


def select(cases: Sequence[Case], globs: Iterable[str], ids: Collection[str] | None = None) -> list[Case]:
    """The cases whose id matches one of the globs, wholly or in its last part; all without globs. With `ids`, only
    those of them. Raises SuiteError when there is none."""
    patterns = list(globs)
    found = [case for case in cases if not patterns or any(matches(case.id, pattern) for pattern in patterns)]
    if found and ids is not None:
        found = [case for case in found if case.id in ids]
        if not found:
            raise SuiteError(f"None of these cases is meant: {', '.join(sorted(ids)) or 'none at all'}.")
    if not found:
        near = did_you_mean(patterns[0], [case.id for case in cases]) if patterns else ""
        raise SuiteError(f"No case matches {' or '.join(patterns) or 'everything'}{near}.")
    return found


def matches(case_id: str, pattern: str) -> bool:
    """Whether a glob fits an id, wholly or in its last part, with or without what stands behind #."""
    name = case_id.rsplit("/", 1)[-1]
    return any(fnmatchcase(part, pattern) for part in (case_id, name, case_id.split("#")[0], name.split("#")[0]))


def _attempts(
    case: Case, tier: Tier, choice: Choice, options: RunOptions, start: int, wanted: str
) -> Iterator[Planned]:
    controls: list[Control | None] = [None, *(case.controls if options.controls else ())]
    base = case.seed if options.seed is None else options.seed
    repeats = case.repeats if options.repeats is None else options.repeats
    index = start
    for control in controls:
        for route in options.routes:
            for repeat in range(repeats if control is None else 1):
                yield Planned(
                    index, case, tier, route, repeat, base + repeat, choice.model, control, choice.reason, wanted=wanted
                )
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
        own = [one for one in attempts if one.model and one.model.id in ids and one.same_as is None]
        routes = list(dict.fromkeys(attempt.route for attempt in own))
        own.sort(key=lambda attempt: routes.index(attempt.route))
        yield Stage(tuple(group), tuple(own))


def _bytes(model: ModelInfo, free: int) -> int:
    """What the model is predicted to take where `free` bytes are; one of unknown size fills all there is."""
    _, memory = model.loaded_into(free)
    return memory.total(CONTEXT) if memory else 1 << 62
