"""A model's own markup: the strings that its tokenizer, its processor or its chat template takes for more than text.

Only a chat template may write them. In what people, documents and tools wrote they would forge turns, results and
images, so they are broken up there, by a space that everybody can see.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from jinja2.exceptions import TemplateError

from core.mlx.models.formats import Markers
from core.mlx.models.templates import TemplateStopped, literals

TAG = re.compile(r"[<\[{\]].*[^\W\d_].*[>\]}\[]", re.DOTALL)
"""The shape of markup. Vocabularies also add words, runs of spaces and pieces of code, which are text."""
BARRED = re.compile(r"<[|\uff5c].+[|\uff5c]>", re.DOTALL)
"""A shape that nothing but markup has."""
WRITTEN = re.compile(r"<[|\uff5c][^\s<>]+[|\uff5c]>|\[/?[A-Z][A-Z_]+\]|<</?[A-Z]+>>|</?tool_\w+>|</?s>")
"""What is markup in a template's own text though it may be no token: <|user|>, [INST], <<SYS>>, <tool_response>, </s>.
Other tags may as well be words of its instructions."""


class Markup:
    """`strings` as they are written; a "1" in one of `counted` stands for any number.

    `own` are those that an assistant's earlier turns may hold: templates look for its thinking in there. `loose` are
    looked for in what `normalize`, the tokenizer's, makes of a text.
    """

    def __init__(
        self,
        strings: Iterable[str],
        counted: Iterable[str] = (),
        own: Iterable[str] = (),
        loose: Iterable[str] = (),
        normalize: Callable[[str], str] | None = None,
    ) -> None:
        self.strings = frozenset(text for text in strings if len(text.strip()) > 1)
        self.own = self.strings.intersection(own)
        self._exact = _Finder(self.strings)
        spelled = [re.escape(text).replace("1", r"\d+") for text in counted]
        self._counted = re.compile("|".join(spelled)) if spelled else None
        self._normal = _Normal(normalize) if normalize is not None else None
        self._loose = _Finder({normalize(text) for text in self.strings.intersection(loose)} if normalize else ())

    def as_text(self, value: Any, keep: Collection[str] = ()) -> Any:
        """`value`, a string or JSON of any depth, in which no markup is left but what is in `keep`."""
        if isinstance(value, str):
            return self.texts([value], keep)[0]
        if isinstance(value, dict):
            return {self.as_text(name, keep): self.as_text(item, keep) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.as_text(item, keep) for item in value]
        return value

    def texts(self, texts: Sequence[str], keep: Collection[str] = ()) -> list[str]:
        """Texts in which no markup is left but what is in `keep`, not even where a template joins them."""
        made = list(texts)
        while spans := [*self._found("".join(made), keep)]:  # again: one string may hold another
            made = _broken(made, spans)
        return made

    def _found(self, text: str, keep: Collection[str]) -> Iterator[tuple[int, int]]:
        """(start, end) of what is to be broken up."""
        if self._counted is not None:
            yield from (found.span() for found in self._counted.finditer(text))
        yield from ((start, end) for start, end in self._exact.spans(text) if text[start:end] not in keep)
        if self._normal is None or not self._loose.strings:
            return
        normal, places = self._normal.of(text)
        if places is None:  # it is what it was
            return
        for start, end in self._loose.spans(normal):
            first, last = places[start], places[end - 1] + 1
            if last - first > 1 and text[first:last] not in keep:
                yield first, last


class _Finder:
    """Where any of many strings stand in a text.

    Vocabularies name thousands of them: one look at where any may begin, then a set, instead of one long pattern.
    """

    def __init__(self, strings: Collection[str]) -> None:
        self.strings = frozenset(strings)
        self._lengths = sorted({len(text) for text in self.strings}, reverse=True)
        first = "".join(re.escape(text[0]) for text in self.strings) or "^\\s\\S"
        self._starts = re.compile(f"[{first}]")

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """(start, end) of each, the longest where several begin; they do not overlap."""
        done = 0
        for match in self._starts.finditer(text):
            start = match.start()
            if start < done:
                continue
            pieces = (text[start : start + length] for length in self._lengths)
            found = next((piece for piece in pieces if piece in self.strings), None)
            if found is not None:
                done = start + len(found)
                yield start, done


class _Normal:
    """What a tokenizer's normalizer makes of a text (small letters, narrow ones), and which character became what."""

    def __init__(self, normalize: Callable[[str], str]) -> None:
        self._normalize = normalize
        self._frame = normalize("aa")
        self._known: dict[str, str] = {}
        self._known[" "] = self._one(" ") or " "  # what is broken up stays so

    def of(self, text: str) -> tuple[str, list[int] | None]:
        """The text, and for each of its characters the place of the one that it was made of; None if none changed."""
        if all(self._one(character) == character for character in set(text)):
            return text, None
        pieces = [self._one(character) for character in text]
        return "".join(pieces), [place for place, piece in enumerate(pieces) for _ in piece]

    def _one(self, character: str) -> str:
        """A character between two letters: some normalizers put something before a text."""
        if character not in self._known:
            made = self._normalize(f"a{character}a")
            alone = made[len(self._frame) - 1 : -1]
            framed = made == f"{self._frame[:-1]}{alone}{self._frame[-1:]}"
            self._known[character] = alone if framed else character
        return self._known[character]


