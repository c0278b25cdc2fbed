"""Records as a run makes them, for tests that judge, keep and weigh them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.calls.events import RATE_TOKENS, Finished, FinishReason, GenerationResult, Timing, Usage
from core.calls.requests import Sampling
from core.catalog import ModelInfo, ModelKind
from core.golden import verdict as verdicts_of
from core.golden.conversation import Conversation
from core.golden.expressions import parse_expression
from core.golden.plan import Planned
from core.golden.record import Circumstances, answered
from core.golden.results import Attempt, Verdict
from core.golden.suite import Case
from core.tiers import Tier

MODEL = ModelInfo("m", Path("/nowhere"), "folder", ModelKind.TEXT, "test", revision="r1", quantisation="4-bit")


def planned(expect: Any = "red", **changes: Any) -> Planned:
    case = Case(
        id="p#a",
        file=Path("p.txt"),
        line=None,
        prompt="What colour?",
        sampling=Sampling(temperature=0.0, max_tokens=9),
        expect=dict.fromkeys(Tier, parse_expression(expect)),
        sha="c0ffee",
        ask_sha="beef",
        **{name: changes.pop(name) for name in ("limits", "xfail") if name in changes},
    )
    values = {
        "tier": Tier.FULL,
        "route": "openai",
        "repeat": 0,
        "seed": 5,
        "model": MODEL,
        "fingerprint": "f1",
    } | changes
    return Planned(3, case, **values)


def said(
    text: str, finish: FinishReason = FinishReason.STOP, tokens: int = RATE_TOKENS, **timing: float
) -> GenerationResult:
    result = GenerationResult(text=text, thinking="hm")
    usage = Usage(prompt_tokens=11, completion_tokens=tokens)
    result.finished = Finished(finish, usage, Timing(ttft_s=0.5, total_s=1.0, decode_tps=40.0, batch_size=2, **timing))
    return result


def judge(planned: Planned, run: str, result: GenerationResult, around: Circumstances, *shown: Attempt) -> Attempt:
    return verdicts_of.weigh(
        planned, answered(planned, run, Conversation.of(planned.messages(), result), around), shown
    )


def attempt(text: str = "red", verdict: Verdict = Verdict.PASS, **changes: Any) -> Attempt:
    return replace(judge(planned(), "run", said(text), Circumstances()), verdict=verdict, **changes)
