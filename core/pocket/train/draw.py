"""Pictures for training and measuring the vision models: one shape, one line of text, nothing, or clutter.

Sizes are given for a canvas of 256x256 pixels and scale with the canvas. Every function draws from the `random.Random`
it is given and from nothing else, so a seed fixes every pixel (for one version of Pillow and its FreeType).
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Rgb = tuple[int, int, int]
Point = tuple[float, float]

COLOURS: dict[str, tuple[Rgb, ...]] = {
    "red": ((255, 0, 0), (220, 20, 30), (200, 0, 0), (237, 28, 36)),
    "blue": ((0, 0, 255), (30, 60, 220), (0, 90, 200), (33, 120, 243), (0, 0, 180)),
    "green": ((0, 128, 0), (0, 200, 0), (0, 160, 60), (50, 205, 50), (34, 139, 34)),
    "yellow": ((255, 255, 0), (255, 225, 0), (250, 235, 50)),
    "orange": ((255, 165, 0), (255, 140, 0), (255, 120, 10)),
    "purple": ((128, 0, 128), (130, 0, 200), (150, 60, 180)),
    "pink": ((255, 192, 203), (255, 105, 180), (255, 150, 190)),
    "brown": ((139, 69, 19), (120, 72, 30), (110, 60, 20), (150, 85, 40)),
    "black": ((0, 0, 0), (20, 20, 20)),
    "gray": ((128, 128, 128), (155, 155, 155), (105, 105, 105)),
}
"""What a colour's name may look like; each drawing adds up to 10 to or takes it from every channel."""

BACKGROUNDS: dict[str, tuple[Rgb, ...]] = {
    "white": ((255, 255, 255), (255, 255, 255), (250, 250, 250), (255, 253, 245), (248, 248, 252)),
    "light gray": ((225, 225, 225), (215, 217, 220)),
    "light blue": ((205, 228, 255), (214, 234, 248)),
    "light green": ((214, 245, 214), (220, 250, 225)),
    "light yellow": ((255, 250, 205), (255, 248, 215)),
    "light pink": ((255, 228, 232), (252, 225, 236)),
}
DARK: tuple[Rgb, ...] = ((0, 0, 0), (25, 25, 35), (20, 40, 90), (110, 20, 20), (10, 70, 30))
"""Backgrounds of signs: only text is drawn on them, in a light colour."""

SHAPES = (
    "square", "rectangle", "circle", "oval", "triangle", "star", "diamond", "pentagon", "hexagon", "cross", "heart",
)  # fmt: skip
EVEN = ("square", "circle")
"""Shapes that a picture's squashing makes into others: not drawn where they would be longer than NEARLY_EVEN."""
NEARLY_EVEN = 1.36
"""Up to this ratio of its sides, as the model sees it, a square is a square: those of a 4:3 picture are."""
LONG = 1.4
"""From this ratio on it is a rectangle. What lies between is not drawn."""

SIDE = 256


@dataclass(frozen=True)
class Glyph:
    """Where one character of a drawn text stands."""

    x: float
    y: float
    """Centre, as shares of the picture's width and height."""
    char: str
    index: int
    """Place in the text, spaces counted, from 0."""


@dataclass(frozen=True)
class Drawing:
    """A picture, and what a reading aid may know about it."""

    image: Image.Image
    glyphs: tuple[Glyph, ...] = ()
    font: str = ""
    font_size: int = 0


def colour(rng: Random, name: str) -> Rgb:
    """A shade that carries this name."""
    red, green, blue = rng.choice(COLOURS[name])
    return _shift(rng, red, 10), _shift(rng, green, 10), _shift(rng, blue, 10)


def _shift(rng: Random, value: int, by: int) -> int:
    return min(255, max(0, value + rng.randint(-by, by)))


def contrast(one: Rgb, other: Rgb) -> float:
    """Euclidean distance of two colours in RGB: 0 to 441."""
    return math.dist(one, other)