def _broken(texts: Sequence[str], spans: Iterable[tuple[int, int]]) -> list[str]:
    """Texts with a space in each of the spans of their sum: within a text, since templates trim its ends."""
    ends: list[int] = []
    for text in texts:
        ends.append(len(text) + (ends[-1] if ends else 0))
    borders = {*ends}
    places = {next((p for p in range(start + 1, end) if p not in borders), start + 1) for start, end in spans}
    made: list[str] = []
    start = 0
    ordered = sorted(places)
    for text, end in zip(texts, ends, strict=True):
        inside = [place - start for place in ordered[bisect_left(ordered, start) : bisect_left(ordered, end)]]
        cuts = [0, *inside, len(text)]
        made.append(" ".join(text[a:b] for a, b in itertools.pairwise(cuts)))
        start = end
    return made


def find_markup(tokenizer: Any, processor: Any, image_text: str | None, markers: Markers) -> Markup:
    """Of a model by its tokenizer (mlx-lm's), its processor (None for text models), its image placeholder and markers.

    Tokens that are not special are markup where the template writes them, or where they look like nothing else.
    """
    added = {str(token.content): token for token in tokenizer.added_tokens_decoder.values()}
    special = {text for text, token in added.items() if token.special} | set(tokenizer.all_special_tokens)
    for part in (processor, getattr(processor, "tokenizer", None)):
        names = [name for name in dir(type(part)) + list(vars(part)) if name.endswith("_token")] if part else []
        special |= {value for name in names if isinstance(value := getattr(part, name, None), str)}
    counted = [image_text] if image_text and "1" in image_text else []
    if image_text and not counted:
        special.add(image_text.strip())
    thinking = {text for text in (markers.think_start, markers.think_end) if text}
    calls = {text for text in (markers.tool_start, markers.tool_end) if text and TAG.fullmatch(text)}
    written = _written(tokenizer)
    plain = {*WRITTEN.findall(written), *thinking, *calls}
    tokens = {text for text in added if TAG.fullmatch(text) and (text in written or BARRED.fullmatch(text))}
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    return Markup(
        special | tokens | plain,
        counted,
        own=thinking | (calls - special),
        loose={text for text in special | tokens | plain if text not in added or added[text].normalized},
        normalize=normalizer.normalize_str if normalizer is not None else None,
    )


def _written(tokenizer: Any) -> str:
    """What a model's chat templates write of themselves: the strings in them, and a conversation of a few turns."""
    templates = tokenizer.chat_template
    sources = [*templates.values()] if isinstance(templates, dict) else [templates]
    texts: list[str] = []
    for source in sources:
        try:
            texts += [literals(source)] if isinstance(source, str) else []
        except (TemplateError, TemplateStopped):
            continue
    turns = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
    for shown in (turns, turns[1:]) if tokenizer.has_chat_template else ():
        try:
            texts.append(tokenizer.apply_chat_template(shown, tokenize=False))
        except TemplateStopped:  # it would be again
            break
        except Exception:  # templates raise what they like; many take no system message
            continue
        break
    return "\n".join(texts)
