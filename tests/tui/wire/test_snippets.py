"""The ready-made programs are programs, and hold the address, the key and the model."""

from __future__ import annotations

import ast
import json
import re
import shlex

from tui.wire.snippets import snippets

TEXTS = snippets("http://127.0.0.1:8484", "assay-key", "pocket/qwen3")


def test_the_python_programs_compile() -> None:
    for name in ("openai", "responses", "anthropic"):
        compile(TEXTS[name], name, "exec")
        assert '"assay-key"' in TEXTS[name]
        assert '"pocket/qwen3"' in TEXTS[name]


def test_the_curl_line_is_one_command_with_a_json_body() -> None:
    words = shlex.split(TEXTS["curl"])
    assert words[:3] == ["curl", "-N", "http://127.0.0.1:8484/v1/chat/completions"]
    assert "Authorization: Bearer assay-key" in words
    assert json.loads(words[-1])["model"] == "pocket/qwen3"


def test_a_name_of_a_folder_is_never_code() -> None:
    model = """it's "x"; $(touch y) \\ two
lines"""
    texts = snippets("http://127.0.0.1:8484", None, model)
    assert json.loads(shlex.split(texts["curl"])[-1])["model"] == model
    for name, times in (("openai", 1), ("responses", 2), ("anthropic", 1)):
        calls = [node for node in ast.walk(ast.parse(texts[name])) if isinstance(node, ast.keyword)]
        assert [ast.literal_eval(node.value) for node in calls if node.arg == "model"] == [model] * times


def test_without_a_key_none_is_sent() -> None:
    assert "Authorization" not in snippets("http://127.0.0.1:1", None, "m")["curl"]


def test_the_environment_is_for_a_shell() -> None:
    assert all(re.fullmatch(r"export [A-Z_]+=\S+", line) for line in TEXTS["environment"].splitlines())
