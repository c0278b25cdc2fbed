"""Random names, places and wordings for the text model's data, split by fixed rules into training and held-out."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.pocket.train.text_words import (
    ANIMALS,
    CAPITALS,
    CITIES,
    COMMON,
    HELD_CITIES,
    HELD_NAMES,
    NAMES,
    PLACES,
    PREPOSITIONS,
    TOPICS,
    UNKNOWN_COUNTRIES,
    VERBS,
)

T = TypeVar("T")

_ONSETS = ("b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "y", "z", "br", "ch",
"cl", "cr",
           "dr", "fl", "fr", "gl", "gr", "kl", "kr", "pl", "pr", "sh", "sk", "sl", "sp", "st", "th", "tr", "qu",
           "x")  # fmt: skip
_VOWELS = (
    "a",
    "e",
    "i",
    "o",
    "u",
    "a",
    "e",
    "i",
    "o",
    "u",
    "ai",
    "au",
    "ea",
    "ee",
    "ia",
    "ie",
    "oo",
    "ou",
    "ue",
    "y",
    "é",
    "ö",
)
_CODAS = ("", "", "", "", "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "x", "ch", "ck", "ld", "lf", "nd",
          "ng", "nn", "nt", "rd", "rk", "rn", "rt", "sh", "st", "th", "tz")  # fmt: skip
_ENDINGS = ["", "", "", "", "", "burg", "ville", "ton", "ford", "stad", "ia", "land", "wick", "mouth", "grad", "pur"]
_LEADS = ("San", "New", "Port", "El", "Saint", "Santa", "Rio", "Fort", "Los", "Mount", "North", "Lake", "Villa")
_REAL = tuple(sorted({*CITIES, *CAPITALS.values()} - set(HELD_CITIES)))


def is_held_word(word: str) -> bool:
    """Whether an invented word is kept for the tests: one in eight, by its checksum."""
    return zlib.crc32(word.lower().encode()) % 8 == 0


def is_held_sentence(animal: str, verb: str, preposition: str, place: str) -> bool:
    """Whether a sentence to translate is kept for the tests: one in seven, by the words' places in their lists.

    A sum of indices that 7 divides: every word and nearly every pair of words stays in training, and the sentence made
    of the four first words ("The cat sat on the mat.") is held out.
    """
    places = (list(ANIMALS).index(animal), list(VERBS).index(verb), list(PREPOSITIONS).index(preposition))
    return (sum(places) + list(PLACES).index(place)) % 7 == 0


@dataclass(frozen=True)
class Dice:
    """A random source that draws either training values or held-out ones."""

    random: random.Random
    held: bool = False

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return self.random.random() < share

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return self.random.choice(values)

    def number(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return self.random.randint(low, high)

    def invented(self) -> str:
        """A capitalised word that means nothing, such as `Trouburg`."""
        while True:
            if self.chance(0.3):  # the head of one place and the tail of another: letters as real names have them
                head, tail = self.pick(_REAL).split()[0], self.pick(_REAL).split()[-1]
                word = head[: self.number(2, 5)] + tail[-self.number(2, 5) :].lower()
            else:
                syllables = self.pick((1, 2, 2, 2, 3, 3, 4))
                word = "".join(self.pick(_ONSETS) + self.pick(_VOWELS) + self.pick(_CODAS) for _ in range(syllables))
                word += self.pick(_ENDINGS)
            word = word.capitalize()
            known = word in HELD_CITIES or word in HELD_NAMES or word in CAPITALS or word in NAMES or word in _REAL
            if len(word) > 2 and not known and is_held_word(word) == self.held:
                return word

    def city(self) -> str:
        """A place: real or invented, one word or several; in a tenth of the draws typed in lower case."""
        if self.chance(0.45):
            city = self.pick(HELD_CITIES if self.held else _REAL)
        else:
            city = self.invented()
            kind = self.random.random()
            if kind < 0.15:
                city = f"{self.pick(_LEADS)} {city}"
            elif kind < 0.25:
                city = f"{city} {self.invented()}"
            elif kind < 0.30:
                city = f"{city}-{self.invented()}"
            elif kind < 0.33:
                city = f"{city} City"
        return city.lower() if self.chance(0.1) else city

    def name(self) -> str:
        """A person's first name, real or invented."""
        if self.chance(0.5):
            return self.pick(HELD_NAMES if self.held else NAMES)
        return self.invented()

    def common(self) -> str:
        """An everyday word that means nothing to the model."""
        while True:
            word = self.pick(COMMON)
            if is_held_word(word) == self.held:
                return word

    def sentence(self) -> str:
        """A sentence, more or less, of everyday words that the model was not taught."""
        forms = (
            "The {a} {b} {c} the {d}.", "I {a} a {b} {c}.", "We {a} the {b} and the {c}.", "My {a} is {b}.",
            "{n} {a} the {b}.",
            "They {a} to {b} a {c} in {m}.", "It is {a} to {b} the {c} of {n}.", "{n} and {m} {a} {b}.",
            "I would like to {a} a {b}.",
            "She {a} her {b} every {c}.", "You should {a} the {b} {c}, but he {d} it.", "If the {a} {b}, we {c}.",
            "{n}, {a} the {b}!",
        )  # fmt: skip
        words = {slot: self.common() for slot in "abcd"}
        form = self.pick(forms).format(n=self.name(), m=self.city(), **words)
        return form[0].upper() + form[1:]

    def topic(self) -> str:
        """Something that the model does not know."""
        return self.pick([topic for place, topic in enumerate(TOPICS) if (place % 5 == 0) == self.held])

    def subject(self) -> str:
        """A topic, a thing or two things to ask about that the model does not know."""
        kind = self.random.random()
        if kind < 0.5:
            return self.topic()
        if kind < 0.7:
            return f"{self.pick(('the', 'a', 'my', 'your', 'this'))} {self.common()}"
        if kind < 0.9:
            return f"{self.common()} {self.common()}"
        return f"{self.common()} and {self.common()}"

    def unknown_country(self) -> str:
        """A country, real or invented, whose capital the model does not know."""
        if self.chance(0.3):
            return self.pick([name for place, name in enumerate(UNKNOWN_COUNTRIES) if (place % 4 == 0) == self.held])
        return self.invented()

    def sentence_parts(self) -> tuple[str, str, str, str]:
        """Animal, verb, preposition and place of a sentence to translate."""
        while True:
            lists = (ANIMALS, VERBS, PREPOSITIONS, PLACES)
            animal, verb, preposition, place = (self.pick(list(words)) for words in lists)
            if is_held_sentence(animal, verb, preposition, place) == self.held:
                return animal, verb, preposition, place

    def ask(self, templates: Sequence[str], **slots: Any) -> str:
        """A wording, as a person may type it: lower case, no full stop, a slip of the finger; slots stay intact."""
        return self.typed(self.pick(templates)).format(**slots)

    def typed(self, template: str) -> str:
        """The template as typed in haste, in about half of the draws. Text in braces is left alone."""
        if self.chance(0.5):
            return template
        if self.chance(0.4):
            template = "".join(p if p.startswith("{") else p.lower() for p in _pieces(template))
        if self.chance(0.4):
            template = template.rstrip("?.!")
        if self.chance(0.2):
            template = template.replace("'", "")
        if self.chance(0.15):
            template = self._slip(template)
        if self.chance(0.12):
            start = template[0].lower()
            template = self.pick(("Hey, ", "Ok, ", "hi, ", "So ", "Please ", "And ", "Now ")) + start + template[1:]
        elif self.chance(0.1):
            template += self.pick((" please", " Please.", " Thanks!", " thanks", " :)", "??", "!"))
        return template

    def _slip(self, template: str) -> str:
        words = template.split(" ")
        long = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha()]
        if long:
            i = self.pick(long)
            word, at = words[i], self.number(1, len(words[i]) - 2)
            swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            words[i] = self.pick((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))
        return " ".join(words)


def _pieces(template: str) -> list[str]:
    """Cut a format template into literal text and `{slots}`."""
    pieces: list[str] = []
    for part in template.replace("{", "\0{").replace("}", "}\0").split("\0"):
        if part:
            pieces.append(part)
    return pieces
