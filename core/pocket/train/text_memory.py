"""What a user says of themselves, and the questions about it some turns later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.pocket.train.text_dice import Dice
from core.pocket.train.text_talk import Turn


@dataclass(frozen=True)
class Memory:
    """One kind of thing to remember. The wordings have the slot {v}."""

    draw: Callable[[Dice], str]
    tell: tuple[str, ...]
    reply: str
    system: str
    ask: tuple[str, ...]
    answer: str
    untold: str
    """The answer when the user has never said it."""


MEMORIES: dict[str, Memory] = {
    "name": Memory(
        lambda d: d.name(),
        (
            "My name is {v}.",
            "Hi, I am {v}.",
            "Hello! My name is {v}.",
            "I'm {v}.",
            "Call me {v}.",
            "This is {v}.",
            "hi im {v}",
        ),
        "Nice to meet you, {v}!",
        "The user's name is {v}.",
        (
            "What is my name?",
            "Do you remember my name?",
            "Who am I?",
            "What's my name?",
            "Tell me my name.",
            "What did I say my name was?",
        ),
        "Your name is {v}.",
        "You have not told me your name.",
    ),
    "city": Memory(
        lambda d: d.city(),
        ("I live in {v}.", "I am from {v}.", "My home is {v}.", "I moved to {v}.", "I live in the city of {v}."),
        "{v} sounds like a nice place.",
        "The user lives in {v}.",
        (
            "Where do I live?",
            "Which city do I live in?",
            "Do you remember where I live?",
            "What city am I from?",
            "Where is my home?",
        ),
        "You live in {v}.",
        "You have not told me where you live.",
    ),
    "number": Memory(
        lambda d: str(d.number(1, 9999)),
        ("Remember the number {v}.", "My number is {v}.", "The number is {v}.", "Please remember this number: {v}"),
        "I will remember the number {v}.",
        "The user's number is {v}.",
        (
            "Which number did I tell you?",
            "What was the number?",
            "Do you remember the number?",
            "What number did I give you?",
        ),
        "The number was {v}.",
        "You have not told me a number.",
    ),
    "word": Memory(
        lambda d: d.invented().lower(),
        ("The secret word is {v}.", "Remember the word {v}.", "The password is {v}.", "Keep this word in mind: {v}"),
        "I will remember the word {v}.",
        "The secret word is {v}.",
        (
            "What is the secret word?",
            "Which word did I tell you?",
            "What was the word?",
            "Tell me the secret word.",
            "What's the password?",
        ),
        "The word is {v}.",
        "You have not told me a word.",
    ),
    "age": Memory(
        lambda d: str(d.number(5, 99)),
        ("I am {v} years old.", "I'm {v}.", "My age is {v}.", "I turned {v} today."),
        "{v} is a fine age.",
        "The user is {v} years old.",
        ("How old am I?", "What is my age?", "Do you remember how old I am?"),
        "You are {v} years old.",
        "You have not told me your age.",
    ),
    "dog": Memory(
        lambda d: d.name(),
        ("My dog is called {v}.", "I have a dog named {v}.", "My dog's name is {v}."),
        "{v} is a good name for a dog.",
        "The user's dog is called {v}.",
        (
            "What is my dog called?",
            "What is the name of my dog?",
            "What's my dog's name?",
            "Do you remember my dog's name?",
        ),
        "Your dog is called {v}.",
        "You have not told me about a dog.",
    ),
    "color": Memory(
        lambda d: d.pick(("red", "green", "blue", "yellow", "black", "white", "orange", "purple", "pink", "brown")),
        ("My favorite color is {v}.", "I like the color {v}.", "I love {v}, it is my favorite color."),
        "{v} is a beautiful color.",
        "The user's favorite color is {v}.",
        ("What is my favorite color?", "Which color do I like?", "What color do I like best?"),
        "Your favorite color is {v}.",
        "You have not told me your favorite color.",
    ),
    "job": Memory(
        lambda d: d.pick(
            ("teacher", "doctor", "baker", "painter", "pilot", "nurse", "farmer", "lawyer", "writer", "cook")
        ),
        ("I am a {v}.", "I work as a {v}.", "My job is {v}."),
        "That is interesting work.",
        "The user works as a {v}.",
        ("What is my job?", "What do I do for a living?", "What do I work as?"),
        "You are a {v}.",
        "You have not told me your job.",
    ),
}


def first_upper(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def tell(d: Dice, kind: str, value: str) -> Turn:
    """The user says it."""
    memory = MEMORIES[kind]
    return Turn(
        "memory", d.ask(memory.tell, v=value), first_upper(memory.reply.format(v=value)), "The user tells me something."
    )


def recall(d: Dice, kind: str, value: str | None) -> Turn:
    """The user asks for it; `value` is None when it was never said."""
    memory = MEMORIES[kind]
    if value is None:
        return Turn("memory", d.ask(memory.ask), memory.untold, "The user has not told me this.")
    return Turn("memory", d.ask(memory.ask), memory.answer.format(v=value), "I look at what was said before.")
