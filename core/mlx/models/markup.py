"""A model's own markup: the strings that its tokenizer or its processor takes for more than text.

Only a chat template may write them. In what people, documents and tools wrote they would forge turns and images, so
they are broken up there, by a space that everybody can see.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any


class Markup:
    """`strings` as they are written; a "1" in one of `counted` stands for any number."""

    def __init__(self, strings: Iterable[str], counted: Iterable[str] = ()) -> None:
        self.strings = frozenset(text for text in strings if len(text.strip()) > 1)
        self._lengths = sorted({len(text) for text in self.strings}, reverse=True)
        # Vocabularies name thousands of them: one look at where any may begin, then a set, instead of one long pattern.
        first = "".join(re.escape(text[0]) for text in self.strings) or "^\\s\\S"
        self._starts = re.compile(f"[{first}]")
        spelled = [re.escape(text).replace("1", r"\d+") for text in counted]
        self._counted = re.compile("|".join(spelled)) if spelled else None

    def as_text(self, value: Any, keep: Collection[str] = ()) -> Any:
        """`value`, a string or JSON of any depth, in which no markup is left but what is in `keep`."""
        if isinstance(value, str):
            return self._broken_up(value, keep)
        if isinstance(value, dict):
            return {self.as_text(name, keep): self.as_text(item, keep) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.as_text(item, keep) for item in value]
        return value

    def _broken_up(self, text: str, keep: Collection[str]) -> str:
        """Again until nothing changes: one string may hold another."""
        while True:
            before = text
            if self._counted is not None:
                text = self._counted.sub(lambda found: _broken(found[0]), text)
            text = self._once(text, keep)
            if text == before:
                return text

    def _once(self, text: str, keep: Collection[str]) -> str:
        made: list[str] = []
        done = 0
        for start in self._starts.finditer(text):
            place = start.start()
            if place < done:
                continue
            pieces = (text[place : place + length] for length in self._lengths)
            found = next((piece for piece in pieces if piece in self.strings), None)
            if found is not None:
                made += text[done:place], found if found in keep else _broken(found)
                done = place + len(found)
        return "".join((*made, text[done:]))


def _broken(text: str) -> str:
    return f"{text[0]} {text[1:]}"


def find_markup(tokenizer: Any, processor: Any, image_text: str | None) -> Markup:
    """Of a model by its tokenizer (transformers'), its processor (None for text models) and its image placeholder."""
    strings = {str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special}
    strings |= set(tokenizer.all_special_tokens)
    for part in (processor, getattr(processor, "tokenizer", None)):
        names = [name for name in dir(type(part)) + list(vars(part)) if name.endswith("_token")] if part else []
        strings |= {value for name in names if isinstance(value := getattr(part, name, None), str)}
    counted = [image_text] if image_text and "1" in image_text else []
    if image_text and not counted:
        strings.add(image_text.strip())
    return Markup(strings, counted)
