"""JSON-schema constraint of one row, by llguidance: tokens that would break the schema get probability zero."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from typing import Any

import llguidance
import llguidance.numpy
import mlx.core as mx
import numpy as np

from core.errors import InvalidRequest, UnsupportedInput, ended
from core.mlx.models.markup import Markup

STRICT = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
"""One way to write each value: free whitespace lets a small model fill its answer with newlines."""

NO_TEXT = "\U0010fffd"
"""The last character for private use."""


def grammar_tokenizer(tokenizer: Any, markup: Markup) -> llguidance.LLTokenizer:
    """A fast tokenizer of transformers as grammars want it: text that looks like markup is made of ordinary tokens.

    llguidance never lets a control token stand for text, yet has the tokenizer spell the text that must come next. So
    these tokens get names there that no text holds. It takes those for control tokens that are special or `<tags>`.
    Raises UnsupportedInput for a tokenizer that is not a fast one.
    """
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise UnsupportedInput(
            "No JSON schema can be held with this model: its tokenizer is written in Python, and only those that "
            "tokenizer.json describes tell which text a token stands for. Leave the schema out, or use another model."
        )
    backend = copy(tokenizer.backend_tokenizer)
    backend.no_padding()
    backend.no_truncation()
    made = json.loads(backend.to_str())
    names: dict[str, str] = {}
    for token in made["added_tokens"]:
        text = token["content"]
        if token["special"] or text in markup.strings or (text.startswith("<") and text.endswith(">")):
            names[text] = f"{NO_TEXT}{token['id']}"
            token.update(content=names[text], special=True, normalized=False)
    _rename(made["model"], names)
    return llguidance.LLTokenizer(json.dumps(made), eos_token=tokenizer.eos_token_id)


def _rename(model: dict[str, Any], names: Mapping[str, str]) -> None:
    """The same tokens, by other names, in the model of a tokenizer.json: some have the added ones in there, too."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(text, text): token for text, token in vocabulary.items()}
    else:
        model["vocab"] = [[names.get(text, text), score] for text, score in vocabulary]
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if names.keys().isdisjoint((*pair, "".join(pair)))]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]


class JsonConstraint:
    """A logits processor over (context of shape (n,), logits of shape (1, vocabulary)); one instance serves one row.

    While `wait_for` (the token that ends a thinking block, or begins a call) has not come up, everything is allowed.
    With `open_end` the model is free again once the value is complete, as inside a tool call whose closing marker
    follows; with `again`, until `wait_for` comes up the next time.
    """

    def __init__(
        self,
        tokenizer: llguidance.LLTokenizer,
        schema: Mapping[str, Any],
        *,
        wait_for: int | None = None,
        open_end: bool = False,
        param: str = "response_format",
        again: bool = False,
    ) -> None:
        value = json.dumps({**schema, "x-guidance": STRICT})
        end = " /(.|\\n)*/" if open_end else ""
        begin = "/[ \\n]*/ " if again else ""
        try:
            grammar = llguidance.LLMatcher.grammar_from_lark(f"start: {begin}value{end}\nvalue: %json {value}")
            self._matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)  # it would write to the terminal
            problem = self._matcher.get_error()
        except ValueError as error:
            problem = str(error)
        if problem:
            raise InvalidRequest(f"The JSON schema cannot be used: {_reason(problem)}", param)
        self._param = param
        self._mask = llguidance.numpy.allocate_token_bitmask(1, tokenizer.vocab_size)
        self._wait_for = self._marker = wait_for
        self._again = again
        self._open_end = open_end
        self._begun = self._free = False

    def __call__(self, context: mx.array, logits: mx.array) -> mx.array:
        if self._free:
            return logits
        last = int(np.array(context[-1]))
        if self._wait_for is not None:
            if last != self._wait_for:
                return logits
            self._wait_for = None
        elif self._begun:
            self._matcher.consume_token(last)
        self._begun = True
        if self._matcher.get_error():
            reason = self._matcher.get_error().splitlines()[0][:200]  # what follows is the library's inner state
            if reason.startswith("NoExtension"):
                reason = f"it allows no next token here ({reason})."
            raise InvalidRequest(f"The JSON schema could not be followed: {reason}", self._param)
        if self._open_end and self._matcher.is_accepting():
            if self._again:
                self._matcher.reset()
                self._wait_for, self._begun = self._marker, False
            else:
                self._free = True
            return logits
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._mask, 0)
        allowed = np.unpackbits(self._mask.view(np.uint8), axis=1, bitorder="little").astype(bool)
        width = logits.shape[-1]
        if allowed.shape[1] < width:  # a model may have more rows than its tokenizer has tokens: forbid the rest
            allowed = np.pad(allowed, ((0, 0), (0, width - allowed.shape[1])))
        return mx.where(mx.array(allowed[:, :width]), logits, mx.array(-mx.inf, logits.dtype))


def _reason(problem: str) -> str:
    """What the library says of a schema, without its position in a grammar that nobody wrote."""
    first = next((line for line in problem.splitlines() if line.strip()), problem)
    said = first.rpartition("failed to compile JSON schema: ")[2].rstrip(":")
    return f"{ended(said)} Simplify it there, or leave it out."
