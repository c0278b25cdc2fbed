"""Find whole words in an answer, whatever their case, and say where they stand in the text as it was written."""

from __future__ import annotations

import re
import unicodedata

PLAIN = {"\u2019": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-"}
"""Typographic apostrophes and hyphens, which models write and people do not type."""

SPACELESS = ("CJK", "HIRAGANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts that put no space between words, by the start of their characters' Unicode names."""


def find_words(text: str, phrase: str, *, fold: bool = True) -> list[tuple[int, int]]:
    """Every place (start, end) in `text` where `phrase` stands as whole words; indices count characters of `text`.

    Case and typographic apostrophes are ignored with `fold`; how accents are encoded never matters; a run of white
    space matches any other. A word ends where its letters, digits and accents end ("red" is not in "colored", though
    it is in "_red_" and "red-hot"), a number where its digits end ("4" is not in "3.4"). Scripts without spaces have
    no word ends, so any place will do there.
    """
    words = ["".join(_fold_character(character, fold) for character in word) for word in phrase.split()]
    if not words:
        return []
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    folded, origin = _fold(text, fold)
    found: list[tuple[int, int]] = []
    at = 0
    while match := pattern.search(folded, at):
        start, end = match.span()
        if _is_edge(folded, start) and _is_edge(folded, end):
            found.append((origin[start], origin[end - 1] + 1))
            at = end
        else:
            at = start + 1
    return found


def _fold(text: str, fold: bool) -> tuple[str, list[int]]:
    """The text to search in, and for each of its characters the index of the one that it came from."""
    pieces: list[str] = []
    origin: list[int] = []
    for index, character in enumerate(text):
        piece = _fold_character(character, fold)
        pieces.append(piece)
        origin.extend([index] * len(piece))
    return "".join(pieces), origin


def _fold_character(character: str, fold: bool) -> str:
    """Canonical caseless form (Unicode 3.13, D145), one character at a time so that positions survive."""
    plain = unicodedata.normalize("NFD", character)
    if not fold:
        return plain
    return unicodedata.normalize("NFD", PLAIN.get(plain, plain).casefold())


def _is_edge(text: str, index: int) -> bool:
    """Whether a word may begin or end between the characters at `index` - 1 and `index`."""
    if index == 0 or index == len(text):
        return True
    before, after = text[index - 1], text[index]
    if before in ".," and index >= 2:
        return not (text[index - 2].isdigit() and after.isdigit())
    if after in ".," and index + 1 < len(text):
        return not (before.isdigit() and text[index + 1].isdigit())
    if not (_in_word(before) and _in_word(after)):
        return True
    return _spaceless(before) or _spaceless(after)


def _in_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _spaceless(character: str) -> bool:
    return unicodedata.name(character, "").startswith(SPACELESS)
