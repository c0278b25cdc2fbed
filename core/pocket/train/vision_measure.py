"""The held-out report of the vision models: pictures, texts and colour-shape pairs that training never showed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from core.pocket.train import vision_conversations as talk
from core.pocket.train import vision_words as words
from core.pocket.train.draw import COLOURS, SHAPES
from core.pocket.train.measure import TaskResult
from core.pocket.train.vision_answers import Answerer, Ask, ask
from core.pocket.train.vision_conversations import answer_text
from core.pocket.train.vision_scenes import RESERVED_PAIRS, Look, blank_scene, noun, shape_scene, text_scene

SEED = "measure"
WIDE = (16 / 9, 9 / 16)
BOUND = ("circle", "oval", "square", "rectangle")
"""Shapes that squashing makes into one another: of a wide picture, a model that squashes it cannot tell them apart."""


@dataclass(frozen=True)
class Case:
    """A prompt and what makes its answer right."""

    ask: Ask
    right: Callable[[str], bool]


@dataclass(frozen=True)
class Task:
    """A skill: how cases are made, how many, and the share that should be right on each tier."""

    name: str
    n: int
    make: Callable[[Random], Case]
    quick: float
    full: float

    def cases(self) -> Iterator[Case]:
        """The same cases every time."""
        rng = Random(f"{SEED}/{self.name}")
        for _ in range(self.n):
            yield self.make(rng)


def _system(rng: Random) -> str:
    return talk.SYSTEM if rng.random() < 0.5 else ""


def _exactly(text: str) -> Callable[[str], bool]:
    return lambda answer: answer.strip() == text


def _says(*parts: str) -> Callable[[str], bool]:
    return lambda answer: all(part in answer for part in parts)


# --- shapes


def describe(rng: Random, pairs: tuple[tuple[str, str], ...] = (), aspects: tuple[float, ...] = (1.0,)) -> Case:
    """Shape and colour of one object, asked as the golden prompt does."""
    aspect = rng.choice(aspects) if len(aspects) > 1 else aspects[0]
    scene = shape_scene(rng, Look(aspect), rng.choice(pairs) if pairs else None)
    return Case(ask(talk.GOLDEN_DESCRIBE, scene.drawing.image, system=_system(rng)), _says(f" {noun(scene)} on "))


def asked(rng: Random, intent: str) -> Case:
    """Shape or colour alone, in anybody's words, before or after the image."""
    scene = shape_scene(rng, Look())
    question = ask(talk.wording(rng, intent), scene.drawing.image, system=_system(rng), image_first=rng.random() < 0.5)
    return Case(question, _exactly(answer_text(talk.answer_one(scene, intent))))


def followed_up(rng: Random) -> Case:
    """First the shape, then the colour: the image is in the first turn."""
    scene = shape_scene(rng, Look())
    first, second = rng.sample(("shape", "colour", "describe"), 2)
    turns = (
        ("user", talk.wording(rng, first), (scene.drawing.image,)),
        ("assistant", answer_text(talk.answer_one(scene, first)), ()),
        ("user", talk.wording(rng, second), ()),
    )
    return Case(Ask(turns), _exactly(answer_text(talk.answer_one(scene, second))))


def newest(rng: Random) -> Case:
    """An image in each of two turns: the second question means the second image."""
    first, second = shape_scene(rng, Look()), shape_scene(rng, Look())
    turns = (
        ("user", talk.GOLDEN_DESCRIBE, (first.drawing.image,)),
        ("assistant", answer_text(talk.answer_one(first, "describe")), ()),
        ("user", talk.wording(rng, "both"), (second.drawing.image,)),
    )
    return Case(Ask(turns), _exactly(answer_text(talk.answer_one(second, "both"))))


def compare(rng: Random) -> Case:
    """Both shapes and both colours of two images, in order."""
    first, second = shape_scene(rng, Look()), shape_scene(rng, Look())
    question = ask(talk.GOLDEN_COMPARE, first.drawing.image, second.drawing.image, system=_system(rng))
    return Case(question, _exactly(answer_text(talk.answer_two(first, second))))