def background(rng: Random, against: Rgb, least: float = 75.0) -> tuple[str, Rgb]:
    """A light background and its name, far enough from the colour that is to be drawn on it."""
    while True:
        name = "white" if rng.random() < 0.7 else rng.choice(list(BACKGROUNDS))
        shade = rng.choice(BACKGROUNDS[name])
        if contrast(shade, against) >= least:
            return name, shade
        least -= 3  # pale pink has hardly any room


# --- shapes


def _regular(count: int, turn: float) -> list[Point]:
    return [(math.sin(turn + 2 * math.pi * i / count), -math.cos(turn + 2 * math.pi * i / count)) for i in range(count)]


def outline(rng: Random, shape: str, squash: float = 1.0) -> list[Point]:
    """The shape's outline as a polygon within the unit circle (roughly), turned by a random angle.

    `squash`: how much narrower the model sees it than it is drawn; rectangles and ovals stay long in its eyes.
    """
    small = rng.choice((0.0, 0.0, rng.uniform(-0.2, 0.2)))
    anywhere = rng.choice((0.0, 0.0, rng.uniform(-math.pi, math.pi)))
    if shape == "square":
        points, turn = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)], small
    elif shape == "rectangle":
        thin, quarter_turn = _long(rng, 0.4, squash)
        points, turn = [(-1.0, -thin), (1.0, -thin), (1.0, thin), (-1.0, thin)], small + quarter_turn
    elif shape == "circle":
        points, turn = _regular(48, 0.0), 0.0
    elif shape == "oval":
        thin, quarter_turn = _long(rng, 0.42, squash)
        points, turn = [(x, y * thin) for x, y in _regular(48, 0.0)], small + quarter_turn
    elif shape == "triangle":
        points, turn = rng.choice((_regular(3, 0.0), [(0.0, -0.9), (-0.9, 0.9), (0.9, 0.9)])), anywhere
    elif shape == "star":
        tall = rng.uniform(0.36, 0.5)
        spikes = _regular(10, 0.0)
        points, turn = [(x, y) if i % 2 == 0 else (x * tall, y * tall) for i, (x, y) in enumerate(spikes)], anywhere
    elif shape == "diamond":
        thin = rng.uniform(0.6, 0.95)
        points, turn = [(0.0, -1.0), (thin, 0.0), (0.0, 1.0), (-thin, 0.0)], small / 3
    elif shape in ("pentagon", "hexagon"):
        points, turn = _regular(5 if shape == "pentagon" else 6, 0.0), anywhere
    elif shape == "cross":
        arm = rng.uniform(0.22, 0.38)
        quarter = [(arm, -1.0), (arm, -arm), (1.0, -arm)]
        points = [_turn(point, i * math.pi / 2) for i in range(4) for point in quarter]
        turn = rng.choice((0.0, 0.0, small, math.pi / 4))
    elif shape == "heart":
        angles = [2 * math.pi * i / 48 for i in range(48)]
        points = [(math.sin(a) ** 3, -_heart_height(a) / 16) for a in angles]
        turn = small
    else:
        raise ValueError(f"{shape} is not a shape that can be drawn; choose from {', '.join(SHAPES)}.")
    return [_turn(point, turn) for point in points]


def _long(rng: Random, least: float, squash: float) -> tuple[float, float]:
    """Width over length of a long shape, and the angle it lies at: along the picture or upright."""
    while True:
        thin, angle = rng.uniform(least, 0.7), rng.choice((0.0, math.pi / 2))
        seen = 1 / thin / squash if angle == 0.0 else squash / thin
        if max(seen, 1 / seen) >= LONG:
            return thin, angle


def _heart_height(angle: float) -> float:
    """The usual parametric heart: y for x = 16 sin^3 (mathworld.wolfram.com/HeartCurve.html)."""
    return 13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle) - math.cos(4 * angle)


