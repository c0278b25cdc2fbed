"""A project of promptfoo as files of a suite; one that we wrote becomes the cases that it was made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from core.golden.expressions import SMOKE, to_json
from core.golden.neighbours.incoming_files import Incoming, Told, listed, put
from core.golden.neighbours.promptfoo_project import OURS, digest
from core.golden.reading import suite_text

PROVIDERS = re.compile(
    r"^(?:openai|ollama|huggingface|localai|vllm)(?::(?:chat|completion|text-generation|responses))?:"
)
"""What stands before the model in a provider's name."""
SAID = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens", "stop": "stop", "seed": "seed"}
"""Options of a test that say how it is asked, and the keys of a sidecar."""


def promptfoo_cases(home: Path, config: Any) -> Incoming:
    """The cases of a configuration that was read. Raises ValueError, and OSError for files that it names."""
    if not isinstance(config, Mapping):
        raise ValueError("promptfoo's configuration is a table with prompts and tests")
    found = Incoming()
    tests = [test for test in listed(config.get("tests")) if isinstance(test, Mapping)] or [{}]
    ours = [test for test in tests if _ours(test)]
    if ours:
        _exported(found, home, ours)
        tests = [test for test in tests if not _ours(test)]
    else:
        _models(found, config)
    default = config.get("defaultTest") if isinstance(config.get("defaultTest"), Mapping) else {}
    if tests:
        _matrix(found, home, listed(config.get("prompts")), tests, default or {})
    return found


def _ours(test: Mapping[str, Any]) -> Mapping[str, Any]:
    """What we keep of a test that we wrote; empty for any other."""
    kept = (test.get("metadata") or {}).get(OURS) if isinstance(test.get("metadata"), Mapping) else None
    return kept if isinstance(kept, Mapping) and kept.get("case") else {}


def _models(found: Incoming, config: Mapping[str, Any]) -> None:
    for provider in listed(config.get("providers")):
        name = provider.get("id", "") if isinstance(provider, Mapping) else str(provider)
        model = PROVIDERS.sub("", str(name))
        if model != name:
            found.models.append(model)
        else:
            found.notes.append(f"The provider {name} is no model that could be here: it is left out.")
    if found.models:
        found.add_tiers(dict.fromkeys(("quick", "full"), found.models))


# -- any project -----------------------------------------------------------------------------------------------------


def _matrix(
    found: Incoming, home: Path, prompts: Sequence[Any], tests: Sequence[Mapping[str, Any]], default: Mapping[str, Any]
) -> None:
    """Each prompt with each test."""
    for number, prompt in enumerate(prompts, 1):
        said = prompt.get("raw", prompt.get("id", "")) if isinstance(prompt, Mapping) else str(prompt)
        text = suite_text(home / said.removeprefix("file://")) if said.startswith("file://") else said
        cases = [_test(found, home, place, test, default) for place, test in enumerate(tests, 1)]
        used = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text))
        for case in cases:
            case["vars"] = {name: value for name, value in case["vars"].items() if name in used}
        stem = f"prompt-{number}"
        found.files[f"{stem}.txt"] = re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{{\1}}", text).strip() + "\n"
        tables = [{key: value for key, value in case.items() if value} for case in cases]
        found.files[f"{stem}.toml"] = tomli_w.dumps({"case": tables})


def _test(
    found: Incoming, home: Path, place: int, test: Mapping[str, Any], default: Mapping[str, Any]
) -> dict[str, Any]:
    variables = {}
    for name, value in {**(default.get("vars") or {}), **(test.get("vars") or {})}.items():
        values = [_variable(home, one) for one in listed(value)]
        variables[str(name)] = values if isinstance(value, list) else values[0]
    case: dict[str, Any] = {"id": f"test-{place}", "vars": variables}
    expect, limits = _expected(found, f"Test {place}", (*listed(default.get("assert")), *listed(test.get("assert"))))
    return case | ({"limits": limits} if limits else {}) | ({"expect": expect} if expect else {})


def _expected(found: Incoming, name: str, checks: Iterable[Mapping[str, Any]]) -> tuple[Any, dict[str, float]]:
    """What assertions expect, None for nothing, and the limits among them."""
    wanted: list[Any] = []
    limits: dict[str, float] = {}
    for item in checks:
        kind, value = str(item.get("type", "")), item.get("value")
        if kind == "latency" and isinstance(item.get("threshold"), int | float):
            limits["total_s"] = item["threshold"] / 1000
            continue
        plain = kind.removeprefix("not-")
        one = _operator(plain, value)
        if one is None:
            found.notes.append(f"{name}: {kind or 'an assertion without a type'} is not known here and left out.")
        else:
            wanted.append({"not": one} if kind != plain else one)
    return (wanted[0] if len(wanted) == 1 else {"all": wanted}) if wanted else None, limits


