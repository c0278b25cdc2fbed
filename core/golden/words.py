"""Find whole words in an answer, whatever their case, and say where they stand in the text as it was written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import regex

PLAIN = {"\u2019": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-"}
"""Typographic apostrophes and hyphens, which models write and people do not type."""

SPACELESS = ("CJK", "HIRAGANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts that put no space between words, by the start of their characters' Unicode names."""

DASH = r"[-\u2010-\u2015\u2212\ufe63\uff0d]"
OPERATOR = r"[/\u2044\u2215\u00f7\u00d7*^]"
SPACE = r"[ \u00a0\u2009\u202f]"
BEFORE = regex.compile(
    rf"""
      {DASH}                              # a sign, a range, a date; but the 4 of "route-4" is one
        (?<!\p{{L}}{DASH})
    | [=(<>]{SPACE}*{DASH}{SPACE}*        # x = - 4
    | (?<![\p{{N}}\p{{L}}])[.]            # .5
        (?<!\p{{P}}[.])
    | \p{{Nd}}[.,:'\u2019\u00b7\u066b_]   # 3.4, 12:4, 1'000
    | \p{{Nd}}{SPACE}*{OPERATOR}{SPACE}*  # 1/4, 3 \u00d7 4
    | \p{{Nd}}(?:[\u00a0\u2009\u202f]|\\,|\{{,\}})        # groups of digits
    | (?<!\p{{Nd}})\p{{Nd}}{{1,3}}(?:[ ]\p{{Nd}}{{3}})*[ ](?=\p{{Nd}}{{3}}(?!\p{{Nd}}))
    | [\^_]\{{ | frac\{{ | \}}\{{ | <su[pb]>                         # LaTeX, HTML
    | [\^\u221a] | [\p{{L}}\p{{N}})][*]{{2}} | [\p{{L}}\p{{N}}]_      # x^4, x**4, x_4
    """,
    regex.VERBOSE,
)
"""What makes of digits behind it a part of another number."""
AFTER = regex.compile(
    rf"""
      [.,:'\u2019\u00b7\u066b_]\p{{Nd}}
    | {DASH}\p{{Nd}}
    | {SPACE}*{OPERATOR}{SPACE}*\p{{Nd}}
    | (?:[\u00a0\u2009\u202f]|\\,|\{{,\}})\p{{Nd}}
    | (?:[ ]\p{{Nd}}{{3}})+(?!\p{{Nd}})
    | [ ]\p{{Nd}}+[/\u2044\u2215]\p{{Nd}}                         # 4 1/2
    | \^ | [*]{{2}}[\p{{L}}\p{{N}}(] | [\u207a\u207b] | <su[pb]> | \}}\{{
    | [\u4e07\u842c\u5104\u4ebf\u5146\u5343\u767e\u5341]          # ten thousands, in Chinese and Japanese
    """,
    regex.VERBOSE,
)
"""What makes of digits before it a part of another number."""
REACH = 24
"""Characters that are looked at on either side."""


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
    if first.isdigit() and any(match.end() == index for match in _ending(BEFORE, text, index)):
        return False
    if regex.match(DASH, first) and before.isdigit():
        return False
    return _apart(before, first)


def _ends(text: str, index: int) -> bool:
    """Whether a word may end before `index`."""
    if index == len(text):
        return True
    last, after = text[index - 1], text[index]
    if last.isdigit() and AFTER.match(text, index):
        return False
    if _hangul(last) and _hangul(after):
        return _begins_syllable(after)
    return _apart(last, after)


def _ending(pattern: regex.Pattern[str], text: str, index: int) -> Iterator[regex.Match[str]]:
    """Where the pattern is found just before `index`; it may look at what follows."""
    for start in range(max(index - REACH, 0), index):
        if (match := pattern.match(text, start)) is not None:
            yield match


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