# --- texts


def reading(
    rng: Random,
    make: Callable[[Random], str],
    font_size: tuple[int, int] = (18, 56),
    aspects: tuple[float, ...] = (1.0,),
) -> Case:
    """An unseen text, exact to the case."""
    text = words.held_out_text(rng, make, 10)
    aspect = rng.choice(aspects) if len(aspects) > 1 else aspects[0]
    scene = text_scene(rng, Look(aspect, 1.0, font_size), text)
    return Case(ask(talk.GOLDEN_READ, scene.drawing.image, system=_system(rng)), _exactly(text))


def strings(low: int, high: int) -> Callable[[Random], str]:
    """Random strings of low to high characters."""
    return lambda rng: words.random_string(rng, rng.randint(low, high))


def read_freely(rng: Random) -> Case:
    """A short unseen text, asked for in anybody's words."""
    text = words.held_out_text(rng, words.one_word, 10)
    scene = text_scene(rng, Look(), text)
    return Case(ask(talk.wording(rng, "read"), scene.drawing.image, image_first=rng.random() < 0.5), _exactly(text))


# --- honesty


def blank(rng: Random) -> Case:
    """Nothing to see: the answer says so."""
    scene = blank_scene(rng, Look())
    return Case(ask(talk.wording(rng, rng.choice(("describe", "shape", "read"))), scene.drawing.image), _says("blank"))


def withheld(rng: Random) -> Case:
    """A question about an image that was not sent."""
    return Case(
        ask(talk.wording(rng, rng.choice(("describe", "both", "shape", "read"))), system=_system(rng)),
        _says("no image"),
    )


def wrong_kind(rng: Random) -> Case:
    """A text is asked for where there is a shape, or a shape where there is a text."""
    if rng.random() < 0.5:
        scene = shape_scene(rng, Look())
        return Case(ask(talk.wording(rng, "read"), scene.drawing.image), _says("no text"))
    scene = text_scene(rng, Look(), words.held_out_text(rng, words.one_word, 8))
    return Case(ask(talk.wording(rng, "shape"), scene.drawing.image), _says("no shape"))


def greeting(rng: Random) -> Case:
    """Small talk without an image."""
    intent = rng.choice(("greet", "who"))
    return Case(ask(talk.wording(rng, intent)), _exactly(talk.GREETING if intent == "greet" else talk.WHO))


# --- golden


def golden_images() -> dict[str, Image.Image]:
    """The built-in suite's three pictures, drawn anew from their description."""
    square, circle, text = (Image.new("RGB", (256, 256), "white") for _ in range(3))
    ImageDraw.Draw(square).rectangle([64, 64, 192, 192], fill="red")
    ImageDraw.Draw(circle).ellipse([64, 64, 192, 192], fill="blue")
    ImageDraw.Draw(text).text((128, 128), "Hello MLX", fill="black", font=ImageFont.load_default(36), anchor="mm")
    return {"red_square": square, "blue_circle": circle, "text_sample": text}


def golden(rng: Random) -> Case:
    """One of the four golden prompts, with or without the system prompt."""
    images = golden_images()
    square, circle, text = images["red_square"], images["blue_circle"], images["text_sample"]
    kind, system = rng.randrange(4), _system(rng)
    if kind == 0:
        return Case(ask(talk.GOLDEN_DESCRIBE, square, system=system), _says("a red square"))
    if kind == 1:
        return Case(ask(talk.GOLDEN_DESCRIBE, circle, system=system), _says("a blue circle"))
    if kind == 2:
        right = _says("first image shows a red square", "second image shows a blue circle")
        return Case(ask(talk.GOLDEN_COMPARE, square, circle, system=system), right)
    return Case(ask(talk.GOLDEN_READ, text, system=system), _exactly("Hello MLX"))


