"""Cases of other programs made into a suite: promptfoo's YAML, and samples of Inspect as JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from core.atomic import write_atomically
from core.golden.reading import suite_text
from core.golden.suite import SuiteError

PROVIDERS = re.compile(
    r"^(?:openai|ollama|huggingface|localai|vllm)(?::(?:chat|completion|text-generation|responses))?:"
)
"""What stands before the model in a provider's name."""


@dataclass
class Incoming:
    """Files of a suite by name, and what could not be taken over, in sentences."""

    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many prompts there are."""
        return sum(name.endswith(".txt") for name in self.files)


def read_incoming(source: Path) -> Incoming:
    """What `source` holds, by its ending: .yaml or .yml of promptfoo, .jsonl of Inspect. Raises SuiteError."""
    ending = source.suffix.lower()
    try:
        text = suite_text(source)
        if ending in (".yaml", ".yml"):
            import yaml

            return _promptfoo(source.parent, yaml.safe_load(text))
        if ending == ".jsonl":
            return _samples([json.loads(line) for line in text.splitlines() if line.strip()])
    except OSError as error:
        raise SuiteError(f"{source} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SuiteError(f"{source} cannot be read: {error}.") from error
    except Exception as error:  # what a YAML reader raises for other text
        raise SuiteError(f"{source} is not what its ending says: {' '.join(str(error).split())}.") from error
    raise SuiteError(f"{source} has no ending that can be read: .yaml is promptfoo's, .jsonl holds samples of Inspect.")


def write_incoming(found: Incoming, folder: Path) -> None:
    """Put the files into a folder that is not there or is empty. Raises SuiteError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SuiteError(f"{folder} is there already: name a folder that is not, or is empty.")
    if not found.cases:
        raise SuiteError("There is no prompt in it that could become a case.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.files.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise SuiteError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _promptfoo(home: Path, config: Any) -> Incoming:
    if not isinstance(config, Mapping):
        raise ValueError("promptfoo's configuration is a table with prompts and tests")
    found = Incoming()
    for provider in _listed(config.get("providers")):
        name = provider.get("id", "") if isinstance(provider, Mapping) else str(provider)
        model = PROVIDERS.sub("", str(name))
        if model != name:
            found.models.append(model)
        else:
            found.notes.append(f"The provider {name} is no model that could be here: it is left out.")
    if found.models:
        found.files["golden.toml"] = tomli_w.dumps(
            {"format": 1, "tiers": dict.fromkeys(("quick", "full"), found.models)}
        )
    default = config.get("defaultTest") if isinstance(config.get("defaultTest"), Mapping) else {}
    tests = [test for test in _listed(config.get("tests")) if isinstance(test, Mapping)] or [{}]
    for number, prompt in enumerate(_listed(config.get("prompts")), 1):
        said = prompt.get("raw", prompt.get("id", "")) if isinstance(prompt, Mapping) else str(prompt)
        text = suite_text(home / said.removeprefix("file://")) if said.startswith("file://") else said
        cases = [_test(found, home, place, test, default or {}) for place, test in enumerate(tests, 1)]
        used = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text))
        for case in cases:
            case["vars"] = {name: value for name, value in case["vars"].items() if name in used}
        stem = f"prompt-{number}"
        found.files[f"{stem}.txt"] = re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{{\1}}", text).strip() + "\n"
        tables = [{key: value for key, value in case.items() if value} for case in cases]
        found.files[f"{stem}.toml"] = tomli_w.dumps({"case": tables})
    return found


def _test(
    found: Incoming, home: Path, place: int, test: Mapping[str, Any], default: Mapping[str, Any]
) -> dict[str, Any]:
    variables = {}
    for name, value in {**(default.get("vars") or {}), **(test.get("vars") or {})}.items():
        values = [_variable(home, one) for one in _listed(value)]
        variables[str(name)] = values if isinstance(value, list) else values[0]
    case: dict[str, Any] = {"id": f"test-{place}", "vars": variables}
    wanted: list[Any] = []
    for item in (*_listed(default.get("assert")), *_listed(test.get("assert"))):
        kind, value = str(item.get("type", "")), item.get("value")
        if kind == "latency" and isinstance(item.get("threshold"), int | float):
            case["limits"] = {"total_s": item["threshold"] / 1000}
            continue
        plain = kind.removeprefix("not-")
        one = _operator(plain, value)
        if one is None:
            found.notes.append(f"Test {place}: {kind or 'an assertion without a type'} is not known here and left out.")
        else:
            wanted.append({"not": one} if kind != plain else one)
    if wanted:
        case["expect"] = wanted[0] if len(wanted) == 1 else {"all": wanted}
    return case


def _operator(kind: str, value: Any) -> Any:
    """What is expected, as a sidecar says it; None for what there is not here. promptfoo looks for letters and not for
    words, so that a pattern says the same."""
    flags = "(?i)" if kind.startswith("icontains") else ""
    each = [f"{flags}{re.escape(str(one))}" for one in _listed(value)]
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


def _samples(samples: Sequence[Mapping[str, Any]]) -> Incoming:
    """Inspect's samples: the input is asked, and the target, or any of several, is expected."""
    found = Incoming()
    for number, sample in enumerate(samples, 1):
        name = re.sub(r"[^\w.-]+", "-", str(sample.get("id", f"sample-{number}"))).strip("-._") or f"sample-{number}"
        name = f"{name}-{number}" if f"{name}.txt" in found.files else name
        asked = sample.get("input", "")
        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        users = [one for one in messages if one.get("role") == "user"]
        if len(users) != 1 or not isinstance(users[0].get("content"), str) or len(messages) > 2:
            found.notes.append(f"Sample {number} is no single question in words: it is left out.")
            continue
        prompt = users[0]["content"]
        if choices := sample.get("choices"):
            letters = (f"{chr(65 + place)}) {choice}" for place, choice in enumerate(choices))
            prompt = "\n".join((prompt, "", *letters, "", "Answer with the letter alone."))
        target = sample.get("target") or []
        words = [str(one) for one in _listed(target) if str(one).strip()]
        sidecar: dict[str, Any] = {
            "system": next((one["content"] for one in messages if one.get("role") == "system"), None),
            "expect": (words[0] if len(words) == 1 else words) or None,
        }
        found.files[f"{name}.txt"] = prompt.strip() + "\n"
        if told := {key: value for key, value in sidecar.items() if value}:
            found.files[f"{name}.toml"] = tomli_w.dumps(told)
        for key in ("files", "sandbox", "setup"):
            if sample.get(key):
                found.notes.append(f"Sample {number}: {key} is not known here and left out.")
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
