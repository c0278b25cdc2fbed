"""Schemas over tokens, driven by hand: what may come next, from when on, and how often."""

from __future__ import annotations

import json
import re
from typing import Any

import llguidance.hf
import mlx.core as mx
import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from core.calls.json_schemas import prepare_schema
from core.errors import UnsupportedInput
from core.mlx.decoding.constraint import JsonConstraint, grammar_tokenizer
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.markup import Markup

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
VALUE = '{"city": "Oslo"}'


class Bench:
    """A constraint, and the tokens that it has let pass."""

    def __init__(self, weights: LoadedWeights, schema: Any = SCHEMA, **options: Any) -> None:
        self.tokenizer = weights.tokenizer
        self.width = weights.vocabulary
        made = grammar_tokenizer(weights.tokenizer._tokenizer, weights.markup)
        self.constraint = JsonConstraint(made, schema, **options)
        self.tokens = [0]

    def only(self) -> int | None:
        """The one token that may come next, which comes; the longest of several; None at the end."""
        allowed = np.isfinite(np.array(self.constraint(mx.array(self.tokens), mx.zeros((1, self.width))))[0])
        found = max(np.flatnonzero(allowed).tolist(), key=lambda token: len(self.tokenizer.decode([token])))
        if found in self.tokenizer.eos_token_ids:
            return None
        self.tokens.append(found)
        return int(found)

    def tokens_of(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def allows(self, text: str) -> bool:
        """Whether the first token of `text` may come; it comes, and the rest behind it, if each may."""
        for token in self.tokens_of(text):
            allowed = self.constraint(mx.array(self.tokens), mx.zeros((1, self.width)))
            if not np.isfinite(np.array(allowed)[0, token]):
                return False
            self.tokens.append(token)
        return True


@pytest.fixture
def marker(weights: LoadedWeights) -> int:
    (token,) = weights.tokenizer.encode("<tool_call>", add_special_tokens=False)
    return int(token)


def test_a_value_is_held_from_its_first_token(weights: LoadedWeights) -> None:
    assert not Bench(weights).allows("Oslo")
    assert not Bench(weights).allows('{"town')
    assert Bench(weights).allows(VALUE)
    done = Bench(weights)
    assert done.allows(VALUE)
    assert not done.allows("more")


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#/$defs/one"}, {"properties": {"b": {"type": "integer"}}}]},
        {"$ref": "#/$defs/one", "properties": {"b": {"type": "integer"}}},
    ],
)
def test_an_object_that_two_schemas_describe_gets_the_names_of_both_and_no_others(
    weights: LoadedWeights, schema: dict[str, Any]
) -> None:
    one = {"properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
    both = prepare_schema({"type": "object", **schema, "$defs": {"one": one}}, "It", "response_format").schema
    for text, right in (('{"a": "x"}', True), ('{"a": "y"', False), ('{"a": "x", "c', False)):
        assert Bench(weights, schema=both).allows(text) == right, text
    assert any(Bench(weights, schema=both).allows(text) for text in ('{"a": "x", "b": 1}', '{"b": 1, "a": "x"}'))


def test_everything_may_come_before_what_is_waited_for(weights: LoadedWeights, marker: int) -> None:
    bench = Bench(weights, wait_for=marker)
    assert bench.allows("Whatever comes before it.")
    assert bench.allows("<tool_call>")
    assert not bench.allows("Whatever")


def test_what_stands_behind_the_marker_is_held_and_all_between_is_free(weights: LoadedWeights, marker: int) -> None:
    bench = Bench(weights, wait_for=marker, open_end=True, again=True)
    assert bench.allows("Let me look.")
    assert bench.allows(f"<tool_call>\n{VALUE}")
    assert bench.allows("\n</tool_call>\nAnd now?")
    assert bench.allows("<tool_call>\n")
    assert not bench.allows('{"city": "Rome"}')


def test_without_again_it_is_free_for_good(weights: LoadedWeights) -> None:
    bench = Bench(weights, open_end=True)
    assert bench.allows(VALUE)
    assert bench.allows("\n</tool_call>")
    assert bench.allows('<tool_call>{"town": 1}')


def test_a_second_call_is_held_as_the_first(weights: LoadedWeights, marker: int) -> None:
    bench = Bench(weights, wait_for=marker, open_end=True, again=True)
    for _ in range(3):
        assert bench.allows(f"<tool_call>\n{VALUE}\n</tool_call>\n")
    assert bench.allows("<tool_call>")
    assert not bench.allows("Oslo")


@pytest.mark.parametrize("text", ["<think>", "a</think>b", "<tool_call>", "x <|im_end|>", "<|endoftext|>"])
def test_markup_in_a_schema_is_text_of_ordinary_tokens(weights: LoadedWeights, text: str) -> None:
    added = set(weights.tokenizer.added_tokens_decoder)
    for schema, value in (
        ({"const": text}, json.dumps(text)),
        ({"type": "string", "pattern": f"^{re.escape(text)}$"}, json.dumps(text)),
        ({"properties": {text: {"const": 1}}, "required": [text], "additionalProperties": False}, f'{{"{text}": 1}}'),
    ):
        bench = Bench(weights, {"type": "object", **schema} if "properties" in schema else schema)
        written: list[int] = []
        while (token := bench.only()) is not None:
            written.append(token)
        assert weights.tokenizer.decode(written) == value
        assert not added & set(written)


PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *'abcsx<>/|[]"\u2581', "s>", "</", "  "]
"""A vocabulary as SentencePiece makes them: control tokens are among the pieces, and pieces could make them."""


def sentencepiece(model: Any) -> PreTrainedTokenizerFast:
    backend = Tokenizer(model)
    backend.normalizer = normalizers.Replace(" ", "\u2581")
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.add_tokens(["  ", "<b>", "[X]"])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_control_tokens_among_the_pieces_of_a_vocabulary_are_no_text(kind: str) -> None:
    vocabulary = {piece: token for token, piece in enumerate(PIECES)}
    merges = [("<", "/"), ("s", ">"), ("<", "s>"), ("</", "s>")]
    tokenizer = sentencepiece(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True)
        if kind == "BPE"
        else models.Unigram(
            [(piece, -float(token)) for piece, token in vocabulary.items()], unk_id=0, byte_fallback=True
        )
    )
    plain, made = llguidance.hf.from_tokenizer(tokenizer), grammar_tokenizer(tokenizer, Markup(["[X]"]))
    assert (made.vocab_size, made.eos_token) == (plain.vocab_size, plain.eos_token)
    names = tokenizer.convert_ids_to_tokens(range(made.vocab_size))
    changed = {name for token, name in enumerate(names) if made.decode_bytes([token]) != plain.decode_bytes([token])}
    assert changed == {"<unk>", "<s>", "</s>", "<b>", "[X]"}
    for text in ("a<s>", "</s>", "<b>", "[X]", "a  b"):
        tokens = made.tokenize_str(text)
        assert not changed & {names[token] for token in tokens}
        assert made.decode_str(tokens) == text


def test_a_tokenizer_that_tells_no_texts_of_tokens_is_refused_in_a_sentence() -> None:
    with pytest.raises(UnsupportedInput, match="Leave the schema out"):
        grammar_tokenizer(object(), Markup(()))
