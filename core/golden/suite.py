"""A golden suite as data: its cases, what each tier expects of them, and which models stand for the tiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.calls.requests import Sampling, Tool, ToolChoice
from core.errors import EngineError
from core.golden.expressions import SMOKE, AllOf, CallsTool, Expression
from core.golden.rates import Metric
from core.tiers import Tier

BUILTIN = Path(__file__).parent / "builtin"
"""The suite that a run takes when none is named."""

ROUTES = ("in-process", "openai", "responses", "anthropic")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a suite. `line` counts from 1; a warning does not stop a run."""

    message: str
    file: Path
    line: int | None = None
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.message}"


class SuiteError(EngineError):
    """The suite cannot be run: `problems` holds every fault with its file and line."""

    code = "suite_error"

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True)
class SuiteImage:
    """An image of a case, known by its content. Width and height are pixels."""

    path: Path
    sha256: str
    width: int
    height: int


class Control(StrEnum):
    """A case asked once more, to see whether its pass means anything.

    In the first three the check must fail, because the model cannot know the answer. `SEED` asks again with the first
    repeat's seed: that answer must come again, and the other seeds' answers must not all be the same.
    """

    SWAP = "swap"
    BLIND = "blind"
    NO_SYSTEM = "no-system"
    SEED = "seed"


@dataclass(frozen=True)
class Limits:
    """Seconds at most, and decoded tokens per second at least; None is no limit."""

    ttft_s: float | None = None
    total_s: float | None = None
    decode_tps: float | None = None


@dataclass(frozen=True)
class KnownFailure:
    """A failure that is expected, for a reason; with `checks`, only of those: a check's name, or a leaf of the
    expectation as `describe` words it."""

    reason: str
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """What follows an answer: a question with its images, or what the tools return that the answer has called, by name.

    `before` is what the answer must be that it follows, on each tier.
    """

    user: str | None = None
    images: tuple[SuiteImage, ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[Tier, Expression] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is sent, for a person to read."""
        return self.user or "\n".join(f"{name} returns {value}" for name, value in self.results.items())

    def expected_before(self, tier: Tier) -> Expression:
        """What the tier expects of the answer that it follows: calls of its tools, or any answer, where nothing was
        written."""
        calls = tuple(CallsTool(name, {}, only=False) for name in self.results)
        return self.before.get(tier, AllOf(calls) if calls else SMOKE)


@dataclass(frozen=True)
class Case:
    """One prompt with what is expected of the answer; where `turns` follow the prompt, `expect` is of the last answer.

    `id` is the prompt file's path in the suite without its ending, plus `#` and the [[case]]'s id where there are
    several. `sha` changes with anything that may change the answer or its verdict, `ask_sha` with what may change the
    answer. `controls` are those that the suite declares, and `swap` holds the images of the swap control. `file` and
    `line` say where a person wrote it.
    """

    id: str
    file: Path
    line: int | None
    prompt: str
    system: str | None = None
    images: tuple[SuiteImage, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    json_schema: Mapping[str, object] | None = None
    """What the answer is held to while it is written."""
    sampling: Sampling = field(default_factory=Sampling)
    thinking: bool | None = None
    seed: int = 0
    repeats: int = 1
    expect: Mapping[Tier, Expression] = field(default_factory=dict)
    limits: Mapping[Tier, Limits] = field(default_factory=dict)
    xfail: Mapping[str, KnownFailure] = field(default_factory=dict)
    """By tier, or by route."""
    controls: tuple[Control, ...] = ()
    swap: tuple[SuiteImage, ...] = ()
    sha: str = ""
    ask_sha: str = ""

    @property
    def all_images(self) -> tuple[SuiteImage, ...]:
        """The images of all turns."""
        return (*self.images, *(image for turn in self.turns for image in turn.images))

    def expected(self, tier: Tier) -> Expression:
        """What the tier expects; a non-empty answer where nothing was written."""
        return self.expect.get(tier, SMOKE)


@dataclass(frozen=True)
class TierModels:
    """Ids to try in this order, for cases with images and for those without."""

    vision: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gates:
    """What each tier must reach, how many cases of it may regress, and the routes that must agree, and in what.
    `max_regressions` lacks tiers of which the suite says nothing; `parity_declared` says that the suite asks for parity
    itself."""

    passing: Mapping[Tier, float] = field(default_factory=dict)
    metrics: Mapping[Tier, Metric] = field(default_factory=dict)
    parity_routes: tuple[str, ...] = ROUTES
    parity_level: str = "text"
    parity_declared: bool = False
    max_regressions: Mapping[Tier, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """A parsed suite; `tiers` lacks a tier for which golden.toml names no model, `sha` covers cases and golden.toml."""

    name: str
    path: Path
    cases: tuple[Case, ...]
    tiers: Mapping[Tier, TierModels] = field(default_factory=dict)
    gates: Gates = field(default_factory=Gates)
    sha: str = ""