def _operator(kind: str, value: Any) -> Any:
    """What is expected, as a sidecar says it; None for what there is not here. promptfoo looks for letters and not for
    words, so that a pattern says the same."""
    flags = "(?i)" if kind.startswith("icontains") else ""
    each = [f"{flags}{re.escape(str(one))}" for one in listed(value)]
    match kind:
        case "contains" | "icontains" | "contains-any" | "icontains-any" if each:
            return {"regex": each}
        case "contains-all" | "icontains-all" if each:
            return {"all": [{"regex": one} for one in each]}
        case "starts-with" if each:
            return {"regex": rf"\A{each[0]}"}
        case "equals" if isinstance(value, str):
            return {"equals": value}
        case "regex" if isinstance(value, str):
            return {"regex": value}
        case "is-json":
            return {"json_schema": value if isinstance(value, Mapping) else {"type": ["object", "array"]}}
        case "finish-reason" if value in ("stop", "length", "tool_calls"):
            return {"finish": value}
    return None


def _variable(home: Path, value: Any) -> Any:
    if isinstance(value, str) and value.startswith("file://"):
        return suite_text(home / value.removeprefix("file://")).strip()
    return value if isinstance(value, str | int | float) else json.dumps(value)


# -- a project of ours -----------------------------------------------------------------------------------------------


def _exported(found: Incoming, home: Path, tests: Sequence[Mapping[str, Any]]) -> None:
    """The cases that the tests were made of, as far as they are still as they were written: of each, its tiers."""
    cases: dict[str, list[Mapping[str, Any]]] = {}
    for test in tests:
        cases.setdefault(str(_ours(test)["case"]), []).append(test)
    models: dict[str, dict[str, list[str]]] = {}
    for mine in cases.values():
        kind = "vision" if "image1" in (mine[0].get("vars") or {}) else "text"
        for test in mine:
            for tier, model in _ours(test).get("tiers", {}).items():
                known = models.setdefault(tier, {}).setdefault(kind, [])
                known += [] if model in known else [model]
    put(
        found,
        [
            Told(name, str((mine[0].get("vars") or {}).get("prompt", "")), _table(found, home, name, mine))
            for name, mine in cases.items()
        ],
    )
    found.models = list(dict.fromkeys(one for kinds in models.values() for named in kinds.values() for one in named))
    found.add_tiers(models)


def _table(found: Incoming, home: Path, name: str, tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A case as a sidecar says it, but that images are named from the suite's folder."""
    first, kept = tests[0], _ours(tests[0])
    options = first.get("options") or {}
    passed = options.get("passthrough") or {}
    variables = first.get("vars") or {}
    images = [
        str(variables[f"image{number}"]) for number in range(1, len(variables) + 1) if f"image{number}" in variables
    ]
    table: dict[str, Any] = {SAID[key]: value for key, value in options.items() if key in SAID}
    told = {
        "system": variables.get("system"),
        "images": [_image(found, home, one) for one in images],
        "top_k": passed.get("top_k"),
        "thinking": (passed.get("chat_template_kwargs") or {}).get("enable_thinking"),
        "repeats": options.get("repeat"),
        "tools": [one["function"] for one in options.get("tools") or ()],
        "tool_choice": kept.get("tool_choice"),
        "json_schema": kept.get("json_schema"),
        "xfail": kept.get("xfail"),
    }
    table |= {key: value for key, value in told.items() if value not in (None, [], {})}
    if controls := dict(kept.get("controls") or {}):
        if isinstance(controls.get("swap"), list):
            controls["swap"] = [_image(found, home, one) for one in controls["swap"]]
        table["controls"] = controls
    for test in tests:
        mine = _ours(test)
        expect, limits = mine.get("expect"), mine.get("limits") or {}
        checks = listed(test.get("assert"))
        if digest(checks) != mine.get("asserted"):
            found.notes.append(f"{name}: its assertions are not those that were exported, and are read anew.")
            expect, limits = _expected(found, name, [one for one in checks if one.get("type") != "javascript"])
        for tier in mine.get("tiers", {}):
            if expect not in (None, to_json(SMOKE)):
                table.setdefault("expect", {})[tier] = expect
            if limits:
                table.setdefault("limits", {})[tier] = dict(limits)
    return table


def _image(found: Incoming, home: Path, named: str) -> str:
    """The image among the suite's files, and its name there."""
    name = named.removeprefix("file://")
    found.files[name] = home / name
    return name
