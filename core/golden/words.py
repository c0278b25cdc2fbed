"""Find whole words in an answer, whatever their case, and say where they stand in the text as it was written."""

from __future__ import annotations

import re
import unicodedata

import regex

PLAIN = {"\u2019": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-"}
"""Typographic apostrophes and hyphens, which models write and people do not type."""

SPACELESS = ("CJK", "HIRAGANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts that put no space between words, by the start of their characters' Unicode names."""

SIGNS = "-\u2010\u2011\u2212\u2013"
"""Between digits they make a range, a date or a telephone number; before one, a number below zero."""
WITHIN = "/:'_\u2019\u00a0\u2009\u202f"
"""Between digits they make one number of two: a fraction, a time, groups of thousands."""


def find_words(text: str, phrase: str, *, fold: bool = True) -> list[tuple[int, int]]:
    """Every place (start, end) in `text` where `phrase` stands as whole words; indices count characters of `text`.

    Case and typographic apostrophes are ignored with `fold`; how accents are encoded never matters; a run of white
    space matches any other. A word ends where its letters, digits and accents end ("red" is not in "colored", though
    it is in "_red_" and "red-hot"). A number is not part of another one: "4" is not in "3.4", "-4", "4/5", "x^4" or
    "4:30". Scripts without spaces have no word ends, so any place will do there. Korean writes particles onto words: of
    those only the beginning has to be one.
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
        if _begins(folded, start) and _ends(folded, end):
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


def _begins(text: str, index: int) -> bool:
    """Whether a word may begin at `index`."""
    if index == 0:
        return True
    before, first = text[index - 1], text[index]
    earlier = text[index - 2] if index >= 2 else " "
    if first in SIGNS:
        return not before.isdigit()
    if first.isdigit():
        if before in SIGNS:  # "route-4" is the fourth route, "-4", "x=-4" and "3-4" are other numbers
            return earlier.isalpha()
        if before == ".":
            return not (earlier.isdigit() or earlier.isspace() or earlier in "([{")
        if before == "," or before in WITHIN:
            return not earlier.isdigit()
        if before in "^\u221a" or (before == earlier == "*" and _is_operand(text, index - 3)):
            return False
    return _apart(before, first)


def _ends(text: str, index: int) -> bool:
    """Whether a word may end before `index`."""
    if index == len(text):
        return True
    last, after = text[index - 1], text[index]
    later = text[index + 1] if index + 1 < len(text) else " "
    if last.isdigit():
        if after in ".," or after in WITHIN or after in SIGNS:
            return not later.isdigit()
        if after == "^" or (after == later == "*" and _is_operand(text, index + 2)):
            return False
    if _hangul(last) and _hangul(after):
        return _begins_syllable(after)
    return _apart(last, after)


def _is_operand(text: str, index: int) -> bool:
    """Whether the two stars beside `index` raise to a power, and are no Markdown."""
    return 0 <= index < len(text) and (text[index].isalnum() or text[index] in "()")


def _apart(before: str, after: str) -> bool:
    if not (_in_word(before) and _in_word(after)):
        return True
    return _spaceless(before) or _spaceless(after)


def _hangul(character: str) -> bool:
    return unicodedata.name(character, "").startswith("HANGUL")


def _begins_syllable(jamo: str) -> bool:
    """Whether a letter of decomposed Hangul is a leading consonant (Unicode 3.12)."""
    return "\u1100" <= jamo <= "\u115f" or "\ua960" <= jamo <= "\ua97c"


def _in_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _spaceless(character: str) -> bool:
    return unicodedata.name(character, "").startswith(SPACELESS)


def composed(text: str) -> tuple[str, list[int]]:
    """The text in Unicode's form NFC, and for each of its characters, and its end, the index in `text` it came from."""
    if unicodedata.is_normalized("NFC", text):
        return text, list(range(len(text) + 1))
    pieces: list[str] = []
    origin: list[int] = []
    for cluster in regex.finditer(r"\X", text):  # nothing composes across two of them
        piece = unicodedata.normalize("NFC", cluster[0])
        pieces.append(piece)
        origin.extend([cluster.start()] * len(piece))
    return "".join(pieces), [*origin, len(text)]