def pairs_of(shapes: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The pairs of colour and one of these shapes that training shows."""
    return tuple((colour, shape) for shape in shapes for colour in COLOURS if (colour, shape) not in RESERVED_PAIRS)


FIRM = pairs_of(shape for shape in SHAPES if shape not in BOUND)
LOOSE = pairs_of(BOUND)

TASKS: tuple[Task, ...] = (
    Task("golden prompts", 32, golden, 0.75, 1.0),
    Task("shape and colour", 200, describe, 0.95, 0.99),
    Task("shape and colour, unseen pairs", 200, partial(describe, pairs=tuple(sorted(RESERVED_PAIRS))), 0.95, 0.99),
    Task("shape asked", 100, partial(asked, intent="shape"), 0.95, 0.99),
    Task("colour asked", 100, partial(asked, intent="colour"), 0.95, 0.99),
    Task("second question on one image", 80, followed_up, 0.9, 0.97),
    Task("an image in each of two turns", 60, newest, 0.85, 0.95),
    Task("two images compared", 150, compare, 0.85, 0.97),
    Task("one word", 150, partial(reading, make=words.one_word), 0.6, 0.95),
    Task("words and phrases", 150, partial(reading, make=words.phrase), 0.6, 0.95),
    Task("random strings of 2-4", 100, partial(reading, make=strings(2, 4)), 0.6, 0.95),
    Task("random strings of 5-7", 100, partial(reading, make=strings(5, 7)), 0.6, 0.95),
    Task("random strings of 8-10", 100, partial(reading, make=strings(8, 10)), 0.6, 0.95),
    Task("codes: times, prices, marks", 80, partial(reading, make=words.code), 0.6, 0.9),
    Task("strings of 2-6, font 18-24", 100, partial(reading, make=strings(2, 6), font_size=(18, 24)), 0.6, 0.95),
    Task("strings of 2-6, font 25-36", 100, partial(reading, make=strings(2, 6), font_size=(25, 36)), 0.6, 0.95),
    Task("strings of 2-6, font 37-56", 100, partial(reading, make=strings(2, 6), font_size=(37, 56)), 0.6, 0.95),
    Task("one word on a 4:3 image", 80, partial(reading, make=words.one_word, aspects=(4 / 3,)), 0.6, 0.9),
    Task("one word on a 3:4 image", 80, partial(reading, make=words.one_word, aspects=(3 / 4,)), 0.6, 0.9),
    Task("one word on 3:2 and 2:3", 80, partial(reading, make=words.one_word, aspects=(3 / 2, 2 / 3)), 0.6, 0.9),
    Task("one word on 16:9 and 9:16", 80, partial(reading, make=words.one_word, aspects=WIDE), 0.6, 0.9),
    Task("shape and colour on 4:3 and 3:4", 100, partial(describe, aspects=(4 / 3, 3 / 4)), 0.9, 0.9),
    Task("firm shapes and colour on 16:9 and 9:16", 100, partial(describe, pairs=FIRM, aspects=WIDE), 0.9, 0.95),
    Task("round and even shapes on 16:9 and 9:16", 80, partial(describe, pairs=LOOSE, aspects=WIDE), 0.9, 0.5),
    Task("reading in free words", 80, read_freely, 0.6, 0.9),
    Task("blank image", 60, blank, 0.95, 0.98),
    Task("no image", 40, withheld, 0.95, 0.98),
    Task("text asked of a shape, shape of a text", 80, wrong_kind, 0.95, 0.98),
    Task("small talk", 40, greeting, 0.95, 0.98),
)


def measure(folder: Path, full: bool, share: float = 1.0) -> list[TaskResult]:
    """Run every task on the model in `folder`; `share` below 1 takes fewer cases of each."""
    answerer = Answerer(folder)
    results = []
    for task in TASKS:
        cases = [case for number, case in enumerate(task.cases()) if number < max(2, task.n * share)]
        answers = answerer.answers([case.ask for case in cases])
        correct = sum(case.right(answer) for case, answer in zip(cases, answers, strict=True))
        results.append(TaskResult(task.name, len(cases), correct, task.full if full else task.quick))
    return results


def measure_quick(folder: Path) -> list[TaskResult]:
    """The report of pocket/qwen2-vl."""
    return measure(folder, full=False)


def measure_full(folder: Path) -> list[TaskResult]:
    """The report of pocket/gemma3."""
    return measure(folder, full=True)
