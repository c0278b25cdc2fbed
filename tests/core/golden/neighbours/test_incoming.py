"""Cases of promptfoo and Inspect become a suite that can be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.calls.events import FinishReason
from core.golden.checks import Answer, holds
from core.golden.neighbours.incoming import read_incoming, write_incoming
from core.golden.reading import load_suite
from core.golden.suite import SuiteError
from core.tiers import Tier

PROMPTFOO = """
description: capitals
prompts:
  - 'What is the capital of {{ country }}? {{style}}'
  - file://other.txt
providers:
  - openai:chat:pocket/qwen3
  - id: ollama:chat:pocket/gemma3
  - exec:./run.sh
defaultTest:
  vars: {style: Be brief.}
  assert:
    - {type: latency, threshold: 5000}
tests:
  - vars: {country: France}
    assert:
      - {type: icontains, value: paris}
      - {type: not-contains-any, value: [Lyon, Nice]}
      - {type: llm-rubric, value: is polite}
  - vars: {country: [Spain, Italy]}
"""


def test_a_promptfoo_project_becomes_a_suite(tmp_path: Path) -> None:
    (tmp_path / "promptfooconfig.yaml").write_text(PROMPTFOO)
    (tmp_path / "other.txt").write_text("Name a city in {{country}}.")
    found = read_incoming(tmp_path / "promptfooconfig.yaml")
    write_incoming(found, tmp_path / "suite")
    suite = load_suite(tmp_path / "suite")
    assert [case.id for case in suite.cases if case.id.startswith("prompt-2")] == [
        "prompt-2#test-1",
        "prompt-2#test-2,country=Spain",
        "prompt-2#test-2,country=Italy",
    ]
    first = suite.cases[0]
    assert first.prompt == "What is the capital of France? Be brief."
    assert first.limits[Tier.FULL].total_s == 5
    assert holds(first.expected(Tier.FULL), Answer("PARISIAN", FinishReason.STOP))
    assert not holds(first.expected(Tier.FULL), Answer("Paris, not Lyon", FinishReason.STOP))
    assert suite.tiers[Tier.FULL].text == ("pocket/qwen3", "pocket/gemma3")
    assert any("exec:./run.sh" in note for note in found.notes)
    assert any("Test 1: llm-rubric" in note for note in found.notes)
    with pytest.raises(SuiteError, match="is there already"):
        write_incoming(found, tmp_path / "suite")


def test_samples_of_inspect_become_a_suite(tmp_path: Path) -> None:
    samples = [
        {"id": "sky", "input": "What colour is the sky?", "target": "blue"},
        {
            "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
            "target": ["4", "four"],
        },
        {
            "input": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ]
        },
    ]
    file = tmp_path / "samples.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in samples))
    found = read_incoming(file)
    write_incoming(found, tmp_path / "suite")
    cases = {case.id: case for case in load_suite(tmp_path / "suite").cases}
    assert cases.keys() == {"sky", "sample-2"}
    assert cases["sample-2"].system == "Be brief."
    assert holds(cases["sample-2"].expected(Tier.QUICK), Answer("four", FinishReason.STOP))
    assert found.notes == ["Sample 3 is no single question in words: it is left out."]


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "[1"), ("a.yaml", "7"), ("a.jsonl", "{"), ("a.txt", "x")])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SuiteError, match=name):
        read_incoming(tmp_path / name)
