"""A suite, or a kept run of it, as a project of promptfoo, without its package: configuration, prompts, and images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.calls.requests import tool_to_json
from core.golden.expressions import to_json
from core.golden.neighbours.promptfoo_checks import assertions, provider
from core.golden.reports.report import Report
from core.golden.results import Attempt, Status
from core.golden.routes.openai import response_format, tool_choice
from core.golden.suite import Case, Limits, Suite, SuiteImage
from core.tiers import Tier

CONFIG = "promptfooconfig.yaml"
OURS = "assay"
"""The key under a test's metadata that keeps what promptfoo has no word for."""


@dataclass
class Project:
    """Files by name: texts, and images where they are now. `notes` name what has no counterpart. `asks` says whether
    promptfoo asks models here, for answers or for grades."""

    files: dict[str, str | Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tests: int = 0
    asks: bool = False


@dataclass(frozen=True)
class _Test:
    """A case asked of a model by the measure of each of these tiers, which is the same; `said` is the answer that is
    kept, None where it is to be asked. `unable` are models that cannot take the case, and are not asked."""

    case: Case
    tiers: Mapping[Tier, str]
    said: str | dict[str, Any] | None = None
    unable: Collection[str] = ()

    @property
    def models(self) -> list[str]:
        return [model for model in dict.fromkeys(self.tiers.values()) if model not in self.unable]


def project_of_suite(
    suite: Suite, answering: Mapping[tuple[str, Tier], str], base_url: str, here: Collection[str] = ()
) -> Project:
    """The suite, asked of the models that would answer here, by case and tier, or else of those that it names first.
    Those that are `here` and would not answer are not asked: a run skips them."""
    tests = []
    project = Project()
    for case in suite.cases:
        asked: dict[str, dict[Tier, str]] = {}
        unable = set()
        for tier in Tier:
            named = suite.tiers.get(tier)
            model = answering.get((case.id, tier)) or next(
                iter((named.vision if case.all_images else named.text) if named else ()), ""
            )
            if model in here and (case.id, tier) not in answering:
                unable.add(model)
                project.notes.append(f"{case.id}: {model} is here and cannot take it: the {tier} tier is not asked.")
            if model:
                asked.setdefault(json.dumps(_measure(case, tier)), {})[tier] = model
            else:
                project.notes.append(f"{case.id}: no model is known for the {tier} tier, which is left out.")
        tests += [test for tiers in asked.values() if (test := _Test(case, tiers, unable=unable)).models]
    return _project(project, suite.name, tests, base_url)


def _measure(case: Case, tier: Tier) -> Any:
    """What tells two tiers' measures apart."""
    return [to_json(case.expected(tier)), asdict(case.limits.get(tier, Limits()))]


def project_of_run(report: Report, base_url: str) -> Project:
    """A kept run with its answers, which promptfoo judges without asking anybody: of each case the first try."""
    tests = []
    project = Project()
    for case in report.cases:
        for entry in case.entries:
            first = entry.attempts[0]
            if case.case is None:
                project.notes.append(f"{case.id}: the suite asks it otherwise now, and it is left out.")
            elif not entry.control and first.status is Status.OK:
                tests.append(_Test(case.case, {Tier(entry.tier): entry.model}, _said(first)))
    return _project(project, report.suite, tests, base_url)


def _project(project: Project, name: str, tests: Sequence[_Test], base_url: str) -> Project:
    models: dict[str, bool] = {}
    prompts: dict[str, Any] = {}
    told = []
    for test in tests:
        if test.case.turns:
            project.notes.append(f"{test.case.id}: promptfoo has no test of several turns, and it is left out.")
            continue
        models |= {model: models.get(model, False) or test.said is None for model in test.models}
        label, messages = _prompt(test.case)
        prompts[label] = messages
        told.append(_test(project, test, label, base_url))
    for label, messages in prompts.items():
        project.files[f"prompts/{label}.json"] = json.dumps(messages, indent=2) + "\n"
    config = {
        "description": f"Golden prompts: {name}",
        "prompts": [{"id": f"file://prompts/{label}.json", "label": label} for label in prompts],
        "providers": [provider(model, base_url, asked=asked) | {"label": model} for model, asked in models.items()],
        "tests": told,
    }
    project.files[CONFIG] = _yaml(config)
    project.tests = len(told)
    project.asks = any(models.values()) or any("provider" in check for one in told for check in one["assert"])
    project.notes = list(dict.fromkeys(project.notes))
    return project


def _yaml(config: Mapping[str, Any]) -> str:
    """YAML for people: a text of several lines stands as it is."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, "|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    told: str = yaml.dump(config, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return told


def _prompt(case: Case) -> tuple[str, list[dict[str, Any]]]:
    """The prompt that has a place for all that the case shows, and its label."""
    count = len(case.images)
    label = ("system-" if case.system else "") + ("text" if not count else f"{count}-image{'s' * (count > 1)}")
    images = [{"type": "image_url", "image_url": {"url": f"{{{{image{number}}}}}"}} for number in range(1, count + 1)]
    content = [*images, {"type": "text", "text": "{{prompt}}"}] if images else "{{prompt}}"
    system = [{"role": "system", "content": "{{system}}"}] if case.system else []
    return label, [*system, {"role": "user", "content": content}]


def _test(project: Project, test: _Test, label: str, base_url: str) -> dict[str, Any]:
    case, tier = test.case, next(iter(test.tiers))
    variables = {"prompt": case.prompt} | ({"system": case.system} if case.system else {})
    for number, image in enumerate(case.images, 1):
        variables[f"image{number}"] = f"file://{_image(project, image)}"
    expression = case.expected(tier)
    checks, lost = assertions(expression, base_url)
    limits = case.limits.get(tier, Limits())
    if limits.total_s is not None and test.said is None:
        checks.append({"type": "latency", "threshold": round(limits.total_s * 1000)})
    for what in (*lost, *_unsaid(case, limits)):
        project.notes.append(f"{case.id}: promptfoo has no counterpart of {what}.")
    ours = {
        "case": case.id,
        "tiers": {one.value: model for one, model in test.tiers.items()},
        "expect": to_json(expression),
        "asserted": digest(checks),
        **_rest(case, limits, project),
    }
    told: dict[str, Any] = {
        "description": case.id,
        "vars": variables,
        "prompts": [label],
        "providers": test.models,
        "options": _options(case),
        "assert": checks,
        "metadata": {OURS: ours},
    }
    return told if test.said is None else told | {"providerOutput": test.said}


def _said(one: Attempt) -> str | dict[str, Any]:
    """A kept answer as promptfoo's provider hands it on: a text, or a message where there are calls, or where it did
    not end by itself. A blank stands for an empty one, in whose place a model would be asked."""
    if one.finish == "stop" and not one.tool_calls:
        return one.answer or " "
    calls = [
        {"type": "function", "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}}
        for call in one.tool_calls
    ]
    return {"content": one.answer, "tool_calls": calls, "finish": one.finish or "unknown"}


def digest(checks: Sequence[Mapping[str, Any]]) -> str:
    """What tells whether somebody has changed the assertions since."""
    return hashlib.sha256(json.dumps(checks, sort_keys=True).encode()).hexdigest()[:16]


def _options(case: Case) -> dict[str, Any]:
    """How it is asked, as promptfoo hands it to its OpenAI provider."""
    sampling = case.sampling
    more = {
        "top_k": sampling.top_k,
        "chat_template_kwargs": None if case.thinking is None else {"enable_thinking": case.thinking},
    }
    tools = [{"type": "function", "function": tool_to_json(one)} for one in case.tools]
    told = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": case.seed,
        "tools": tools or None,
        "tool_choice": tool_choice(case.tool_choice),
        "response_format": response_format(case.json_schema),
        "passthrough": {key: value for key, value in more.items() if value is not None} or None,
        "repeat": case.repeats if case.repeats > 1 else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def _rest(case: Case, limits: Limits, project: Project) -> dict[str, Any]:
    """What only a sidecar says, as it says it."""
    bounds = {name: getattr(limits, name) for name in ("ttft_s", "total_s", "decode_tps")}
    controls: dict[str, Any] = {control.value.replace("-", "_"): True for control in case.controls}
    if case.swap:
        controls["swap"] = [_image(project, image) for image in case.swap]
    known = {
        where: {"reason": one.reason, **({"checks": list(one.checks)} if one.checks else {})}
        for where, one in case.xfail.items()
    }
    told = {
        "tool_choice": case.tool_choice.word,
        "json_schema": case.json_schema,
        "limits": {name: value for name, value in bounds.items() if value is not None},
        "controls": controls,
        "xfail": known,
    }
    return {key: value for key, value in told.items() if value}


def _unsaid(case: Case, limits: Limits) -> Iterable[str]:
    if case.controls:
        yield f"the controls {', '.join(case.controls)}"
    if case.xfail:
        yield "a known failure"
    if limits.ttft_s is not None or limits.decode_tps is not None:
        yield "limits but total_s"
    if case.tools:
        yield "calls that nothing asks for, which fail here"


def _image(project: Project, image: SuiteImage) -> str:
    """Its name in the project; images of the same name have their digests before them."""
    name = f"images/{image.path.name}"
    taken = project.files.get(name)
    if taken is not None and taken != image.path:
        name = f"images/{image.sha256[:8]}-{image.path.name}"
    project.files[name] = image.path
    return name
