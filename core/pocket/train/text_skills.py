"""Every skill of a single turn, and how often each is practised."""

from __future__ import annotations

from collections.abc import Callable

from core.pocket.train.text_dice import Dice
from core.pocket.train.text_honesty import off_topic, unknown_name
from core.pocket.train.text_talk import Turn, arithmetic, capital, fact, greet, identity, small_talk, translate
from core.pocket.train.text_writing import count, json_object, reading, repeat, story

SKILLS: tuple[tuple[Callable[[Dice], Turn], int], ...] = (
    (greet, 7), (capital, 14), (translate, 18), (fact, 14), (small_talk, 6), (identity, 6), (arithmetic, 6), (count, 6),
    (repeat, 12), (json_object, 7), (story, 3), (reading, 7), (off_topic, 12), (unknown_name, 7),
)  # fmt: skip
"""The skills of a single turn, with their weights in training."""


def any_turn(d: Dice) -> Turn:
    """A turn of any skill."""
    skills, weights = zip(*SKILLS, strict=True)
    chosen: Callable[[Dice], Turn] = d.random.choices(skills, weights)[0]
    return chosen(d)
