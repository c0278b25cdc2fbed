"""What a training picture shows, how that is put into words, and which colours of which shapes are never shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

from core.pocket.train import draw
from core.pocket.train.vision_words import LONGEST, training_text

RESERVED_PAIRS = frozenset(
    {
        ("red", "square"),
        ("blue", "circle"),
        ("green", "triangle"),
        ("yellow", "star"),
        ("orange", "heart"),
        ("purple", "hexagon"),
        ("pink", "oval"),
        ("brown", "rectangle"),
        ("black", "diamond"),
        ("gray", "cross"),
        ("blue", "pentagon"),
    }
)
"""Colour and shape pairs kept for measuring, one for each shape; the golden pictures' two are among them."""

INKS = ("black", "black", "black", "black", "black", "red", "blue", "green", "purple", "brown", "gray", "orange")

Kind = Literal["shape", "text", "blank", "clutter"]


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it."""

    kind: Kind
    drawing: draw.Drawing
    background: str
    colour: str = ""
    """Of the shape or of the text."""
    shape: str = ""
    text: str = ""


@dataclass(frozen=True)
class Look:
    """What pictures are made for: the canvas's shape, and how large and long texts may be."""

    aspect: float = 1.0
    """Width over height."""
    squash: float = 1.0
    """How much wider the canvas is than what the model makes of it: a squashed circle is no circle."""
    font_size: tuple[int, int] = (18, 56)
    longest: int = LONGEST


def canvas(rng: Random, aspect: float) -> tuple[int, int]:
    """A canvas of this aspect: mostly as large as the golden pictures, sometimes of another size."""
    side = draw.SIDE if rng.random() < 0.7 else rng.randint(200, 480)
    return max(32, round(side * math.sqrt(aspect))), max(32, round(side / math.sqrt(aspect)))


def shape_scene(rng: Random, look: Look, pair: tuple[str, str] | None = None) -> Scene:
    """One shape; `pair` (colour, shape) asks for a particular one, otherwise any that is not reserved."""
    name, shape = pair or training_pair(rng)
    if pair is None and shape in draw.EVEN and not 1 / draw.NEARLY_EVEN < look.squash < draw.NEARLY_EVEN:
        while shape in draw.EVEN:
            name, shape = training_pair(rng)
    fill = draw.colour(rng, name)
    background, ground = draw.background(rng, fill)
    drawing = draw.shape_drawing(rng, shape, fill, ground, canvas(rng, look.aspect), look.squash)
    return Scene("shape", drawing, background, name, shape)


def training_pair(rng: Random) -> tuple[str, str]:
    """A colour and a shape that may be shown together."""
    while (pair := (rng.choice(list(draw.COLOURS)), rng.choice(draw.SHAPES))) in RESERVED_PAIRS:
        pass
    return pair


def text_scene(rng: Random, look: Look, text: str | None = None) -> Scene:
    """One line of text; `text` asks for a particular one, otherwise any that is not reserved."""
    words = text if text is not None else training_text(rng, look.longest)
    if rng.random() < 0.06:
        ground, name, background = rng.choice(draw.DARK), "white", "dark"
        ink: draw.Rgb = (rng.randint(235, 255),) * 3  # type: ignore[assignment]
    else:
        name = rng.choice(INKS)
        ink = draw.colour(rng, name)
        background, ground = draw.background(rng, ink, least=110.0)
    drawing = draw.text_drawing(rng, words, ink, ground, canvas(rng, look.aspect), look.font_size)
    return Scene("text", drawing, background, name, text=words)


def blank_scene(rng: Random, look: Look) -> Scene:
    """Background and nothing on it."""
    background = rng.choice(list(draw.BACKGROUNDS)) if rng.random() < 0.5 else "white"
    ground = rng.choice(draw.BACKGROUNDS[background])
    return Scene("blank", draw.blank_drawing(rng, ground, canvas(rng, look.aspect)), background)


def clutter_scene(rng: Random, look: Look) -> Scene:
    """A picture that the model was not made for."""
    return Scene("clutter", draw.clutter_drawing(rng, canvas(rng, look.aspect)), "")


def any_scene(rng: Random, look: Look, texts: float) -> Scene:
    """A training scene, a text with probability `texts`."""
    kind = rng.random()
    if kind < texts:
        return text_scene(rng, look)
    rest = (kind - texts) / (1 - texts)
    if rest < 0.84:
        return shape_scene(rng, look)
    return blank_scene(rng, look) if rest < 0.92 else clutter_scene(rng, look)


def with_article(words: str) -> str:
    """`a red square`, `an orange star`."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def noun(scene: Scene) -> str:
    """The picture's content as an object: `a red square`, `the text "Hello"`."""
    if scene.kind == "shape":
        return with_article(f"{scene.colour} {scene.shape}")
    if scene.kind == "text":
        return f'the text "{scene.text}"'
    return "nothing" if scene.kind == "blank" else "neither a shape nor a text"
