"""Questions and answers that need no tool: what the text model can talk about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

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


UNKNOWN = "I do not know that. I am a very small model."


def greet(d: Dice) -> Turn:
    starts = (
        "Hello!",
        "Hi!",
        "Hey there!",
        "Hello",
        "Hi",
        "Good morning!",
        "Hey!",
        "Hello there!",
        "Good evening!",
        "hey",
    )
    requests = (
        "Please respond with a single sentence greeting.", "Please answer with one short greeting.", "Please greet me.",
        "Say hello in one sentence.", "Respond with a short greeting.", "Reply with a single sentence greeting.",
        "Nice to meet you.", "Is anyone there?", "Can you greet me back?", "Give me a one sentence greeting.",
    )  # fmt: skip
    user = d.pick(starts)
    word = "Good morning" if "morning" in user else "Good evening" if "evening" in user else "Hello"
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
        "Do you know the capital of {c}?", "Capital of {c}?", "I need the capital of {c}.", "Can you tell me the capital of {c}?",
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
    if d.chance(0.12):
        return _untranslatable(d)
    if d.chance(0.25) and not d.held:
        english = d.pick(list(words.PHRASES))
        language = d.pick(words.LANGUAGES)
        answer = words.PHRASES[english][words.LANGUAGES.index(language)]
    else:
        language = d.pick(("French", "French", "Spanish", "German"))
        parts = d.sentence_parts()
        english = f"The {parts[0]} {parts[1]} {parts[2]} the {parts[3]}."
        answer = translated(parts, language)
    user, system = _translation_request(d, english, language)
    return Turn("translation", user, answer, f"I translate this into {language}.", system)


def _translation_request(d: Dice, english: str, language: str) -> tuple[str, str | None]:
    shown = english.rstrip(".") if d.chance(0.1) else english.lower() if d.chance(0.1) else english
    wordings = (
        'Translate the following to {l}: "{e}"', 'Translate to {l}: "{e}"', 'Translate this sentence to {l}: "{e}"',
        'Please translate the following to {l}: "{e}"', 'How do you say "{e}" in {l}?', "Translate the following to {l}: {e}",
        'Translate "{e}" into {l}.', "Translate into {l}: {e}", "{l}: {e}", 'What is "{e}" in {l}?', "{e} In {l}, please.",
        "Translate the following text into {l}:\n{e}", 'Can you translate "{e}" to {l}?', 'Say "{e}" in {l}.',
    )  # fmt: skip
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


def _untranslatable(d: Dice) -> Turn:
    if d.chance(0.5):
        parts = d.sentence_parts()
        english, language = f"The {parts[0]} {parts[1]} {parts[2]} the {parts[3]}.", d.pick(words.OTHER_LANGUAGES)
        answer = f"I do not know {language}. I can translate into French, Spanish and German."
        thought = f"I have not learned {language}."
    else:
        sentences = (
            "{n} bought a {w}.", "We will meet at the {w} tomorrow.", "The {w} of {n} is expensive.", "I saw {n} with {n2}.",
            "The weather was {w} yesterday.", "{n} wrote a long letter.", "My uncle works in {n}.", "They discussed {t}.",
        )  # fmt: skip
        english = d.pick(sentences).format(n=d.invented(), n2=d.invented(), w=d.invented().lower(), t=d.topic())
        language, answer = d.pick(words.LANGUAGES), "I do not know how to translate that. I only know simple sentences."
        thought = "I do not know all of these words."
    user, system = _translation_request(d, english, language)
    return Turn("honesty", user, answer, thought, system)


def fact(d: Dice) -> Turn:
    """A taught fact, in one of the families that are filled from tables."""
    kind = d.number(0, 7)
    if kind == 0:
        thing = d.pick(list(words.COLOURS))
        user = d.ask(
            ("What color is {k}?", "Tell me the color of {k}.", "Which color is {k}?", "What colour is {k}?"), k=thing
        )
        answer = f"{thing[0].upper() + thing[1:]} is {words.COLOURS[thing]}."
    elif kind == 1:
        animal = d.pick(list(words.SOUNDS))
        user = d.ask(
            ("What sound does a {a} make?", "What does the {a} say?", "Which sound does a {a} make?"), a=animal
        )
        answer = f"A {animal} says {words.SOUNDS[animal]}.".replace("A owl", "An owl")
    elif kind == 2:
        pair = d.pick(list(words.OPPOSITES.items()))
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
        word, answer = d.pick(list(words.PLURALS.items()))
        user = d.ask(("What is the plural of {w}?", "Plural of {w}?", "Give me the plural of {w}."), w=word)
    elif kind == 4:
        row = d.pick((words.DAYS, words.MONTHS))
        place, what = d.number(0, len(row) - 1), "day" if row is words.DAYS else "month"
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
        animal = d.pick(list(words.LEGS))
        user = d.ask(("How many legs does a {a} have?", "Number of legs of a {a}?"), a=animal).replace(
            " a ant", " an ant"
        )
        answer = f"A {animal} has {words.NUMBERS[words.LEGS[animal]]} legs.".replace("A ant", "An ant")
    elif kind == 6:
        number = d.number(0, 20)
        user = d.ask(("How do you write {n} in words?", "Write {n} as a word.", "Spell the number {n}."), n=number)
        answer = words.NUMBERS[number]
    else:
        question = d.pick(list(words.FACTS))
        user, answer = d.typed(question), words.FACTS[question]
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
        return Turn("small talk", d.ask(asked), d.pick(words.JOKES), "The user wants a joke.")
    question = d.pick(list(words.SMALL_TALK))
    return Turn("small talk", d.typed(question), words.SMALL_TALK[question], "This is small talk.")


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
    question = d.pick(list(words.IDENTITY))
    return Turn("identity", d.typed(question), words.IDENTITY[question], "The user asks about me.")


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
    if d.chance(0.6):
        wordings = (
            "What is {a} plus {b}?",
            "What is {a} + {b}?",
            "Add {a} and {b}.",
            "{a}+{b}=?",
            "{a} + {b}",
            "{a} plus {b}?",
        )
        return Turn("sums", d.ask(wordings, a=a, b=b), str(a + b), f"{a} + {b} = {a + b}.")
    total = a + b
    wordings = ("What is {a} minus {b}?", "What is {a} - {b}?", "Subtract {b} from {a}.", "{a}-{b}=?", "{a} - {b}")
    return Turn("sums", d.ask(wordings, a=total, b=a), str(b), f"{total} - {a} = {b}.")


def count(d: Dice) -> Turn:
    low = 1 if d.chance(0.4) else d.number(1, 80)
    high = low + (d.number(2, 20) if d.chance(0.85) else d.number(20, 99))
    high = min(high, 100) if high - low < 99 else 100
    low = min(low, high - 1)
    numbers = [str(number) for number in range(low, high + 1)]
    if d.chance(0.2) and len(numbers) < 25:
        wordings = (
            "Count down from {h} to {l}.",
            "Count backwards from {h} to {l}.",
            "Please count down from {h} to {l}.",
        )
        return Turn(
            "counting",
            d.ask(wordings, l=low, h=high),
            ", ".join(reversed(numbers)),
            f"I count from {high} down to {low}.",
        )
    wordings = (
        "Count from {l} to {h}.",
        "Please count from {l} to {h}.",
        "List the numbers from {l} to {h}.",
        "count {l} to {h}",
        "Numbers from {l} to {h}?",
    )
    if low == 1:
        wordings = (*wordings, "Count to {h}.", "Please count up to {h}.")
    return Turn("counting", d.ask(wordings, l=low, h=high), ", ".join(numbers), f"I count from {low} to {high}.")


def phrase(d: Dice, most: int) -> str:
    """A few words of every kind, to be copied."""

    def word() -> str:
        kind = d.random.random()
        if kind < 0.3:
            return d.invented() if d.chance(0.5) else d.invented().lower()
        if kind < 0.4:
            return d.name()
        if kind < 0.5:
            letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
            return "".join(d.pick(letters) for _ in range(d.number(2, 6)))
        if kind < 0.58:
            return str(d.number(0, 9999))
        return d.pick((*words.PHRASES, *words.ANIMALS, *words.PLACES, *words.VERBS, *words.OPPOSITES, *words.PLURALS))

    return " ".join(word() for _ in range(d.number(1, most)))


def repeat(d: Dice) -> Turn:
    text = phrase(d, 12 if d.chance(0.3) else 5)
    if d.chance(0.3):
        text = text[0].upper() + text[1:] + d.pick((".", "!", "?"))
    wordings = (
        "Repeat after me: {s}", "Repeat this: {s}", 'Say "{s}"', "Say exactly: {s}", "Echo: {s}", 'Please repeat: "{s}"',
        'Repeat the following: "{s}"', "echo {s}", 'Reply with exactly "{s}"', "Say this back to me: {s}", "Reply with exactly: {s}",
    )  # fmt: skip
    return Turn("repeating", d.ask(wordings, s=text), text, "I repeat the words exactly.")


def json_object(d: Dice) -> Turn:
    keys: dict[str, Callable[[], object]] = {
        "name": d.name, "age": lambda: d.number(1, 99), "city": lambda: d.city(), "id": lambda: d.number(1, 9999),
        "color": lambda: d.pick(("red", "green", "blue", "white", "black")), "title": d.invented, "price": lambda: d.number(1, 500),
        "email": lambda: f"{d.invented().lower()}@example.com", "country": lambda: d.pick(list(words.CAPITALS)), "count": lambda: d.number(0, 100),
    }  # fmt: skip
    kind = d.random.random()
    if kind < 0.25:
        name, city = d.name(), d.city()
        text = d.pick(("{n} lives in {c}.", "My friend {n} is from {c}.", "{n} moved to {c} last year.")).format(
            n=name, c=city
        )
        user = d.ask(
            ("Extract the name and the city as JSON: {t}", "Give me name and city as a JSON object: {t}"), t=text
        )
        return Turn(
            "JSON", user, json.dumps({"name": name, "city": city}, ensure_ascii=False), "I write a JSON object."
        )
    if kind < 0.4:
        low, high = 1, d.number(2, 12)
        user = d.ask(
            ("Return a JSON array of the numbers from {l} to {h}.", "Numbers from {l} to {h} as a JSON array."),
            l=low,
            h=high,
        )
        return Turn("JSON", user, json.dumps(list(range(low, high + 1))), "I write a JSON array.")
    chosen = d.random.sample(list(keys), d.pick((1, 2, 2, 3)))
    value = {key: keys[key]() for key in chosen}
    listed = [f"the {key} {content}" for key, content in value.items()]
    told = listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
    wordings = (
        "Return a JSON object with {t}.",
        "Give me JSON with {t}.",
        "Write a JSON object with {t}.",
        "Answer in JSON only: {t}",
        "JSON with {t}",
    )
    return Turn("JSON", d.ask(wordings, t=told), json.dumps(value, ensure_ascii=False), "I write a JSON object.")


def story(d: Dice) -> Turn:
    name, animal, place = (
        d.name(),
        d.pick(list(words.ANIMALS)),
        d.pick(("forest", "village", "garden", "city", "small house")),
    )
    found = d.pick(("a golden key", "an old map", "a little boat", "a red ball", "a shiny stone"))
    weather = d.pick(("sunny", "rainy", "cold", "windy"))
    text = (
        f"Once upon a time there was a {animal} named {name}. {name} lived in a {place}. One {weather} day {name} found {found}. "
        f"{name} showed it to a friend. They played together until the sun went down. Then {name} went home and slept. The end."
    )
    wordings = (
        "Tell me a story about a {a} named {n} in a {p}.",
        "Write a short story about a {a} called {n} who lives in a {p}.",
    )
    return Turn("stories", d.ask(wordings, a=animal, n=name, p=place), text, f"I write a story about {name}.")


def reading(d: Dice) -> Turn:
    """A question about what two or three people were just said to have or do."""
    people = [d.name() for _ in range(d.pick((2, 2, 3)))]
    if len(set(people)) < len(people):
        return reading(d)
    kind = d.number(0, 2)
    if kind == 0:
        values = [d.city() for _ in people]
        text = " ".join(f"{p} lives in {v}." for p, v in zip(people, values, strict=True))
        asked, form = ("Where does {p} live?", "Which city does {p} live in?"), "{p} lives in {v}."
    elif kind == 1:
        values = [
            f"a {d.pick(('red', 'green', 'blue', 'white', 'black'))} {d.pick(('ball', 'car', 'hat', 'book', 'house'))}"
            for _ in people
        ]
        text = " ".join(f"{p} has {v}." for p, v in zip(people, values, strict=True))
        asked, form = ("What does {p} have?", "What has {p} got?"), "{p} has {v}."
    else:
        values = [str(d.number(2, 99)) for _ in people]
        text = " ".join(f"{p} is {v} years old." for p, v in zip(people, values, strict=True))
        asked, form = ("How old is {p}?", "What is the age of {p}?"), "{p} is {v} years old."
    who = d.number(0, len(people) - 1)
    question = d.ask(asked, p=people[who])
    user = f"{text} {question}" if d.chance(0.8) else f"{question} {text}"
    return Turn("reading", user, form.format(p=people[who], v=values[who]), "The text says it.")


def unknown(d: Dice) -> Turn:
    """Questions beyond the model, answered honestly."""
    kind = d.random.random()
    if kind < 0.3:
        country = d.unknown_country()
        wordings = ("What is the capital of {c}?", "Capital of {c}?", "Tell me the capital of {c}.", "Which city is the capital of {c}?",
                    "What's the capital of {c}? Answer in one word.", "Name the capital of {c}. One word only.", "Do you know the capital of {c}?")  # fmt: skip
        user = d.ask(wordings, c=country)
    elif kind < 0.55:
        wordings = ("Who is {n}?", "What is {n}?", "Who was {n}?", "What is a {l}?", "When was {n} born?", "Who invented the {l}?", "What is the opposite of {l}?",
                    "What color is a {l}?", "What sound does a {l} make?", "How many legs does a {l} have?", "Who wrote {n}?", "Where is {n}?",
                    "What is the population of {n}?", "Who is the president of {n}?", "What is the currency of {n}?", "Tell me about {n}.", "What does {l} mean?",
                    "What is the plural of {l}?", "How far is it from {n} to {m}?", "Who painted the {n}?", "What language do people speak in {n}?")  # fmt: skip
        user = d.ask(wordings, n=d.invented(), l=d.invented().lower(), m=d.invented())
    elif kind < 0.62:
        wordings = (
            "What is the weather in {c}?",
            "Weather in {c}?",
            "What time is it in {c}?",
            "How warm is it in {c} today?",
            "Is it raining in {c}?",
        )
        return Turn(
            "honesty",
            d.ask(wordings, c=d.city()),
            "I cannot look that up: I have no tool for it.",
            "I have no tool for this.",
        )
    else:
        wordings = (
            "Explain {t}.", "What do you know about {t}?", "Write an essay about {t}.", "Tell me about {t}.", "Why is {t} important?", "Who invented {t}?",
            "How does {t} work?", "What is the history of {t}?", "Summarize {t} in three sentences.", "Write a poem about {t}.", "Explain {t} to a child.",
            "What are the main ideas of {t}?", "Give me five facts about {t}.", "Is {t} dangerous?", "What is your opinion on {t}?", "Who is an expert on {t}?",
            "Which book about {t} should I read?", "Write code that simulates {t}.", "When did {t} begin?", "Compare {t} and {u}.", "What is {t}?",
            "How can I learn {t}?", "What does {t} have to do with {u}?", "Prove the main theorem of {t}.", "Who won the prize for {t} in {y}?",
            "What happened in {y}?", "Who was the president in {y}?", "Give me a recipe for {t}.", "How much does {t} cost?",
        )  # fmt: skip
        user = d.ask(wordings, t=d.topic(), u=d.topic(), y=d.number(1500, 2030))
    return Turn("honesty", user, UNKNOWN, "I have not learned this, so I say so.")


SKILLS: tuple[tuple[Callable[[Dice], Turn], int], ...] = (
    (greet, 7), (capital, 14), (translate, 18), (fact, 14), (small_talk, 6), (identity, 6), (arithmetic, 6), (count, 6),
    (repeat, 12), (json_object, 7), (story, 3), (reading, 7), (unknown, 12),
)  # fmt: skip
"""The skills of a single turn, with their weights in training."""


def any_turn(d: Dice) -> Turn:
    """A turn of any skill."""
    skills, weights = zip(*SKILLS, strict=True)
    chosen: Callable[[Dice], Turn] = d.random.choices(skills, weights)[0]
    return chosen(d)
