"""Inspect's samples as files of a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from core.golden.neighbours.incoming_files import Incoming, listed


def inspect_cases(samples: Sequence[Mapping[str, Any]]) -> Incoming:
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
        words = [str(one) for one in listed(target) if str(one).strip()]
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
