"""The keys that golden.toml and the sidecars may hold, with their types and ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from core.golden.rates import Metric


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[list[str], BeforeValidator(_one_or_more)]
"""A list of texts; a single text stands for a list of one."""


SEEDS = 2**63 - 1000
"""A seed is less: the protocols take 63 bits, and each repeat adds 1."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Knobs(_Table):
    """How an answer is generated: allowed in [defaults], at the top of a sidecar, and in a [[case]]."""

    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: Texts | None = None
    thinking: bool | None = None
    seed: int | None = Field(default=None, ge=0, lt=SEEDS)
    repeats: int | None = Field(default=None, ge=1, le=1000)


class ToolTable(_Table):
    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False


def _images_or_flag(value: Any) -> Any:
    images = [value] if isinstance(value, str) else value
    if isinstance(images, bool) or (isinstance(images, list) and images and all(isinstance(x, str) for x in images)):
        return images
    raise ValueError("it is true, false, an image file or a list of image files")


class ControlsTable(_Table):
    swap: Annotated[Any, BeforeValidator(_images_or_flag)] = False
    """True for other images of the suite, else the files to show."""
    blind: bool = False
    no_system: bool = False
    seed: bool = False


class Bounds(_Table):
    """Seconds that may pass at most, and tokens per second that are wanted at least."""

    ttft_s: float | None = Field(default=None, gt=0)
    total_s: float | None = Field(default=None, gt=0)
    decode_tps: float | None = Field(default=None, gt=0)


class LimitsTable(Bounds):
    quick: Bounds = Bounds()
    full: Bounds = Bounds()


class KnownTable(_Table):
    """Why it fails, and which checks alone may."""

    reason: str = Field(min_length=1)
    checks: Texts = []


def _everywhere(value: Any) -> Any:
    """One reason, or one with its checks, for both tiers."""
    if isinstance(value, str) or (isinstance(value, dict) and "reason" in value):
        return {"quick": value, "full": value}
    return value


Known = Annotated[
    KnownTable | None, BeforeValidator(lambda value: {"reason": value} if isinstance(value, str) else value)
]


class XfailTable(_Table):
    """The reason for each tier or route that is known to fail; a single one stands for both tiers."""

    quick: Known = None
    full: Known = None
    in_process: Known = Field(default=None, alias="in-process")
    openai: Known = None
    responses: Known = None
    anthropic: Known = None


class TurnTable(_Table):
    """A question, or what tools return; `expect` is of the answer to it."""

    user: str | None = Field(default=None, min_length=1)
    images: Texts | None = None
    results: dict[str, str] | None = Field(default=None, min_length=1)
    expect: Any = None

    @model_validator(mode="after")
    def _one_kind(self) -> TurnTable:
        if (self.user is None) == (self.results is None):
            raise ValueError("a turn has either user, a question, or results, what tools return")
        if self.images is not None and self.user is None:
            raise ValueError("images go with a question: name them beside user")
        return self


def _values(value: Any) -> Any:
    """The values of a variable as texts; a single one stands for a list of one."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise ValueError("a variable is a text, a number, or a list of them")
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
    if len(set(texts)) < len(texts):
        raise ValueError("a value comes twice")
    return texts


Variable = Annotated[list[str], BeforeValidator(_values)]


class CaseKeys(Knobs):
    """What both a sidecar and a [[case]] may say; the case has the last word, of variables for each by itself."""

    vars: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Variable] | None = None
    system: str | None = None
    images: Texts | None = None
    turns: list[TurnTable] | None = None
    tools: list[ToolTable] | None = None
    tool_choice: str | None = Field(default=None, min_length=1)
    json_schema: dict[str, Any] | None = None
    expect: Any = None
    limits: LimitsTable | None = None
    xfail: Annotated[XfailTable | None, BeforeValidator(_everywhere)] = None
    controls: ControlsTable | None = None


class CaseTable(CaseKeys):
    id: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")


class Sidecar(CaseKeys):
    case: list[CaseTable] = []


def _for_both_kinds(value: Any) -> Any:
    return value if isinstance(value, dict) else {"vision": value, "text": value}


class KindTable(_Table):
    """Models for prompts with images, and for those without; a list or a text stands for both."""

    vision: Texts = []
    text: Texts = []


class TiersTable(_Table):
    quick: Annotated[KindTable, BeforeValidator(_for_both_kinds)] = KindTable()
    full: Annotated[KindTable, BeforeValidator(_for_both_kinds)] = KindTable()


def _metric(value: Any) -> Any:
    return Metric.parse(value) if isinstance(value, str) else value


class GateTable(_Table):
    """`pass` is what a tier's cases must come to on average, by `metric`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    passing: float = Field(default=1.0, alias="pass", ge=0, le=1)
    metric: Annotated[Metric, BeforeValidator(_metric)] = Metric()
    max_regressions: int | None = Field(default=None, ge=0)


class ParityTable(_Table):
    routes: list[Literal["in-process", "openai", "responses", "anthropic"]] = Field(
        default=["in-process", "openai", "responses", "anthropic"], min_length=2
    )
    level: Literal["tokens", "text", "checks"] = "text"


class GatesTable(_Table):
    quick: GateTable = GateTable()
    full: GateTable = GateTable()
    parity: ParityTable = ParityTable()


class GoldenToml(_Table):
    format: Literal[1] = 1
    defaults: Knobs = Knobs()
    tiers: TiersTable = TiersTable()
    gates: GatesTable = GatesTable()
