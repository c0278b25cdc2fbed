"""What is markup to a model, told from its tokenizer and its template; and texts in which none is left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm import tokenizer_utils
from tokenizers.normalizers import NFKC, Lowercase, Prepend, Sequence

from core.catalog import Catalog
from core.mlx.models.formats import find_markers
from core.mlx.models.markup import Markup, find_markup

Made = Callable[..., tuple[Any, Markup]]
"""A tokenizer of pocket/qwen3 with changes, and its markup."""


@pytest.fixture
def made(catalog: Catalog, tmp_path: Path) -> Made:
    def make(template: str | None = None, **changes: Any) -> tuple[Any, Markup]:
        folder = tmp_path / "model"
        shutil.copytree(catalog.get("pocket/qwen3").path, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        file = folder / "tokenizer.json"
        content = json.loads(file.read_text())
        more = changes.pop("more", ())
        last = content["added_tokens"][-1]
        content["added_tokens"] += [{**last, "id": last["id"] + 1 + i, "content": text} for i, text in enumerate(more)]
        for token in content["added_tokens"]:
            token["normalized"] = changes.get("normalized", False)
        if "normalizer" in changes:
            content["normalizer"] = changes["normalizer"]
        file.write_text(json.dumps(content))
        tokenizer = tokenizer_utils.load(folder)
        return tokenizer, find_markup(tokenizer, None, None, find_markers(tokenizer))

    return make


@given(st.text(alphabet="<|im_end>start \n", max_size=40), st.integers(0, 40))
def test_what_is_broken_up_once_holds_no_markup(text: str, cut: int) -> None:
    markup = Markup({"<|im_end|>", "<|im_start|>", "<s>", "|>"}, ["<|image_1|>"])
    broken = markup.as_text(text)
    assert not any(marker in broken for marker in markup.strings)
    assert markup.as_text(broken) == broken
    assert broken.replace(" ", "") == text.replace(" ", "")
    joined = "".join(markup.texts([text[:cut], text[cut:]]))
    assert not any(marker in joined for marker in markup.strings)
    assert joined.replace(" ", "") == text.replace(" ", "")


def test_a_model_without_markup_leaves_text_alone() -> None:
    assert Markup(()).as_text("<|im_end|> [INST]") == "<|im_end|> [INST]"
    assert Markup({"<s>"}).as_text("a < b, <t>, <s", ("<s>",)) == "a < b, <t>, <s"
    assert Markup({"<s>", "</s>"}).as_text("<s></s>", ("<s>",)) == "<s>< /s>"


def test_a_counted_placeholder_is_broken_whatever_its_number() -> None:
    markup = Markup((), ["<|image_1|>\n"])
    assert markup.as_text({"a": ["<|image_17|>\n", 3, None]}) == {"a": ["< |image_17|>\n", 3, None]}


def test_texts_that_are_joined_hold_none_and_are_broken_where_nobody_trims() -> None:
    markup = Markup({"<|im_end|>"})
    assert markup.texts(["a<|im_", "end|>b"]) == ["a< |im_", "end|>b"]
    assert markup.texts(["a<", "|im_end|>b"]) == ["a<", "| im_end|>b"]
    assert markup.texts(["<|im_end|>", "", "<|", "im", "_end|>"]) == ["< |im_end|>", "", "< |", "im", "_end|>"]
    assert markup.texts(["<|im_end", "|>"], {"<|im_end|>"}) == ["<|im_end", "|>"]
    assert markup.texts(["plain", "text"]) == ["plain", "text"]


def test_tokens_that_the_template_writes_are_markup_special_or_not(made: Made) -> None:
    more = ("<|fim_prefix|>", "<table>", "  ", "\n\n", "assistant", "{%-", "[]", "...")
    tokenizer, markup = made(more=more)
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    assert added - markup.strings == {*more} - {"<|fim_prefix|>"}
    text = "The assistant's  <table>\n\n{%- x[] -%}... <|fim_prefix|><tool_response>"
    assert markup.as_text(text) == "The assistant's  <table>\n\n{%- x[] -%}... < |fim_prefix|>< tool_response>"


@pytest.mark.parametrize(
    ("template", "text", "broken"),
    [
        (
            "{% for m in messages %}{{ '[INST] ' + m.content + ' [/INST]' }}{% endfor %}",
            "a [/INST] b [INST] [c] [TODO]",
            "a [ /INST] b [ INST] [c] [TODO]",
        ),
        (
            "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '</s>\n' }}{% endfor %}",
            "a</s>\n<|system|>\n<|other|>",
            "a< /s>\n< |system|>\n<|other|>",
        ),
        (
            "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
            "{{ '<|' + m.role + '|>' + m.content }}{% endfor %}",
            "<|user|><|system|>",
            "< |user|><|system|>",
        ),
        ("<<SYS>>{{ messages[0].content }}<</SYS>>", "<</SYS>> <sys>", "< </SYS>> <sys>"),
        ("{{ messages[0].content }} <b>Answer</b> with <tool_response>", "<b> <tool_response>", "<b> < tool_response>"),
        ("{% broken", "[INST]", "[INST]"),
    ],
)
def test_marks_that_are_plain_text_are_told_from_the_template(
    made: Made, template: str, text: str, broken: str
) -> None:
    assert made(template)[1].as_text(text) == broken


def test_of_several_templates_all_are_read(made: Made, monkeypatch: Any) -> None:
    tokenizer, _ = made()
    several = {"default": "[INST]{{ messages }}", "tool_use": "[TOOLS]{{ tools }}"}
    monkeypatch.setattr(tokenizer._tokenizer, "chat_template", several)
    markup = find_markup(tokenizer, None, None, find_markers(tokenizer))
    assert markup.as_text("[INST][TOOLS]") == "[ INST][ TOOLS]"


@pytest.mark.parametrize(
    ("normalizer", "text"),
    [
        (Lowercase(), "a<|IM_End|>b <THINK>"),
        (NFKC(), "a\uff1c|im_end|\uff1eb \uff1cthink>"),
        (Sequence([Prepend("_"), NFKC(), Lowercase()]), "a_\uff1c|IM_END|>b"),
    ],
)
def test_what_the_tokenizer_makes_of_a_text_is_no_markup(made: Made, normalizer: Any, text: str) -> None:
    state = json.loads(normalizer.__getstate__())
    tokenizer, markup = made(normalizer=state, normalized=True)
    added = set(tokenizer.added_tokens_decoder)
    assert added & set(tokenizer.encode(text)), "it would forge"
    broken = markup.as_text(text)
    assert not added & set(tokenizer.encode(broken))
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert markup.texts([text[:4], text[4:]]) != [text[:4], text[4:]]
    assert markup.as_text("PLAIN \uff34ext <B>") == "PLAIN \uff34ext <B>"


def test_a_text_is_taken_as_it_is_where_the_tokenizer_looks_at_it_so(made: Made) -> None:
    _, markup = made(normalizer={"type": "Lowercase"})
    assert markup.as_text("<|IM_END|> <|im_end|>") == "<|IM_END|> < |im_end|>"


def test_a_character_that_becomes_markup_by_itself_ends_the_search() -> None:
    markup = Markup({"(1)"}, loose={"(1)"}, normalize=NFKC().normalize_str)
    assert markup.as_text("\u2474 (\uff11)") == "\u2474 ( \uff11)"
