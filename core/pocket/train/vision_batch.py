"""Conversations about pictures as arrays: what a worker process makes and a training step consumes.

Imports no MLX. A batch holds rows with at most one image ("one_...") and rows with two ("two_..."), each padded to a
fixed length, and the images of both: all are of the same size, so that one vision pass does for the whole batch.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from core.pocket.train import vision_conversations as talk
from core.pocket.train.draw import COLOURS, SHAPES, Drawing
from core.pocket.train.recipe import Batch
from core.pocket.train.tokenizers import train_bpe
from core.pocket.train.vision_chat import GEMMA, QWEN, ChatFormat, Part, parts
from core.pocket.train.vision_conversations import Conversation, answer_text
from core.pocket.train.vision_scenes import Look, Scene, any_scene

VOCABULARY = 704
ANSWER = 72
"""Answer tokens that a row can be graded on."""
TEXT_ONE, TEXT_TWO = 120, 136
"""Tokens beside the images' in a row with one image and in a row with two."""
MISHEARD = 0.3
"""How often a colour that the model has just named is another one in the text it goes on from: the shape that it names
next must come from the picture. Otherwise it learns that a colour never goes with the shape held out for it."""
ASPECTS = (4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3, 9 / 16)
"""Aspects, beside the square, that pictures usually have."""
LABELS = 4
"""Per patch: up to three characters whose centres lie in it, and the place of the first in the text, from 1."""


