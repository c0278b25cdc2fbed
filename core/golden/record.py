"""From a finished generation to its record: what was sent, what the engine witnessed, what came back, and how fast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.calls.events import RATE_TOKENS, GenerationResult, Timing, Usage
from core.calls.witness import calls_sha256, message_sha256, text_sha256, tools_sha256
from core.errors import EngineError
from core.golden.checks import final_answer
from core.golden.conversation import Conversation
from core.golden.plan import Planned
from core.golden.results import Attempt, Status, Verdict
from core.golden.verdict import CACHED, WARM_SHARE


@dataclass(frozen=True)
class Circumstances:
    """What is known of an attempt besides its answer. `load_s` is seconds if the run loaded the model, else 0.

    `loaded` says that the run had loaded the model and asked it nothing before; `peak_bytes` is MLX's peak in this
    process, None for a server elsewhere; `precision` is the type in which the model computed, "" for one elsewhere.
    """

    loaded: bool = False
    load_s: float = 0.0
    peak_bytes: int | None = None
    precision: str = ""


def answered(planned: Planned, run: str, said: Conversation, around: Circumstances) -> Attempt:
    """The record of an answer that came, not judged yet: the last of a conversation, with those before it."""
    result = said.results[-1]
    finished = result.finished
    assert finished is not None, "a generation that ends without an error ends with Finished"
    usage, witness = finished.usage, finished.witness
    common = _common(planned, run)
    precision = around.precision or (witness.precision if witness else "")
    common["model"] |= {"precision": precision or None}
    return Attempt(
        **common,
        status=Status.OK,
        verdict=Verdict.FAIL,
        sent=_sent(planned, said),
        witness=witness.to_json() if witness else None,
        came={
            "text_sha256": text_sha256(result.text),
            "thinking_sha256": text_sha256(result.thinking),
            "calls_sha256": calls_sha256((call.name, call.arguments) for call in result.tool_calls),
        },
        turns=tuple(_came(earlier) | {"finish": _finish(earlier)} for earlier in said.results[:-1]),
        **_came(result),
        finish=_finish(result),
        usage=_usage(usage),
        perf=_perf(finished.timing, usage, around, claimed=witness is None),
    )


def _came(result: GenerationResult) -> dict[str, Any]:
    """What was said."""
    calls = (
        {"name": call.name, "arguments": call.arguments if call.parsed is None else call.parsed}
        for call in result.tool_calls
    )
    return {
        "answer": final_answer(result.text),
        "reasoning": result.thinking or None,
        "tool_calls": tuple(calls),
    }


def _finish(result: GenerationResult) -> str:
    finished = result.finished
    return (finished.said or finished.reason.value) if finished else ""


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
        "cached": usage.cached_tokens,
        "image": usage.image_tokens,
        "thinking": usage.thinking_tokens,
    }


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


def adopt(record: Attempt, planned: Planned, run: str) -> Attempt:
    """Another record's answer as that of an attempt that is planned now, not judged yet: of the other tier, or of the
    run that is resumed."""
    own = _common(planned, run)
    return replace(record, **own | {"model": {**record.model, **own["model"]}})


def attempt_id(run: str, index: int) -> str:
    """The name of an attempt within its run."""
    return f"{run}.{index:04d}"


def _common(planned: Planned, run: str) -> dict[str, Any]:
    return {
        "id": attempt_id(run, planned.index),
        "key": planned.key,
        "case": planned.case.id,
        "case_sha": planned.case.sha,
        "ask_sha": planned.case.ask_sha,
        "tier": planned.tier.value,
        "route": planned.route,
        "repeat": planned.repeat,
        "control": planned.control.value if planned.control else None,
        "model": _model(planned),
        "same_as": None if planned.same_as is None else attempt_id(run, planned.same_as),
    }


def _model(planned: Planned) -> dict[str, Any]:
    model = planned.model
    if model is None:
        return {"id": planned.wanted} if planned.wanted else {}
    return {
        "id": model.id,
        "revision": model.revision,
        "quant": model.quantisation,
        "fingerprint": planned.fingerprint or None,
    }


def _sent(planned: Planned, said: Conversation) -> dict[str, Any]:
    """What the last request said; None is the model's own."""
    reached = planned.case.turns[: len(said.results) - 1]
    images = (*planned.images, *(image for turn in reached for image in planned.images_of(turn)))
    sampling = planned.case.sampling
    return {
        "seed": planned.seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop),
        "thinking": planned.case.thinking,
        "messages": [message_sha256(one) for one in said.messages],
        "tools_sha256": tools_sha256(planned.case.tools),
        "images": [{"sha": image.sha256, "w": image.width, "h": image.height} for image in images],
    }


def _perf(timing: Timing, usage: Usage, around: Circumstances, *, claimed: bool) -> dict[str, Any]:
    """Times of the model's own work: loading and waiting in the queue stand by themselves."""
    waited = timing.load_s + timing.queued_s
    warm = usage.cached_tokens > WARM_SHARE * usage.prompt_tokens
    rate = round(timing.decode_tps, 1) if timing.decode_tps else None
    return {
        "warmth": "unknown" if claimed else CACHED if warm else "loaded" if around.loaded else "fresh",
        "load_s": round(around.load_s or timing.load_s, 4),
        "queued_s": round(timing.queued_s, 4),
        "ttft_s": round(max(timing.ttft_s - waited, 0.0), 4),
        "total_s": round(max(timing.total_s - waited, 0.0), 4),
        "prefill_tps": round(timing.prefill_tps, 1),
        "decode_tps": rate if usage.completion_tokens >= RATE_TOKENS else None,
        "peak_gb": None if around.peak_bytes is None else round(around.peak_bytes / 1e9, 3),
    }
