"""Questions beyond the text model, which it answers by saying so."""

from __future__ import annotations

from core.pocket.train import text_words as words
from core.pocket.train.text_dice import Dice
from core.pocket.train.text_talk import Turn, translation_request

UNKNOWN = "I do not know that. I am a very small model."
UNCLEAR = "I do not understand that. I am a very small model."


def unknown_name(d: Dice) -> Turn:
    """A taught kind of question about a name that means nothing, or about a country that was never taught."""
    kind = d.random.random()
    if kind < 0.45:
        wordings = (
            "What is the capital of {c}?", "Capital of {c}?", "Tell me the capital of {c}.",
            "Which city is the capital of {c}?",
            "What's the capital of {c}? Answer in one word.", "Name the capital of {c}. One word only.",
            "Do you know the capital of {c}?", "What is the capital of {c}? Just the name.",
        )  # fmt: skip
        return Turn("honesty", d.ask(wordings, c=d.unknown_country()), UNKNOWN, "I have not learned this, so I say so.")
    if kind < 0.6:
        outside = (
            "What is the weather in {c}?", "Weather in {c}?", "What time is it in {c}?", "How warm is it in {c} today?",
            "Is it raining in {c}?", "What's the weather like in {c}?", "What is the temperature in {c}?",
        )  # fmt: skip
        user, thought = d.ask(outside, c=d.city()), "I have no tool for this."
        return Turn("honesty", user, "I cannot look that up: I have no tool for it.", thought)
    questions = (
        "Who is {n}?", "What is {n}?", "Who was {n}?", "What is a {l}?", "When was {n} born?", "Who invented the {l}?",
        "What is the opposite of {l}?", "What color is a {l}?", "What sound does a {l} make?", "Who wrote {n}?",
        "How many legs does a {l} have?", "Where is {n}?", "What is the population of {n}?",
        "Who is the president of {n}?",
        "What is the currency of {n}?", "Tell me about {n}.", "What does {l} mean?", "What is the plural of {l}?",
        "How far is it from {n} to {m}?", "Who painted the {n}?", "What language do people speak in {n}?",
        "How old is {n}?",
        "Who is {n} {m}?", "Who was {n} {m}?", "Do you know {n} {m}?", "Is {n} in {m}?", "{n}?",
        "What happened in {n}?",
    )  # fmt: skip
    user = d.ask(questions, n=d.invented(), l=d.invented().lower(), m=d.invented())
    return Turn("honesty", user, UNKNOWN, "I have not learned this, so I say so.")


def off_topic(d: Dice) -> Turn:
    """What was never taught in any form: other subjects, other tasks, other languages, noise."""
    kind = d.random.random()
    if kind < 0.08:
        letters = "abcdefghijklmnopqrstuvwxyz"
        noise = [
            "",
            "?",
            "...",
            "!!",
            "".join(d.pick(letters) for _ in range(d.number(1, 9))),
            d.invented().lower(),
            d.common(),
            d.sentence(),
        ]
        return Turn("honesty", d.pick(noise), UNCLEAR, "This means nothing to me.")
    if kind < 0.3:
        return _untranslatable(d)
    wordings = (
        "Explain {t}.", "What do you know about {t}?", "Write an essay about {t}.", "Tell me about {t}.",
        "Who invented {t}?",
        "Why is {t} important?", "How does {t} work?", "What is the history of {t}?",
        "Summarize {t} in three sentences.",
        "Write a poem about {t}.", "Explain {t} to a child.", "What are the main ideas of {t}?",
        "Give me facts about {t}.",
        "Is {t} dangerous?", "What is your opinion on {t}?", "Who is an expert on {t}?",
        "Which book about {t} is good?",
        "Write code that simulates {t}.", "When did {t} begin?", "Compare {t} and {u}.", "What is {t}?",
        "What are {t}?",
        "How can I learn {t}?", "What does {t} have to do with {u}?", "Prove the main theorem of {t}.",
        "How much does {t} cost?",
        "Who won the prize for {t} in {y}?", "What happened in {y}?", "Who was the president in {y}?",
        "Where can I buy {t}?",
        "Give me a recipe for {t}.", "Write a Python function that {w} {t}.", "Write a function for {t}.",
        "Fix this code: {t}",
        "Write an email about {t}.", "Explain how {t} works.", "Plan a trip with {t}.", "Why {w} {t}?",
        "How do I {w} {t}?",
        "Summarize: {s}", "Summarize this text: {s} {r}", "Rewrite this sentence: {s}", "Is this true? {s}",
        "What does this mean: {s}",
        "Can you {w} {t}?", "Should I {w} {t}?", "Which {w} is best?", "What is the best {w} for {t}?",
        "List ten {w} {t}.",
        "Describe {t}.", "Define {w}.", "What is the meaning of {t}?", "I have a question about {t}.",
        "Help me with {t}.",
        "Tell me something about {t}.", "When is {t}?", "Who {w} {t}?", "Where is {t}?", "How many {w} are in {t}?",
        "How old is {t}?",
        "Correct the grammar: {s}", "Continue this text: {s}", "Give me a title for {t}.",
        "What would happen if {w} {t}?",
        "Do you like {t}?", "What do you think of {t}?", "Do you have {t}?", "What is the tallest {w} in the world?",
        "What is the {w} of {t}?", "Who has the most {w}?", "What is your favorite {w}?", "Are there {w} in {t}?",
    )  # fmt: skip
    user = d.ask(
        wordings, t=d.subject(), u=d.subject(), w=d.common(), y=d.number(1500, 2030), s=d.sentence(), r=d.sentence()
    )
    return Turn("honesty", user, UNKNOWN, "I have not learned this, so I say so.")


def _untranslatable(d: Dice) -> Turn:
    if d.chance(0.4):
        parts = d.sentence_parts()
        english, language = f"The {parts[0]} {parts[1]} {parts[2]} the {parts[3]}.", d.pick(words.OTHER_LANGUAGES)
        answer = f"I do not know {language}. I can translate into French, Spanish and German."
        thought = f"I have not learned {language}."
    else:
        english, language = d.sentence(), d.pick(words.LANGUAGES)
        answer = "I do not know how to translate that. I only know simple sentences."
        thought = "I do not know all of these words."
    user, system = translation_request(d, english, language)
    return Turn("honesty", user, answer, thought, system)
