"""From a finished generation to its record: the checks, the limits, and the verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.calls.events import GenerationResult, Timing
from core.catalog import ModelInfo
from core.errors import EngineError
from core.golden.checks import Answer, Check, check, holds
from core.golden.plan import Planned
from core.golden.results import Attempt, Status, Verdict
from core.golden.suite import Control, Limits

RATE_TOKENS = 16
"""Answers of fewer tokens have no rate: the few steps say more of the moment than of the model."""


@dataclass(frozen=True)
class Circumstances:
    """What is known of an attempt besides its answer. `load_s` is seconds if the run loaded the model, else 0.

    `cold` says that nothing had been asked of the model before; `peak_bytes` is MLX's peak in this process, None for
    a server elsewhere; `precision` is the type in which the model computed, "" for a server elsewhere.
    """

    cold: bool = False
    load_s: float = 0.0
    peak_bytes: int | None = None
    precision: str = ""


def judge(planned: Planned, run: str, result: GenerationResult, around: Circumstances) -> Attempt:
    """The record of an answer that came."""
    finished = result.finished
    assert finished is not None, "a generation that ends without an error ends with Finished"
    answer = Answer.of(result)
    expected = planned.case.expected(planned.tier)
    limits = planned.case.limits.get(planned.tier, Limits())
    checks = check(expected, answer)
    if planned.control is None:
        checks += tuple(_limits(limits, finished.timing))
        verdict, why = _verdict(planned, checks)
    else:
        verdict, why = _control_verdict(planned.control, holds(expected, answer))
    usage = finished.usage
    common = _common(planned, run)
    common["model"] |= {"precision": around.precision or None}
    return Attempt(
        **common,
        status=Status.OK,
        verdict=verdict,
        why=why,
        sent=_sent(planned, finished.timing),
        answer=answer.text,
        reasoning=result.thinking or None,
        tool_calls=tuple(
            {"name": call.name, "arguments": call.arguments if call.parsed is None else call.parsed}
            for call in result.tool_calls
        ),
        finish=finished.reason.value,
        usage={
            "prompt": usage.prompt_tokens,
            "completion": usage.completion_tokens,
            "cached": usage.cached_tokens,
            "image": usage.image_tokens,
            "thinking": usage.thinking_tokens,
        },
        perf=_perf(finished.timing, usage.completion_tokens, around),
        checks=checks,
    )


def failed(planned: Planned, run: str, error: EngineError) -> Attempt:
    """The record of an attempt that did not come about: nothing is known of the model's answer."""
    return Attempt(
        **_common(planned, run),
        status=Status.ERROR,
        verdict=Verdict.ERROR,
        why=str(error),
        error={"code": error.code, "message": str(error)},
    )


def skipped(planned: Planned, run: str) -> Attempt:
    """The record of an attempt for which there is no model."""
    return Attempt(**_common(planned, run), status=Status.SKIPPED, verdict=Verdict.SKIP, why=planned.skip)


def _verdict(planned: Planned, checks: tuple[Check, ...]) -> tuple[Verdict, str]:
    passed = all(item.passed for item in checks)
    known = planned.case.xfail.get(planned.tier) or planned.case.xfail.get(planned.route)
    if known:
        return (Verdict.XPASS, f"passed, though: {known}") if passed else (Verdict.XFAIL, known)
    phrases = [phrase for item in checks if not item.passed for phrase in item.failed]
    return (Verdict.PASS, "") if passed else (Verdict.FAIL, "; ".join(phrases))


def _control_verdict(control: Control, held: bool) -> tuple[Verdict, str]:
    """A control passes when the check fails; how the answer ended says nothing about what the model saw."""
    if not held:
        return Verdict.PASS, ""
    shown = "another image was shown" if control is Control.SWAP else "no image was shown"
    return Verdict.FAIL, f"the check holds although {shown}"


def _limits(limits: Limits, timing: Timing) -> Iterator[Check]:
    """A check for each limit. Loading and queueing are not the model's doing and do not count."""
    waited = timing.load_s + timing.queued_s
    if limits.ttft_s is not None:
        yield _limit("ttft_s", limits.ttft_s, timing.ttft_s - waited, over=True)
    if limits.total_s is not None:
        yield _limit("total_s", limits.total_s, timing.total_s - waited, over=True)
    if limits.decode_tps is not None:
        yield _limit("decode_tps", limits.decode_tps, timing.decode_tps, over=False)


def _limit(name: str, limit: float, value: float, *, over: bool) -> Check:
    """A check that fails when the value is over the limit, or under it."""
    broken = value > limit if over else value < limit
    phrase = f"{name} is {value:.2f}, {'over' if over else 'under'} {limit:g}"
    return Check(name, {"limit": {name: limit}}, not broken, (), (phrase,) if broken else ())


def _common(planned: Planned, run: str) -> dict[str, Any]:
    return {
        "id": f"{run}.{planned.index:04d}",
        "key": planned.key,
        "case": planned.case.id,
        "case_sha": planned.case.sha,
        "tier": planned.tier.value,
        "route": planned.route,
        "repeat": planned.repeat,
        "control": planned.control.value if planned.control else None,
        "model": _model(planned.model) if planned.model else {},
    }


def _model(model: ModelInfo) -> dict[str, Any]:
    return {
        "id": model.id,
        "revision": model.revision,
        "quant": model.quantisation,
        "tokenizer_sha": _file_sha(model.path / "tokenizer.json"),
    }


@lru_cache(maxsize=32)
def _file_sha(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return None


def _sent(planned: Planned, timing: Timing) -> dict[str, Any]:
    case = planned.case
    prompt = f"{case.system or ''}\0{case.prompt}"
    return {
        "seed": planned.seed,
        "temperature": case.sampling.temperature,
        "top_p": case.sampling.top_p,
        "top_k": case.sampling.top_k,
        "max_tokens": case.sampling.max_tokens,
        "stop": list(case.sampling.stop),
        "thinking": case.thinking,
        "batch": timing.batch_size or None,
        "prompt_sha": hashlib.sha256(prompt.encode()).hexdigest()[:16],
        "images": [{"sha": image.sha256[:16], "w": image.width, "h": image.height} for image in planned.images],
    }


def _perf(timing: Timing, tokens: int, around: Circumstances) -> dict[str, Any]:
    """Times without loading, which stands by itself: the run's own load, or one that the request waited for."""
    return {
        "cold": around.cold,
        "load_s": round(around.load_s or timing.load_s, 4),
        "ttft_s": round(max(timing.ttft_s - timing.load_s, 0.0), 4),
        "total_s": round(max(timing.total_s - timing.load_s, 0.0), 4),
        "prefill_tps": round(timing.prefill_tps, 1),
        "decode_tps": round(timing.decode_tps, 1) if tokens >= RATE_TOKENS and timing.decode_tps else None,
        "peak_gb": None if around.peak_bytes is None else round(around.peak_bytes / 1e9, 3),
    }
