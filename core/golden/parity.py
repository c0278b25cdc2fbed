"""Whether routes agree with one another, and each with what the engine witnessed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.catalog import short
from core.golden.results import Attempt, Status
from core.golden.suite import Gates

BEFORE, AFTER = 20, 40
"""Characters shown of two answers round their first difference."""

ENGINE = "the engine"
"""Who is named beside a route whose record and witness differ."""

ASKED = ("prompt_sha256", "images", "tools_sha256", "thinking", "model", "precision")
"""What witnesses of one question must have in common, whichever way it came; and, unless it is None on both sides, all
that was in force of the sampling."""


@dataclass(frozen=True)
class Break:
    """Two routes, or a route and the engine's witness, that do not agree in `what`."""

    case: str
    tier: str
    repeat: int
    routes: tuple[str, str]
    what: str
    values: tuple[Any, Any]
    control: str | None = None

    def __str__(self) -> str:
        left, right = map(str, self.values)
        pairs = enumerate(zip(left, right, strict=False))
        fork = next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))
        shown = " against ".join(repr(_excerpt(text, fork)) for text in (left, right))
        control = f", {self.control}" if self.control else ""
        where = f"{self.case} ({self.tier}{control})"
        return f"{where}: {' and '.join(self.routes)} differ in {self.what} at {fork}: {shown}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _excerpt(text: str, fork: int) -> str:
    """The text round the character from which two answers differ."""
    start, end = max(fork - BEFORE, 0), fork + AFTER
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


@dataclass(frozen=True)
class Parity:
    """How many answers were compared with the first route's and how many with their witness, and what differed.

    `claimed` is how many answers came without a witness.
    """

    compared: int = 0
    breaks: tuple[Break, ...] = ()
    witnessed: int = 0
    claimed: int = 0


def compare_routes(attempts: Iterable[Attempt], gates: Gates, *, own: bool = False) -> Parity:
    """Hold each route's answers against the first route's, and each answer's record against its witness. With `own`,
    every route leads to an engine of ours, so that an answer without a witness is a break as well.

    Attempts that did not come about are not compared, and answers that count on both tiers are compared once. Controls
    are held against their witnesses, and their prompts against the first route's; their answers are not compared.
    """
    came = [attempt for attempt in attempts if attempt.status is Status.OK and attempt.same_as is None]
    groups: dict[tuple[str, str, str, int, str | None], list[Attempt]] = {}
    for attempt in came:
        if attempt.route in gates.parity_routes:
            key = (attempt.case, attempt.tier, attempt.model_id, attempt.repeat, attempt.control)
            groups.setdefault(key, []).append(attempt)
    pairs = [(first, other) for first, *others in groups.values() for other in others]
    found = [difference for pair in pairs for difference in _differences(*pair, gates.parity_level)]
    witnessed = [attempt for attempt in came if attempt.witness is not None]
    found += [difference for attempt in witnessed for difference in _against_witness(attempt)]
    for attempt in came if own else ():
        if attempt.witness is None:
            found += _unequal(attempt, (attempt.route, ENGINE), [("witness", "none", "one")])
    compared = sum(first.control is None for first, _ in pairs)
    return Parity(compared, tuple(found), len(witnessed), len(came) - len(witnessed))


def _differences(first: Attempt, other: Attempt, level: str) -> Iterator[Break]:
    """With the level "checks" only the outcome of the checks counts, with "text" all that was said, to the letter, and
    why it ended, with "tokens" also the ids of the answer's tokens. What was asked has to be the same in any case."""
    pairs: list[tuple[str, Any, Any]] = []
    one, two = first.witness, other.witness
    if one and two:
        pairs += [(name, one.get(name), two.get(name)) for name in ASKED]
        pairs.append(("sampling", _plain(one["sampling"]), _plain(two["sampling"])))
    if first.control is None:
        if level == "checks":
            left, right = ([item.passed for item in attempt.checks] for attempt in (first, other))
            pairs.append(("checks", left, right))
        else:
            pairs.append(("answer", first.answer, other.answer))
            pairs.append(("tool_calls", list(first.tool_calls), list(other.tool_calls)))
            pairs.append(("finish", first.finish, other.finish))
            pairs.append(("thinking", first.reasoning or "", other.reasoning or ""))
        if level == "tokens" and one and two:
            pairs.append(("tokens", one["completion_sha256"], two["completion_sha256"]))
    yield from _unequal(first, (first.route, other.route), pairs)


def _against_witness(attempt: Attempt) -> Iterator[Break]:
    """What a record says that its witness does not bear out."""
    told = attempt.witness
    assert told is not None
    sent, usage = attempt.sent, attempt.usage
    pairs: list[tuple[str, Any, Any]] = [
        ("prompt tokens", usage.get("prompt"), told["prompt_tokens"]),
        ("completion tokens", usage.get("completion"), told["completion_tokens"]),
        ("cached tokens", usage.get("cached"), told["cached_tokens"]),
        ("thinking tokens", usage.get("thinking"), told["thinking_tokens"]),
        ("messages", sent["messages"], told["messages"]),
        ("text left out of the prompt", [], told["unread"]),
        ("tools", sent["tools_sha256"], told["tools_sha256"]),
        ("thinking", sent["thinking"], told["thinking"]),
        ("images", [item["sha"] for item in sent["images"]], [item["sha256"] for item in told["images"]]),
        ("finish", "length" if attempt.finish == "length" else "stop", told["finish"]),
        *((name.removesuffix("_sha256"), came, told[name]) for name, came in attempt.came.items()),
    ]
    counts = [item["tokens"] for item in told["images"]]
    if attempt.route == "in-process" and None not in counts:  # the protocols do not tell of it
        pairs.append(("image tokens", usage.get("image"), sum(counts)))
    for name in ("seed", "temperature", "top_p", "top_k", "max_tokens", "stop"):
        if sent.get(name) is not None:
            pairs.append((name, sent[name], told["sampling"].get(name)))
    if attempt.model.get("fingerprint"):
        pairs.append(("model files", attempt.model["fingerprint"], short(told["model"])))
    yield from _unequal(attempt, (attempt.route, ENGINE), pairs)


def _unequal(attempt: Attempt, routes: tuple[str, str], pairs: Iterable[tuple[str, Any, Any]]) -> Iterator[Break]:
    for what, left, right in pairs:
        if _plain(left) != _plain(right):
            yield Break(attempt.case, attempt.tier, attempt.repeat, routes, what, (left, right), attempt.control)


def _plain(value: Any) -> Any:
    """The value as JSON has it: a tuple is a list, and names are strings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