def _turn(point: Point, angle: float) -> Point:
    x, y = point
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)


def shape_drawing(
    rng: Random, shape: str, fill: Rgb, ground: Rgb, size: tuple[int, int] = (SIDE, SIDE), squash: float = 1.0
) -> Drawing:
    """One shape of one colour, anywhere, of any size that can still be told apart; `squash` as in `outline`."""
    width, height = size
    side = min(size)
    style = rng.random()
    hollow, rimmed = style < 0.12, 0.12 <= style < 0.24
    least = 0.11 if hollow or shape in ("pentagon", "hexagon") else 0.07
    if shape in EVEN and not 0.85 < squash < 1.18:
        least = 0.15  # smaller, 4:3 cannot be told from LONG
    radius = side * math.exp(rng.uniform(math.log(least), math.log(0.47)))
    fine = 2 if rng.random() < 0.5 else 1  # drawn twice as large and halved: smooth edges
    reach = radius + 3
    x = rng.uniform(reach, width - reach) if width > 2 * reach else width / 2
    y = rng.uniform(reach, height - reach) if height > 2 * reach else height / 2
    if rng.random() < 0.15:
        x, y = width / 2, height / 2
    if rng.random() < 0.2:  # round numbers, as people choose them: edges then fall on the seams between patches
        unit = side / 32
        x, y, radius = round(x / unit) * unit, round(y / unit) * unit, max(2, round(0.8 * radius / unit)) * unit / 0.8
    image = Image.new("RGB", (width * fine, height * fine), ground)
    pen = ImageDraw.Draw(image)
    points = [((x + radius * px) * fine, (y + radius * py) * fine) for px, py in outline(rng, shape, squash)]
    if hollow:
        line = max(4.0, radius * rng.uniform(0.09, 0.2)) * fine
        pen.line([*points, points[0], points[1]], fill=fill, width=round(line), joint="curve")
    else:
        pen.polygon(points, fill=fill)
        if rimmed:
            dark = (fill[0] // 2, fill[1] // 2, fill[2] // 2)
            line = max(1.0, radius * rng.uniform(0.02, 0.06)) * fine
            pen.line([*points, points[0], points[1]], fill=dark, width=round(line), joint="curve")
    if fine > 1:
        image = image.reduce(fine)
    return Drawing(_weather(rng, image, 1.0))


# --- text


def font_names() -> tuple[str, ...]:
    """Fonts to draw with: "default" is Pillow's own, the others are file names in matplotlib's font folder."""
    return tuple(FONT_WEIGHTS)


FONT_WEIGHTS = {
    "default": 30,
    "DejaVuSans": 18,
    "DejaVuSans-Bold": 7,
    "DejaVuSans-Oblique": 4,
    "DejaVuSans-BoldOblique": 2,
    "DejaVuSansMono": 7,
    "DejaVuSansMono-Bold": 3,
    "DejaVuSansMono-Oblique": 2,
    "DejaVuSerif": 8,
    "DejaVuSerif-Bold": 4,
    "DejaVuSerif-Italic": 3,
    "STIXGeneral": 5,
    "STIXGeneralBol": 4,
    "STIXGeneralItalic": 2,
}
_FONTS, _WEIGHTS = list(FONT_WEIGHTS), list(FONT_WEIGHTS.values())


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=1024)
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font at a size in pixels."""
    if name == "default":
        default = ImageFont.load_default(size)
        assert isinstance(default, ImageFont.FreeTypeFont), (
            "Pillow was built without FreeType: no scalable default font."
        )
        return default
    return ImageFont.truetype(str(_font_folder() / f"{name}.ttf"), size)


def text_drawing(
    rng: Random,
    text: str,
    ink: Rgb,
    ground: Rgb,
    size: tuple[int, int] = (SIDE, SIDE),
    font_size: tuple[int, int] = (18, 56),
) -> Drawing:
    """One line of text, anywhere on the canvas, in a random font; made smaller where it would not fit."""
    width, height = size
    name = rng.choices(_FONTS, _WEIGHTS)[0]
    scale = math.sqrt(width * height) / SIDE
    low, high = font_size
    wanted = rng.randint(low, min(high, low + 8) if rng.random() < 0.3 else high)  # small letters need more practice
    longest = width - 8
    face = font(name, max(8, round(wanted * scale)))
    length = face.getlength(text)
    if length > longest:
        room = max(8, int(face.size * longest / length))
        face = font(name, max(8, room - rng.randint(0, max(0, round((room - low * scale) * 0.6)))))
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=face)
    x = rng.uniform(2 - left, max(2 - left, width - 2 - right))
    y = rng.uniform(2 - top, max(2 - top, height - 2 - bottom))
    if rng.random() < 0.35:
        x = (width - right - left) / 2
        y = (height - bottom - top) / 2 if rng.random() < 0.7 else y
    x, y = round(x), round(y)
    pen.text((x, y), text, fill=ink, font=face)
    line = (y + (top + bottom) / 2) / height
    ends = [face.getlength(text[:i]) for i in range(len(text) + 1)]
    glyphs = tuple(
        Glyph((x + (ends[i] + ends[i + 1]) / 2) / width, line, char, i) for i, char in enumerate(text) if char != " "
    )
    size_on_256 = round(face.size / scale)
    return Drawing(_weather(rng, image, min(1.0, face.size / 36)), glyphs, name, size_on_256)


# --- neither


def blank_drawing(rng: Random, ground: Rgb, size: tuple[int, int] = (SIDE, SIDE)) -> Drawing:
    """Nothing but background."""
    return Drawing(_weather(rng, Image.new("RGB", size, ground), 1.0))


def clutter_drawing(rng: Random, size: tuple[int, int] = (SIDE, SIDE)) -> Drawing:
    """Something that is neither one shape nor one text: a coarse random field, or strokes in all colours."""
    width, height = size
    if rng.random() < 0.5:
        cells = rng.choice((2, 3, 5, 9, 17))
        coarse = Image.frombytes("RGB", (cells, cells), rng.randbytes(cells * cells * 3))
        return Drawing(_weather(rng, coarse.resize(size, Image.Resampling.BICUBIC), 1.0))
    image = Image.new("RGB", size, _any_colour(rng))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(6, 30)):
        ends = [(rng.uniform(0, width), rng.uniform(0, height)) for _ in range(rng.choice((2, 2, 3)))]
        if len(ends) == 2:
            pen.line(ends, fill=_any_colour(rng), width=rng.randint(1, 18))
        else:
            pen.polygon(ends, fill=_any_colour(rng))
    return Drawing(_weather(rng, image, 1.0))


def _any_colour(rng: Random) -> Rgb:
    return rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)


# --- wear


@lru_cache(maxsize=1)
def _grain() -> NDArray[np.int16]:
    """A large tile of unit noise, cut at random places: cheaper than new noise for every picture."""
    return (np.random.default_rng(7).standard_normal((1024, 1024, 3)) * 32).astype(np.int16)


def _weather(rng: Random, image: Image.Image, detail: float) -> Image.Image:
    """Light wear on some pictures: noise, JPEG, blur. `detail` below 1 asks for a gentler blur."""
    fate = rng.random()
    if fate < 0.1:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9) * detail))
    elif fate < 0.2:
        width, height = image.size
        if width <= 1024 and height <= 1024:
            x, y = rng.randint(0, 1024 - width), rng.randint(0, 1024 - height)
            noise = _grain()[y : y + height, x : x + width] * rng.randint(1, 8) // 32
            worn = np.asarray(image).astype(np.int16) + noise
            image = Image.fromarray(np.clip(worn, 0, 255).astype(np.uint8))
    elif fate < 0.28:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=rng.randint(55, 95))
        image = Image.open(file).convert("RGB")
    return image
