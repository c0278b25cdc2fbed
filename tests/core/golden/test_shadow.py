"""Two answers to one request: what they have in common, what all of them come to, and whether it is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.calls.events import Finished, FinishReason, GenerationResult, Timing, ToolCall, Usage
from core.calls.requests import GenerationRequest, Sampling
from core.golden.outcome import ExitCode
from core.golden.shadow import Likeness, Pair, Summary, compare, request_digest, work_s
from tests.core.golden.test_draft import WEATHER, answered, asked

PARIS = asked("What is the capital of France?")
JSON = asked("JSON", json_schema={"type": "object", "properties": {"a": {"type": "integer"}}})


def called(arguments: str, name: str = "get_weather") -> GenerationResult:
    return answered(calls=(ToolCall("1", name, arguments),), reason=FinishReason.TOOL_CALLS)


@pytest.mark.parametrize(
    ("request_", "theirs", "other", "likeness"),
    [
        (PARIS, answered("Paris."), answered("Paris. "), Likeness.TEXT),
        (PARIS, answered("It is Paris."), answered("Paris!"), Likeness.HOLDS),
        (PARIS, answered("It is Paris."), answered("Lyon."), Likeness.DIFFERS),
        (PARIS, answered("It is Paris."), answered("It is Paris", FinishReason.LENGTH), Likeness.DIFFERS),
        (PARIS, answered("It is a", FinishReason.LENGTH), answered("It is Paris."), Likeness.UNTOLD),
        (asked("Say it"), answered("it"), answered("Say it."), Likeness.UNTOLD),
        (asked("Weather?", tools=(WEATHER,)), called('{"city":"Paris"}'), called('{"city": "Paris"}'), Likeness.CALLS),
        (asked("Weather?", tools=(WEATHER,)), called('{"city":"Paris"}'), called('{"city": "Rome"}'), Likeness.DIFFERS),
        (asked("Weather?", tools=(WEATHER,)), called('{"city":"Paris"}'), answered("Sunny."), Likeness.DIFFERS),
        (asked("Weather?", tools=(WEATHER,)), answered("Sunny."), called('{"city": "Rome"}'), Likeness.DIFFERS),
        (JSON, answered('{"a": 1}'), answered('{ "a": 1 }'), Likeness.TEXT),
        (JSON, answered('{"a": 1}'), answered('{"a": 2}'), Likeness.DIFFERS),
    ],
)
def test_what_two_answers_have_in_common(
    request_: GenerationRequest, theirs: GenerationResult, other: GenerationResult, likeness: Likeness
) -> None:
    found = compare(request_, theirs, other)
    assert found.likeness is likeness
    assert bool(found.missed) == (likeness is Likeness.DIFFERS)


def pair(request: GenerationRequest, theirs: str, other: str | None) -> Pair:
    return Pair("r", "codex", request, answered(theirs), None if other is None else answered(other))


def test_what_all_come_to() -> None:
    pairs = [pair(PARIS, "Paris.", "Paris."), pair(PARIS, "It is Paris.", "Paris"), pair(PARIS, "Paris", "Lyon")]
    whole = Summary.of("small", pairs)
    assert whole.sentence() == (
        "small would have answered 2 of 3 requests as m did: 1 with the same text, "
        "1 with another text that meets the checks proposed from the first."
    )
    assert (whole.code(1.0), whole.code(0.6)) == (ExitCode.FAILED, ExitCode.HOLDS)
    failed = Summary.of("small", [*pairs[:2], pair(PARIS, "Paris", None)])
    assert (failed.code(1.0), failed.failed) == (ExitCode.INFRASTRUCTURE, 1)
    untold = Summary.of("small", [pair(asked("Say it"), "it", "Say it.")])
    assert untold.code(1.0) is ExitCode.INFRASTRUCTURE
    assert untold.sentence() == "Nothing tells whether small would have answered as m did."
    assert Summary.of("small", []).code(1.0) is ExitCode.INFRASTRUCTURE


def test_waiting_and_loading_are_not_work() -> None:
    timing = Timing(queued_s=2.0, load_s=3.0, total_s=6.0)
    assert work_s(replace(answered("x"), finished=Finished(FinishReason.STOP, Usage(), timing))) == 1.0


def test_equal_requests_are_known_whatever_their_number() -> None:
    assert request_digest(PARIS) == request_digest(replace(PARIS, id="other", source="anthropic"))
    for other in (replace(PARIS, model="n"), replace(PARIS, sampling=Sampling(top_k=1))):
        assert request_digest(other) != request_digest(PARIS)
