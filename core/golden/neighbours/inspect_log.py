"""A kept run as eval logs of Inspect (version 2, JSON), a log for each tier and model, without its package."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any

from core.calls.requests import tool_to_json
from core.errors import InvalidImage
from core.golden.compare.change import HELD
from core.golden.expressions import describe, to_json
from core.golden.reports.report import CaseReport, Entry, Report
from core.golden.results import Attempt, Status
from core.golden.suite import Case, SuiteImage
from core.media.images import read_image
from core.tiers import Tier

SCORER = "golden"
OURS = "assay"
"""The key under a sample's metadata that keeps what makes a case of it again."""
STOPS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls", "content_filter": "content_filter"}
"""Inspect's names of why an answer ended; "unknown" for any other reason."""


def inspect_logs(report: Report) -> dict[str, str]:
    """The logs by file name, each a JSON document. What was skipped is in none; a control is a sample of its own and no
    part of the accuracy."""
    places = dict.fromkeys((entry.tier, entry.model) for entry in report.entries if entry.model)
    logs = ((tier, model, _log(report, tier, model)) for tier, model in places)
    begun = _plain(_iso(report.started).replace(":", "-"))  # by which Inspect knows its logs
    return {
        f"{begun}_{_plain(report.suite)}-{_plain(tier)}_{_plain(model)}.json": _text(log)
        for tier, model, log in logs
        if log["samples"]
    }


def _iso(time: str) -> str:
    """ISO 8601 with a colon in the offset."""
    return re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", time)


def _text(log: Mapping[str, Any]) -> str:
    """The log as JSON; half a character, which a model can write and Inspect cannot read, becomes a question mark."""
    return json.dumps(log, indent=2, ensure_ascii=False).encode(errors="replace").decode() + "\n"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.") or "run"


def _log(report: Report, tier: str, model: str) -> dict[str, Any]:
    samples = [
        sample
        for case in report.cases
        for entry in case.entries
        if (entry.tier, entry.model) == (tier, model)
        for sample in _samples(case, entry)
    ]
    accuracy: dict[str, Any] = {"name": "accuracy", "value": _accuracy(samples), "params": {}}
    score = {"name": SCORER, "scorer": SCORER, "reducer": "mean", "params": {}, "metrics": {"accuracy": accuracy}}
    created = _iso(report.started)
    ids = list(dict.fromkeys(sample["id"] for sample in samples))
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "run_id": report.run,
            "created": created,
            "task": f"{report.suite}-{tier}",
            "task_id": f"{report.run}-{tier}-{_plain(model)}",
            "dataset": {"name": report.suite, "samples": len(ids), "sample_ids": ids, "shuffled": False},
            "model": model,
            "config": {"epochs": max((sample["epoch"] for sample in samples), default=1)},
            "packages": {name: str(version) for name, version in report.versions.items() if version},
            "metadata": {"tier": tier},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": sum("scores" in one for one in samples),
            "scores": [score],
        },
        "stats": {"started_at": created, "completed_at": created, "model_usage": {}},
        "samples": samples,
    }


def _accuracy(samples: Iterable[Mapping[str, Any]]) -> float:
    """As Inspect reckons it: the mean over samples of the mean over epochs, so that a case counts once."""
    held: dict[str, list[bool]] = {}
    for one in samples:
        if "scores" in one and not one["metadata"]["control"]:
            held.setdefault(one["id"], []).append(one["scores"][SCORER]["value"] == "C")
    return fmean(map(fmean, held.values())) if held else 0.0


def _samples(case: CaseReport, entry: Entry) -> Iterator[dict[str, Any]]:
    first = entry.attempts[0].route
    for one in entry.attempts:
        if one.status is Status.SKIPPED:
            continue
        more = [f"control: {one.control}"] if one.control else []
        more += [one.route] if one.route != first else []
        yield _sample(case, entry, one, f"{one.case} [{', '.join(more)}]" if more else one.case)