@dataclass(frozen=True)
class Geometry:
    """How a model sees an image."""

    chat: ChatFormat
    patch: int
    """Pixels on a patch's side."""
    merge: int
    """Patches on the side of the square that becomes one token."""
    grids: tuple[tuple[int, int], ...]
    """Rows and columns of patches: the usual grid first, then those that every third batch takes in turn."""
    resample: Image.Resampling
    texts: float
    """Share of texts among the pictures."""
    squashed: float
    """Share of pictures of quite another aspect than the grid, where the processor squashes all to one grid."""
    largest: int = 0
    """The most pixels that the processor leaves of a picture whose aspect it keeps; 0 where it squashes all to one."""
    mrope: bool = False
    """Whether positions have three axes."""

    def grid(self, index: int) -> tuple[int, int]:
        """The grid of a batch."""
        others = self.grids[1:]
        return others[index // 3 % len(others)] if others and index % 3 == 2 else self.grids[0]

    def grid_of(self, aspect: float) -> tuple[int, int]:
        """The grid that the processor puts a picture of `aspect` on: it rounds sides down to whole tokens, as it does
        for pictures of more than `largest` pixels."""
        if not self.largest:
            return self.grids[0]
        token = self.patch * self.merge
        rows, columns = (int(math.sqrt(self.largest * ratio) // token) for ratio in (1 / aspect, aspect))
        return rows * self.merge, columns * self.merge


FULL = Geometry(
    GEMMA, patch=16, merge=1, grids=((16, 16),), resample=Image.Resampling.BILINEAR, texts=0.72, squashed=0.35
)
QUICK = Geometry(
    QWEN,
    patch=12,
    merge=2,
    grids=(
        (16, 16),
        *((12, 18), (18, 12), (12, 20), (20, 12), (14, 16), (16, 14)),
        *((12, 18), (18, 12), (12, 20), (20, 12), (14, 18), (18, 14)),
        *((10, 22), (22, 10), (10, 20), (20, 10), (8, 32)),
    ),
    resample=Image.Resampling.BICUBIC,
    texts=0.72,
    squashed=0.0,
    largest=(12 * 16) ** 2 + 400,
    mrope=True,
)


@lru_cache(maxsize=2)
def tokenizer(chat: ChatFormat) -> Tokenizer:
    """The model's tokenizer, learned from everything that is asked and answered."""
    lines = [question for questions in talk.ASKED.values() for question in questions] * 40
    lines += [question.lower() for questions in talk.ASKED.values() for question in questions] * 10
    lines += [talk.NO_IMAGE, talk.GREETING, talk.WHO, talk.THANKS, talk.OTHER, talk.UNCLEAR, talk.SYSTEM] * 200
    lines += [*talk.SYSTEMS] * 50
    rng = random.Random(3)
    for _ in range(6000):
        first, second = (_scene_in_words(rng) for _ in range(2))
        conversation = rng.choice((talk.one_image(rng, first), talk.two_images(rng, first, second)))
        for turn in conversation.turns:
            lines += [turn.question, answer_text(turn.answer)]
    markers = [chat.turn.format(role=role) for role in ("system", "user", chat.assistant)]
    lines += [marker.split(">")[-1] for marker in markers] * 300
    return train_bpe(lines, VOCABULARY, list(chat.special), [], min_frequency=20)


def _scene_in_words(rng: random.Random) -> Scene:
    """A scene without its picture, enough to talk about."""
    empty = Drawing(Image.new("RGB", (1, 1)))
    if rng.random() < 0.1:
        return Scene("blank", empty, "white")
    return Scene(
        "shape", empty, rng.choice(("white", "light blue", "light gray")), rng.choice(list(COLOURS)), rng.choice(SHAPES)
    )


@lru_cache(maxsize=4096)
def _encode(chat: ChatFormat, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(chat).encode(text, add_special_tokens=False).ids)


def encode_bytes(chat: ChatFormat, text: str) -> list[int]:
    """The text with a token for every byte."""
    return [token for char in text for token in _encode(chat, char)]


@dataclass(frozen=True)
class Row:
    """A tokenized conversation."""

    ids: list[int]
    graded: list[bool]
    """Whether the model answers for this token."""


def encode(chat: ChatFormat, conversation: Conversation, tokens_per_image: int, last_only: bool = False) -> Row:
    """Tokenize as inference will; with `last_only`, earlier answers are history as a server sends it back, ungraded."""
    ids: list[int] = []
    graded: list[bool] = []
    image = _encode(chat, chat.image_token)[0]
    written = parts(chat, conversation)
    for place, part in enumerate(written):
        asked = not part.answer
        if asked:
            new: list[int] = []
            for token in _encode(chat, part.text):
                new += [token] * (tokens_per_image if token == image else 1)
        else:
            new = _answer_ids(chat, part, spelt=not last_only or place == len(written) - 1)
        ids += new
        graded += [not asked and (not last_only or place == len(written) - 1)] * len(new)
    return Row(ids, graded)


def _answer_ids(chat: ChatFormat, part: Part, spelt: bool) -> list[int]:
    if not spelt:
        return [*_encode(chat, answer_text(part.answer)), *_encode(chat, chat.end)]
    ids: list[int] = []
    for piece in part.answer:
        ids += encode_bytes(chat, piece.text) if piece.read else _encode(chat, piece.text)
    return [*ids, *_encode(chat, chat.end)]


def fitting(chat: ChatFormat, conversation: Conversation, tokens: int, images: int, room: int, last_only: bool) -> Row:
    """The row, without its last turns or its system prompt where it would be longer than images plus `room`."""
    while True:
        row = encode(chat, conversation, tokens, last_only)
        if len(row.ids) <= images * tokens + room and sum(row.graded) <= ANSWER:
            return row
        if len(conversation.turns) > 1 and sum(len(turn.images) for turn in conversation.turns[:-1]) == images:
            conversation = Conversation(conversation.system, conversation.turns[:-1])
        elif conversation.system:
            conversation = Conversation("", conversation.turns)
        else:
            raise ValueError(f"{len(row.ids)} tokens, {sum(row.graded)} of them answers, do not fit a row.")


def pixels(geometry: Geometry, grid: tuple[int, int], image: Image.Image) -> NDArray[np.uint8]:
    """The image at the model's size: (height, width, 3)."""
    size = (grid[1] * geometry.patch, grid[0] * geometry.patch)
    return np.asarray(image if image.size == size else image.resize(size, geometry.resample), dtype=np.uint8)


def patch_order(geometry: Geometry, grid: tuple[int, int]) -> NDArray[np.int64]:
    """For each patch in the model's order, its place in reading order: patches of a token follow one another."""
    rows, columns, merge = *grid, geometry.merge
    places = np.arange(rows * columns).reshape(rows // merge, merge, columns // merge, merge)
    return places.transpose(0, 2, 1, 3).reshape(-1)


def labels(geometry: Geometry, grid: tuple[int, int], drawing: Drawing) -> NDArray[np.int8]:
    """What stands in each patch: (patches, LABELS), in the model's order. A character is its code less 32, or 0."""
    rows, columns = grid
    found = np.zeros((rows * columns, LABELS), np.int8)
    for glyph in drawing.glyphs:
        row, column = int(glyph.y * rows), int(glyph.x * columns)
        code = ord(glyph.char) - 32
        if not (0 <= row < rows and 0 <= column < columns and 0 < code < 95):
            continue
        cell = found[row * columns + column]
        free = np.flatnonzero(cell[:3] == 0)
        if free.size:
            cell[free[0]] = code
            if free[0] == 0:
                cell[3] = glyph.index + 1
    return found[patch_order(geometry, grid)]


def positions(geometry: Geometry, grid: tuple[int, int], ids: NDArray[np.int32], image: int) -> NDArray[np.int32]:
    """Qwen2-VL's positions of one row: (3, length), time, row and column inside an image, all equal in text."""
    rows, columns = grid[0] // geometry.merge, grid[1] // geometry.merge
    block = np.stack([np.zeros(rows * columns, np.int32), *np.divmod(np.arange(rows * columns), columns)])
    out = np.empty((3, len(ids)), np.int32)
    place, following = 0, 0
    while place < len(ids):
        if ids[place] == image:
            out[:, place : place + rows * columns] = block + following
            place, following = place + rows * columns, following + max(rows, columns)
        else:
            out[:, place] = following
            place, following = place + 1, following + 1
    return out


def make_batch(geometry: Geometry, seed: int, index: int, size: int) -> Batch:
    """Batch `index` of a run: `size` conversations, a sixth of them about two images."""
    rng = random.Random(f"{seed}/{index}")
    grid = geometry.grid(index)
    two = max(1, size // 6)
    one = size - two
    scenes = [any_scene(rng, lesson(rng, geometry, index), geometry.texts) for _ in range(one)]
    pairs = [tuple(any_scene(rng, lesson(rng, geometry, index), 0.3) for _ in range(2)) for _ in range(two)]
    singles = [talk.no_image(rng) if rng.random() < 0.05 else talk.one_image(rng, scene) for scene in scenes]
    doubles = [talk.two_images(rng, first, second) for first, second in pairs]
    everything = scenes + [scene for pair in pairs for scene in pair]
    batch: Batch = {
        "images": np.stack([pixels(geometry, grid, scene.drawing.image) for scene in everything]),
        "labels": np.stack([labels(geometry, grid, scene.drawing) for scene in everything]),
    }
    batch |= _rows(geometry, grid, rng, singles, 0, 1, "one_")
    batch |= _rows(geometry, grid, rng, doubles, one, 2, "two_")
    return batch


def lesson(rng: random.Random, geometry: Geometry, index: int) -> Look:
    """What the next picture is like. The curriculum: short and large texts first."""
    grid = geometry.grid(index)
    aspect = _aspect(rng, geometry, grid)
    squash = aspect * grid[0] / grid[1]
    if index < 500:
        return Look(aspect, squash, (28, 56), 5)
    if index < 1200:
        return Look(aspect, squash, (22, 56), 9)
    return Look(aspect, squash, (18, 28) if rng.random() < 0.25 else (18, 56))


def _aspect(rng: random.Random, geometry: Geometry, grid: tuple[int, int]) -> float:
    """The aspect of a picture that the processor would put on this grid."""
    if geometry.largest:
        usual = [aspect for aspect in (1.0, *ASPECTS) if geometry.grid_of(aspect) == grid]
        if usual and rng.random() < 0.5:
            return rng.choice(usual)
        while geometry.grid_of(aspect := grid[1] / grid[0] * math.exp(rng.uniform(-0.15, 0.15))) != grid:
            pass
        return aspect
    kind = rng.random()
    if kind < geometry.squashed / 2:
        return rng.choice(ASPECTS)
    spread = 0.65 if kind < geometry.squashed else 0.06 if kind < geometry.squashed + 0.14 else 0.0
    return math.exp(rng.uniform(-spread, spread))


def _rows(
    geometry: Geometry,
    grid: tuple[int, int],
    rng: random.Random,
    conversations: list[Conversation],
    first_image: int,
    images: int,
    prefix: str,
) -> Batch:
    """The arrays of conversations that hold `images` images each (or none, and then leave one unused).

    ids (rows, length); slots (rows, length): which of the batch's image tokens stands there, a harmless number in text;
    at, targets, weights (rows, ANSWER): where the model is graded, the token that should follow, and 1 or 0.
    """
    chat = geometry.chat
    tokens = grid[0] * grid[1] // geometry.merge**2
    room = TEXT_ONE if images == 1 else TEXT_TWO
    length = images * tokens + room
    image, pad = _encode(chat, chat.image_token)[0], _encode(chat, chat.pad)[0]
    colours = [_encode(chat, f" {name}")[0] for name in COLOURS]
    count = len(conversations)
    ids = np.full((count, length), pad, np.int32)
    slots = np.tile(np.arange(length, dtype=np.int32), (count, 1)) + first_image * tokens
    at = np.full((count, ANSWER), length - 1, np.int32)
    targets = np.full((count, ANSWER), pad, np.int32)
    weights = np.zeros((count, ANSWER), np.int8)
    for number, conversation in enumerate(conversations):
        held = sum(len(turn.images) for turn in conversation.turns)
        row = fitting(chat, conversation, tokens, held, room, rng.random() < 0.3)
        ids[number, : len(row.ids)] = row.ids
        start = (first_image + number * images) * tokens
        slots[number] = start + np.arange(length) % (images * tokens)
        slots[number, ids[number] == image] = start + np.arange(held * tokens)
        graded = np.flatnonzero(row.graded)
        at[number, : len(graded)] = graded - 1
        targets[number, : len(graded)] = ids[number, graded]
        weights[number, : len(graded)] = 1
        for place in graded:
            if ids[number, place] in colours and rng.random() < MISHEARD:
                ids[number, place] = rng.choice(colours)
    batch: Batch = {"ids": ids, "slots": slots, "at": at, "targets": targets, "weights": weights}
    if geometry.mrope:
        batch["positions"] = np.stack([positions(geometry, grid, row, image) for row in ids], axis=1)
    return {prefix + name: value for name, value in batch.items()}
