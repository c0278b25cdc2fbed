"""Requests on their way into the batch: what is left of their prompts, and whose turn it is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from core.mlx.decoding.row import Row
from core.mlx.decoding.text_prefill import TextPrefill
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.prompt.inputs import Inputs

OLDEST_EVERY = 4
"""Of so many chunks, one goes to the oldest prompt and the others to the one with the least left: a short prompt
overtakes a long one, and no stream of short ones keeps a long one waiting for ever."""


@dataclass(eq=False)
class PrefillTask:
    """An admitted request on its way into the batch; `work` is None while the prefill of another row is awaited."""

    row: Row
    inputs: Inputs
    work: TextPrefill | VisionPrefill | None = None
    recall: Generator[None, None, None] | None = None
    """Reads what is on disk of the prompt, before `work` begins."""
    finished: bool = False
    """Nothing is left for `work` to do."""
    answer: tuple[int, ...] | None = None
    """The tokens that are to be scored after the prompt; None where it is to be answered."""
    kept: bool = True
    """Whether what is known of the prompt is used."""
    copies: int = 1
    """Rows that it will take."""

    @property
    def left(self) -> int:
        """Prompt tokens still to be prefilled, without the last, which is the batch's to read."""
        return self.inputs.length - 1 - (self.work.done if self.work else 0)

    def may_join(self, chunk: int) -> bool:
        """Whether BatchGenerator can do the rest, without going over a chunk. A scorer reads the last token alone."""
        chunk = chunk if self.answer is None else 0
        return self.finished or (isinstance(self.work, TextPrefill) and self.left <= chunk)


def next_group(tasks: Sequence[PrefillTask], chunk: int, rows: int) -> list[PrefillTask]:
    """The first tasks, `rows` at most, whose rests fit one chunk together, each padded to the longest of them."""
    group: list[PrefillTask] = []
    widest = 1
    for task in tasks:
        if len(group) == rows or not task.may_join(chunk):
            continue
        width = max(widest, task.left)
        if not group or (len(group) + 1) * width <= chunk:
            group.append(task)
            widest = width
    return group


def next_alone(tasks: Sequence[PrefillTask], chunk: int, turn: int) -> PrefillTask | None:
    """Whose prompt gets the chunk number `turn`, of those that the batch cannot take; None when there are none."""
    waiting = [task for task in tasks if task.work is not None and not task.may_join(chunk)]
    if not waiting:
        return None
    return waiting[0] if turn % OLDEST_EVERY == 0 else min(waiting, key=lambda task: task.left)
