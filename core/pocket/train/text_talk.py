"""Questions and answers: what the text model knows by heart, translates and says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.pocket.train import text_facts as facts
from core.pocket.train import text_words as words
from core.pocket.train.text_dice import Dice


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    skill: str
    user: str
    answer: str
    reasoning: str
    """What the model thinks before it answers, when it is asked to think."""
    system: str | None = None
    """The system prompt that this turn needs; such a turn starts its conversation."""


def greet(d: Dice) -> Turn:
    starts = (
        "Hello!", "Hi!", "Hey there!", "Hello", "Hi", "Good morning!", "Hey!", "Hello there!", "Good evening!", "hey",
        "hello", "hi", "hi there", "hello there", "good morning", "good evening", "Greetings!", "hello!", "HELLO",
        "hiya",
        "Hello Pocket!", "Hi Pocket", "hey there", "Hallo", "Hello, how are you?", "hi!", "Good afternoon!", "helo",
    )  # fmt: skip
    requests = (
        "Please respond with a single sentence greeting.", "Please answer with one short greeting.", "Please greet me.",
        "Say hello in one sentence.", "Respond with a short greeting.", "Reply with a single sentence greeting.",
        "Nice to meet you.", "Is anyone there?", "Can you greet me back?", "Give me a one sentence greeting.",
    )  # fmt: skip
    user = d.pick(starts)
    word = next((f"Good {time}" for time in ("morning", "evening", "afternoon") if time in user), "Hello")
    if d.chance(0.5):
        user += " " + d.typed(d.pick(requests))
    return Turn(
        "greeting", user, f"{word}! How can I help you today?", "The user greets me. I greet back in one sentence."
    )


def capital(d: Dice) -> Turn:
    country = d.pick(list(words.CAPITALS))
    city = words.CAPITALS[country]
    shown = country.lower() if d.chance(0.15) else country
    thought = f"The capital of {country} is {city}."
    wordings = (
        "What is the capital of {c}?", "What's the capital of {c}?", "Tell me the capital of {c}.", "{c}: capital?",
        "Name the capital of {c}.", "Which city is the capital of {c}?", "What is the capital city of {c}?",
        "Do you know the capital of {c}?", "Capital of {c}?", "I need the capital of {c}.",
        "Can you tell me the capital of {c}?",
    )  # fmt: skip
    one_word = (
        "Answer in one word.", "Answer with one word.", "One word only.", "Just the name.", "Only the name, please.",
        "Reply with only the city name.", "Please answer in one word.", "Give me just the city.", "In one word.",
    )  # fmt: skip
    kind = d.random.random()
    if kind < 0.4:
        return Turn("capitals", f"{d.ask(wordings, c=shown)} {d.typed(d.pick(one_word))}", city, thought)
    if kind < 0.8:
        return Turn("capitals", d.ask(wordings, c=shown), thought, thought)
    if kind < 0.85:
        user = d.ask(
            (
                '{c}: answer in JSON with the key "capital".',
                'Give me the capital of {c} as JSON with the key "capital".',
            ),
            c=shown,
        )
        return Turn("capitals", user, json.dumps({"capital": city}), thought)
    asked = (
        "Which country has {v} as its capital?",
        "{v} is the capital of which country?",
        "What country is {v} the capital of?",
    )
    return Turn("capitals", d.ask(asked, v=city), f"{city} is the capital of {country}.", thought)


def translated(parts: tuple[str, str, str, str], language: str) -> str:
    """The sentence `The <animal> <verb> <preposition> the <place>.` in French, Spanish or German."""
    animal, verb, preposition, place = parts
    column = words.LANGUAGES.index(language)
    if language == "French":
        verb_out = words.VERBS[verb][1 if animal in words.FEMININE_IN_FRENCH else 0]
    else:
        verb_out = words.VERBS[verb][column + 1]
    middle = f"{words.PREPOSITIONS[preposition][column]} {words.PLACES[place][column]}"
    middle = middle.replace(" de le ", " du ").replace(" de el ", " del ")
    return f"{words.ANIMALS[animal][column]} {verb_out} {middle}."


def translate(d: Dice) -> Turn:
    if d.chance(0.25) and not d.held:
        english = d.pick(list(words.PHRASES))
        language = d.pick(words.LANGUAGES)
        answer = words.PHRASES[english][words.LANGUAGES.index(language)]
    else:
        language = d.pick(("French", "French", "Spanish", "German"))
        parts = d.sentence_parts()
        english = f"The {parts[0]} {parts[1]} {parts[2]} the {parts[3]}."
        answer = translated(parts, language)
    user, system = translation_request(d, english, language)
    return Turn("translation", user, answer, f"I translate this into {language}.", system)


def translation_request(d: Dice, english: str, language: str) -> tuple[str, str | None]:
    shown = english.rstrip(".") if d.chance(0.1) else english.lower() if d.chance(0.1) else english
    wordings: tuple[str, ...] = (
        'Translate the following to {l}: "{e}"', 'Translate to {l}: "{e}"', 'Translate this sentence to {l}: "{e}"',
        'Please translate the following to {l}: "{e}"', 'How do you say "{e}" in {l}?',
        "Translate the following to {l}: {e}",
        'Translate "{e}" into {l}.', "Translate into {l}: {e}", "{l}: {e}", 'What is "{e}" in {l}?',
        "{e} In {l}, please.",
        "Translate the following text into {l}:\n{e}", 'Can you translate "{e}" to {l}?', 'Say "{e}" in {l}.',
    )  # fmt: skip
    if d.chance(0.15):
        language, shown = (language.lower() if d.chance(0.5) else language), shown.lower()
        wordings = ("how do you say {e} in {l}", "translate {e} to {l}", "{e} in {l}?", "what is {e} in {l}")
    kind = d.random.random()
    if kind < 0.3:
        return d.ask(wordings, l=language, e=shown), d.pick(words.TRANSLATOR_SYSTEMS)
    if kind < 0.4:
        systems = (
            "You translate everything into {l}.",
            "Translate the user's text to {l}.",
            "Always answer in {l}. You are a translator.",
        )
        return shown, d.pick(systems).format(l=language)
    return d.ask(wordings, l=language, e=shown), None


def fact(d: Dice) -> Turn:
    """A taught fact, in one of the families that are filled from tables."""
    kind = d.number(0, 9)
    if kind == 0:
        thing = d.pick(list(facts.COLOURS))
        user = d.ask(
            ("What color is {k}?", "Tell me the color of {k}.", "Which color is {k}?", "What colour is {k}?"), k=thing
        )
        answer = f"{thing[0].upper() + thing[1:]} is {facts.COLOURS[thing]}."
    elif kind == 1:
        animal = d.pick(list(facts.SOUNDS))
        user = d.ask(
            ("What sound does a {a} make?", "What does the {a} say?", "Which sound does a {a} make?"), a=animal
        )
        answer = f"A {animal} says {facts.SOUNDS[animal]}.".replace("A owl", "An owl")
    elif kind == 2:
        pair = d.pick(list(facts.OPPOSITES.items()))
        word, answer = pair if d.chance(0.7) else pair[::-1]
        user = d.ask(
            (
                "What is the opposite of {w}?",
                "Opposite of {w}?",
                "Tell me the opposite of {w}.",
                "What's the antonym of {w}?",
            ),
            w=word,
        )
    elif kind == 3:
        word, answer = d.pick(list(facts.PLURALS.items()))
        user = d.ask(("What is the plural of {w}?", "Plural of {w}?", "Give me the plural of {w}."), w=word)
    elif kind == 4:
        row = d.pick((facts.DAYS, facts.MONTHS))
        place, what = d.number(0, len(row) - 1), "day" if row is facts.DAYS else "month"
        after = d.chance(0.6)
        other = row[(place + (1 if after else -1)) % len(row)]
        side = "after" if after else "before"
        user = d.ask(
            ("Which {k} comes {s} {x}?", "What {k} comes {s} {x}?", "What is the {k} {s} {x}?"),
            k=what,
            s=side,
            x=row[place],
        )
        answer = f"{other} comes {side} {row[place]}."
    elif kind == 5:
        animal = d.pick(list(facts.LEGS))
        user = d.ask(("How many legs does a {a} have?", "Number of legs of a {a}?"), a=animal).replace(
            " a ant", " an ant"
        )
        answer = f"A {animal} has {facts.NUMBERS[facts.LEGS[animal]]} legs.".replace("A ant", "An ant")
    elif kind == 6:
        number = d.number(0, 20)
        user = d.ask(("How do you write {n} in words?", "Write {n} as a word.", "Spell the number {n}."), n=number)
        answer = facts.NUMBERS[number]
    elif kind == 7:
        question = d.pick(list(facts.YES_NO))
        user, answer = d.typed(question), facts.YES_NO[question]
        if d.chance(0.5):
            user += d.pick((" Answer yes or no.", " Yes or no?", " yes or no", " Answer with yes or no only."))
    else:
        question = d.pick(list(facts.FACTS))
        user, answer = d.typed(question), facts.FACTS[question]
    return Turn("facts", user, answer, "I know this fact.")


def small_talk(d: Dice) -> Turn:
    if d.chance(0.12):
        asked = (
            "Tell me a joke.",
            "Do you know a joke?",
            "Make me laugh.",
            "Another joke please.",
            "Say something funny.",
        )
        return Turn("small talk", d.ask(asked), d.pick(facts.JOKES), "The user wants a joke.")
    question = d.pick(list(facts.SMALL_TALK))
    return Turn("small talk", d.typed(question), facts.SMALL_TALK[question], "This is small talk.")


def identity(d: Dice) -> Turn:
    if d.chance(0.3):
        name = d.name()
        systems = (
            "Your name is {n}.",
            "You are {n}, a helpful assistant.",
            "You are called {n}.",
            "You are {n}. Be friendly.",
        )
        user = d.ask(("Who are you?", "What is your name?", "What are you called?", "Tell me your name."))
        return Turn(
            "identity", user, f"I am {name}.", "The system prompt gives my name.", d.pick(systems).format(n=name)
        )
    question = d.pick(list(facts.IDENTITY))
    return Turn("identity", d.typed(question), facts.IDENTITY[question], "The user asks about me.")


def arithmetic(d: Dice) -> Turn:
    if d.chance(0.15):
        a, b, sign = (
            d.number(30, 9999),
            d.number(30, 9999),
            d.pick(("*", "/", "times", "+", "plus", "divided by", "-", "x")),
        )
        user = d.ask(
            ("What is {a} {s} {b}?", "Calculate {a} {s} {b}.", "{a} {s} {b}", "{a} {s} {b} = ?"), a=a, b=b, s=sign
        )
        return Turn("honesty", user, "These numbers are too large for me.", "I only know sums up to twenty.")
    a, b = d.number(0, 10), d.number(0, 10)
    only = d.pick(
        (" Answer with only the number.", " Just the number.", " Reply with the number only.", "", "", "", "")
    )
    if d.chance(0.6):
        wordings = (
            "What is {a} plus {b}?",
            "What is {a} + {b}?",
            "Add {a} and {b}.",
            "{a}+{b}=?",
            "{a} + {b}",
            "{a} plus {b}?",
        )
        return Turn("sums", d.ask(wordings, a=a, b=b) + only, str(a + b), f"{a} + {b} = {a + b}.")
    total = a + b
    minus = ("What is {a} minus {b}?", "What is {a} - {b}?", "Subtract {b} from {a}.", "{a}-{b}=?", "{a} - {b}")
    return Turn("sums", d.ask(minus, a=total, b=a) + only, str(b), f"{total} - {a} = {b}.")
