"""Tasks on the user's own words: counting, repeating, JSON, stories and reading."""

from __future__ import annotations

import json
from collections.abc import Callable

from core.pocket.train import text_facts as facts
from core.pocket.train import text_words as words
from core.pocket.train.text_dice import Dice
from core.pocket.train.text_talk import Turn


def count(d: Dice) -> Turn:
    low = 1 if d.chance(0.4) else d.number(1, 80)
    high = low + (d.number(2, 20) if d.chance(0.85) else d.number(20, 99))
    high = min(high, 100) if high - low < 99 else 100
    low = min(low, high - 1)
    numbers = [str(number) for number in range(low, high + 1)]
    if d.chance(0.2) and len(numbers) < 25:
        down = (
            "Count down from {h} to {l}.",
            "Count backwards from {h} to {l}.",
            "Please count down from {h} to {l}.",
        )
        return Turn(
            "counting",
            d.ask(down, l=low, h=high),
            ", ".join(reversed(numbers)),
            f"I count from {high} down to {low}.",
        )
    wordings: tuple[str, ...] = (
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
        if kind < 0.85:
            return d.common()
        return d.pick((*words.PHRASES, *words.ANIMALS, *words.PLACES, *words.VERBS, *facts.OPPOSITES, *facts.PLURALS))

    if d.chance(0.2):
        return d.sentence()
    return " ".join(word() for _ in range(d.number(1, most)))


def repeat(d: Dice) -> Turn:
    text = phrase(d, 14 if d.chance(0.3) else 5)
    if d.chance(0.3) and text[-1] not in ".!":
        text = text[0].upper() + text[1:] + d.pick((".", "!", "?"))
    wordings = (
        "Repeat after me: {s}", "Repeat this: {s}", 'Say "{s}"', "Say exactly: {s}", "Echo: {s}",
        'Please repeat: "{s}"',
        'Repeat the following: "{s}"', "echo {s}", 'Reply with exactly "{s}"', "Say this back to me: {s}",
        "Reply with exactly: {s}",
        "Respond with exactly: {s}", "Write {s}", 'Print "{s}"', "Type this: {s}", "Copy this text: {s}",
        "Answer with: {s}",
    )  # fmt: skip
    return Turn("repeating", d.ask(wordings, s=text), text, "I repeat the words exactly.")


def json_object(d: Dice) -> Turn:
    keys: dict[str, Callable[[], object]] = {
        "name": d.name, "age": lambda: d.number(1, 99), "city": lambda: d.city(), "id": lambda: d.number(1, 9999),
        "color": lambda: d.pick(("red", "green", "blue", "white", "black")), "title": d.invented,
        "price": lambda: d.number(1, 500),
        "email": lambda: f"{d.invented().lower()}@example.com", "country": lambda: d.pick(list(words.CAPITALS)),
        "count": lambda: d.number(0, 100),
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
    if d.chance(0.2):
        value[d.common()] = d.pick((d.common(), d.invented(), d.number(0, 99)))
    style = d.pick(("the {k} {v}", "the {k} {v}", "{k} {v}", "{k}: {v}", "{k} = {v}", "{k} is {v}"))
    listed = [style.format(k=key, v=content) for key, content in value.items()]
    told = listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
    wordings = (
        "Return a JSON object with {t}.",
        "Give me JSON with {t}.",
        "Write a JSON object with {t}.",
        "Answer in JSON only: {t}",
        "JSON with {t}",
        "Give me JSON with the fields {t}.",
        "Make a JSON object: {t}",
        "Convert to JSON: {t}",
        "Return only JSON: {t}",
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
    wordings: tuple[str, ...] = (
        "Tell me a story about a {a} named {n} in a {p}.",
        "Write a short story about a {a} called {n} who lives in a {p}.",
        "Tell a story. The {a} {n} lives in a {p}.",
    )
    if d.chance(0.3):  # the model makes up what the user leaves open
        name = d.pick(words.NAMES[:5])
        wordings = ("Tell me a story about a {a} in a {p}.", "Write a story about a {a} who lives in a {p}.")
        if d.chance(0.6):
            animal, place = d.pick((("cat", "garden"), ("dog", "city"), ("fox", "forest")))
            wordings = ("Tell me a story.", "Write a short story.", "Do you know a story?", "Please tell me a story.")
    text = (
        f"Once upon a time there was a {animal} named {name}. {name} lived in a {place}. "
        f"One {weather} day {name} found {found}. {name} showed it to a friend. "
        f"They played together until the sun went down. Then {name} went home and slept. The end."
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
