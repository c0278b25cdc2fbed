"""Templates rendered in a process of their own write what transformers would have them write."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from jinja2.exceptions import TemplateError
from transformers.utils import chat_template_utils

from core.catalog import Catalog
from core.mlx.models import templates
from core.mlx.models.loading import load_steps
from core.mlx.models.templates import Renderers, TemplateStopped, renderers
from core.pocket import MODELS_DIR
from core.settings import Settings
from tests.core.mlx.models.test_formats import FORMATS

CALL = {
    "id": "c",
    "type": "function",
    "function": {"name": "look", "arguments": {"at": "Köln <&>", "n": [1, 2.5, None]}},
}
TURNS = [
    {"role": "system", "content": "  Be brief. "},
    {"role": "user", "content": "Hi 👋 \ud800 \x00"},
    {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning_content": "Hm.", "thinking": "Hm."},
    {"role": "tool", "tool_call_id": "c", "content": "<b>33</b>"},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "And?"}]},
]
TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}
ODD = {
    "loops": "{% for m in messages %}{% if loop.index == 2 %}{% continue %}{% endif %}{{ loop.index0 }}{% endfor %}",
    "trimmed": "{% if true %}\n   {%- set x = 1 -%}\n  a\n  {% endif %}\n\n  b\n",
    "generation": "{% for m in messages %}a{% generation %}{% set x = m.role %}{{ x }}{{ loop.index }}"
    "{% endgeneration %}{% endfor %}{{ x }}",
    "json": "{{ tools | tojson }}{{ messages | tojson(indent=2, sort_keys=true) }}"
    "{{ tools | tojson(ensure_ascii=true) }}{{ messages[2] | tojson(separators=(',', ':')) }}",
    "namespace": "{% set n = namespace(self=1, x=[]) %}{% for m in messages %}{% set n.x = n.x + [m.role] %}"
    "{% endfor %}{{ n.x }}{{ n.self }}{{ n }}{{ n.missing }}",
    "dict": "{{ dict(a=1, **{'b': 2}) }}{{ dict.fromkeys([1, 2]) }}{{ dict([(3, 4)]) }}",
    "date": "{{ strftime_now('%Y-%m') }}",
    "refusal": "{{ raise_exception('only ' ~ messages|length) }}",
    "fault": "{{ messages[0].content + 1 }}",
    "missing": "{{ messages[0].a.b }}",
    "division": "{{ 1 / 0 }}",
    "unsafe": "{{ messages.append(1) }}",
    "class": "{{ ''.__class__.__mro__ }}",
    "syntax": "{% for %}",
    "numbers": "{{ 2 ** 70 }}{{ 1e400 }}{{ 0.1 + 0.2 }}{{ -7 // 2 }}{{ true }}{{ none }}",
    "variables": "{{ bos_token }}{{ enable_thinking }}{{ add_generation_prompt }}{{ documents }}{{ unknown }}",
    "macro": "{% macro m(a, b=2) %}[{{ a }}{{ b }}{{ varargs }}]{% endmacro %}{{ m(1) }}{{ m(1, 3, 4) }}",
    "filters": "{{ messages|map(attribute='role')|unique|join(',') }}{{ tools[0].function.items()|list }}"
    "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ 'a b'|title|indent(3, true) }}",
}


def written(render: Callable[..., str]) -> str:
    """What a template makes of a conversation, or how it refuses it."""
    asked = {"messages": TURNS, "tools": [TOOL], "documents": None, "add_generation_prompt": True, "bos_token": "<s>"}
    try:
        return render(**asked, enable_thinking=False, pair=(1, "two"))
    except Exception as error:
        return f"refused: {str(error) or type(error).__name__}"


def sources() -> dict[str, str]:
    pocket = {path.parent.name: path.read_text() for path in MODELS_DIR.glob("*/chat_template.jinja")}
    return pocket | ODD | {name: made.template for name, made in FORMATS.items()}


@pytest.mark.parametrize("name", sources())
def test_a_template_writes_what_it_writes_in_transformers(name: str) -> None:
    source = sources()[name]
    there = written(templates._Elsewhere(source).render)

    def here(**variables: Any) -> str:
        return str(templates._compile(source).render(**variables))

    assert there == written(here)


def test_tokenizers_render_there() -> None:
    templates.install()
    rendered, _ = chat_template_utils.render_jinja_template([TURNS], chat_template="{{ messages[3].content }}")
    assert rendered == ["<b>33</b>"]
    assert isinstance(chat_template_utils._compile_jinja_template("x"), templates._Elsewhere)
    assert chat_template_utils._get_template_variables("{{ a }}{{ messages }}") == {"a", "messages"}


def test_a_process_is_used_again_and_replaced_when_it_has_died() -> None:
    own = Renderers()
    try:
        own.start()
        (first,) = own._all
        assert own.ask("text", "{{ a }}", {"a": 1}) == "1"
        assert own._all == {first}
        os.kill(first._process.pid, signal.SIGKILL)
        first._process.wait()
        assert own.ask("text", "{{ a }}", {"a": 2}) == "2"
        assert first not in own._all
    finally:
        own.close()
    assert not first.alive


def test_large_conversations_go_through_and_their_process_is_not_kept() -> None:
    own = Renderers()
    try:
        text = "è" * 6_000_000
        assert own.ask("text", "{{ a }}", {"a": text}) == text
        assert not own._all
    finally:
        own.close()


def test_closing_ends_what_is_at_work() -> None:
    own, stopped = Renderers(), threading.Event()

    def ask() -> None:
        with pytest.raises(TemplateStopped, match="ended the process"):
            own.ask("text", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", {})
        stopped.set()

    thread = threading.Thread(target=ask)
    own.start()
    (process,) = own._all
    thread.start()
    while own._idle:  # until it has been taken
        thread.join(0.001)
    own.close()
    thread.join(30)
    assert stopped.is_set()
    assert not psutil.pid_exists(process._process.pid)


def test_a_process_knows_no_keys_and_ends_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    process = templates._Process()
    try:
        seen = psutil.Process(process._process.pid)
        assert "HF_TOKEN" not in seen.environ()
        assert Path(seen.cwd()) == Path("/")
        assert process._process.stdin is not None
        process._process.stdin.close()
        assert process._process.wait(30) == 0
    finally:
        process.end()


@pytest.mark.parametrize("source", ["{{ namespace(_x=1) }}", "{% set n = namespace() %}{% set n._x = 1 %}"])
def test_a_namespace_takes_no_hidden_names(source: str) -> None:
    for render in (templates._Elsewhere(source).render, templates._compile(source).render):
        with pytest.raises(TemplateError, match="underscore"):
            render()


def test_refusals_are_cut() -> None:
    with pytest.raises(TemplateError) as refused:
        renderers.ask("text", "{{ raise_exception('a' * 1000000) }}", {})
    assert len(str(refused.value)) == 2_000


def test_a_load_tries_a_template_that_does_not_end_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(MODELS_DIR / "qwen2-vl", tmp_path / "models" / "odd")
    (tmp_path / "models" / "odd" / "chat_template.jinja").write_text(
        "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    )
    monkeypatch.setattr(templates, "SECONDS", 0.2)
    stops: list[str] = []
    cause = templates._Process._cause

    def noted(process: templates._Process) -> str:
        stops.append(cause(process))
        return stops[-1]

    monkeypatch.setattr(templates._Process, "_cause", noted)
    catalog = Catalog(Settings(model_folders=[tmp_path / "models"], hf_cache=tmp_path, data_dir=tmp_path))
    list(load_steps(next(info for info in catalog.list() if info.id.endswith("odd")), allow_code=False))
    assert stops == ["did not end within 0.2 s"]