def _sample(case: CaseReport, entry: Entry, one: Attempt, name: str) -> dict[str, Any]:
    sent = _messages(case, one)
    target = describe(case.case.expected(Tier(entry.tier))) if case.case else ""
    told: dict[str, Any] = {
        "verdict": one.verdict.value,
        "route": one.route,
        "control": one.control,
        "seed": one.sent.get("seed"),
    }
    told["graded"] = one.by_grades
    if case.case and not one.control:
        expected = to_json(case.case.expected(Tier(entry.tier)))
        told[OURS] = {"case": one.case, "expect": expected, "asked": _asked(case.case)}
    sample: dict[str, Any] = {"id": name, "epoch": one.repeat + 1, "input": sent, "target": target, "metadata": told}
    if one.status is Status.ERROR:
        return sample | {
            "messages": sent,
            "output": {"model": entry.model, "choices": []},
            "error": {"message": one.why, "traceback": "", "traceback_ansi": ""},
        }
    came = {"answer": one.answer, "reasoning": one.reasoning, "tool_calls": one.tool_calls}
    message = _answer(entry.model, came, len(one.turns))
    prompt, said = one.usage.get("prompt", 0), one.usage.get("completion", 0)
    usage = {"input_tokens": prompt, "output_tokens": said, "total_tokens": prompt + said}
    passed = one.verdict in HELD
    return sample | {
        "messages": [*sent, *_between(case, one, entry.model), message],
        "output": {
            "model": entry.model,
            "choices": [{"message": message, "stop_reason": STOPS.get(one.finish or "", "unknown")}],
            "usage": usage,
            "time": one.perf.get("total_s"),
        },
        "scores": {SCORER: {"value": "C" if passed else "I", "answer": one.said, "explanation": one.why or None}},
        "model_usage": {entry.model: usage},
    }


def _answer(model: str, came: Mapping[str, Any], turn: int) -> dict[str, Any]:
    """An answer as the model's own message; its calls are numbered within the conversation."""
    calls = [
        {
            "id": f"call_{turn}_{number}",
            "function": call["name"],
            "arguments": call["arguments"] if isinstance(call["arguments"], dict) else {},
            "type": "function",
        }
        for number, call in enumerate(came["tool_calls"])
    ]
    content = [{"type": "reasoning", "reasoning": came["reasoning"]}] if came["reasoning"] else []
    content.append({"type": "text", "text": came["answer"]})
    message = {"role": "assistant", "content": content, "source": "generate", "model": model}
    return message | {"tool_calls": calls} if calls else message


def _between(case: CaseReport, one: Attempt, model: str) -> Iterator[dict[str, Any]]:
    """The answers before the last, each with the turn that followed it."""
    for number, (turn, came) in enumerate(zip(case.case.turns if case.case else (), one.turns, strict=False)):
        own = _answer(model, came, number)
        yield own
        if turn.user is not None:
            yield _question(turn.user, () if one.control == "blind" else turn.images)
            continue
        for call in own.get("tool_calls", ()):
            told = {"content": turn.results.get(call["function"], ""), "function": call["function"]}
            yield {"role": "tool", "tool_call_id": call["id"], **told}


def _asked(case: Case) -> dict[str, Any]:
    """How it was asked, as a sidecar says it."""
    sampling = case.sampling
    told = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": case.seed,
        "thinking": case.thinking,
        "repeats": case.repeats,
        "tools": [tool_to_json(one) for one in case.tools] or None,
        "tool_choice": case.tool_choice.word,
        "json_schema": case.json_schema,
    }
    return {key: value for key, value in told.items() if value is not None}


def _messages(case: CaseReport, one: Attempt) -> list[dict[str, Any]]:
    """What was asked first, as far as the suite still has it: the images of the case, or none, or those of a swap."""
    if case.case is None:
        return [{"role": "user", "content": "(the suite asks this otherwise now)"}]
    control = one.control or ""
    shown = {"blind": (), "swap": case.case.swap}.get(control, case.case.images)
    system = case.case.system if control != "no-system" else None
    said = [{"role": "system", "content": system}] if system else []
    return [*said, _question(case.case.prompt, shown)]


def _question(text: str, images: Iterable[SuiteImage]) -> dict[str, Any]:
    shown = [{"type": "image", "image": address} for image in images if (address := _data_address(image))]
    return {"role": "user", "content": [*shown, {"type": "text", "text": text}]}


def _data_address(image: SuiteImage) -> str:
    """The picture as it was shown; "" where it is another one now."""
    try:
        data = read_image(image.path)
    except (InvalidImage, OSError):
        return ""
    if data.sha256 != image.sha256:
        return ""
    return f"data:{data.media_type};base64,{base64.b64encode(data.data).decode()}"
