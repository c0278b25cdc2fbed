"""A model's own markup: the strings that its tokenizer or its processor takes for more than text.

Only a chat template may write them. In what people, documents and tools wrote they would forge turns and images, so
they are broken up there, by a space that everybody can see.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any


class Markup:
    """`strings` as they are written; a "1" between two digits' places in one of `counted` stands for any number."""

    def __init__(self, strings: Iterable[str], counted: Iterable[str] = ()) -> None:
        self.strings = frozenset(text for text in strings if len(text.strip()) > 1)
        spelled = [re.escape(text) for text in sorted(self.strings, key=lambda text: (-len(text), text))]
        spelled += [re.escape(text).replace("1", r"\d+") for text in counted]
        self._pattern = re.compile("|".join(spelled)) if spelled else None

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
        while self._pattern is not None:
            before, text = text, self._pattern.sub(lambda found: _broken(found[0], keep), text)
            if text == before:
                break
        return text


def _broken(text: str, keep: Collection[str]) -> str:
    return text if text in keep else f"{text[0]} {text[1:]}"


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
