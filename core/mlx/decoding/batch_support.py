"""Which rows of a model may share a forward pass: found out by trying it on a few tokens, when the model is loaded.

BatchGenerator pads prompts that it prefills together on the right, and rows that it decodes together on the left.
Not every model of mlx-lm heeds both. Mamba, Jamba, Nemotron-H, RWKV and RecurrentGemma read the padding into their
states, and Gemma 2 cannot work with the mask at all (mlx-lm 0.32.2). Neither their caches nor their names tell, and
the next version will have others: so each model is asked.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import time
from collections.abc import Generator, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache

from core.atomic import write_atomically
from core.mlx.decoding.row_caches import merge_rows
from core.regular_files import read_text

log = logging.getLogger(__name__)

LENGTHS = (2, 9, 33)
"""Tokens of the prompts: so much padding that what is made of it cannot pass for rounding, and a row that has read but
one token, whose caches may have another shape."""
TOLERANCE = 0.15
"""Largest relative difference between a row alone and in company. Rounding to bfloat16 stays at a few hundredths, even
where it sends a token to another expert; a state that has read padding is another one."""
MOST_BYTES = 1_000_000
REMEMBERED = 1000
"""Models, at 65 bytes each, whose rows are known to share everything."""
PIECE_S = 0.1
"""Seconds of a forward pass after which others have their turn: a large model takes many for each pass."""


class Batching(IntEnum):
    """What rows may do together, the least first."""

    NEVER = 0
    DECODE = 1
    """Their prompts are prefilled one by one."""
    ALWAYS = 2


def known_batching(decoder: Any, vocabulary: int, identity: str, memory: Path) -> Generator[float, None, Batching]:
    """What `find_batching` finds, in its pieces, or found earlier of the same files on the same device.

    Only the best outcome is remembered, as a line of the file `memory`: whatever else came out may pass, as when
    memory was short. A file that cannot be read or written costs a trial and nothing else.
    """
    device = mx.device_info()
    depends = repr((identity, device.get("device_name"), device.get("architecture"), LENGTHS, TOLERANCE))
    line = hashlib.sha256(depends.encode()).hexdigest()
    try:
        known = read_text(memory, MOST_BYTES, "what was tried").split()
    except (OSError, ValueError):
        known = []
    if line in known:
        return Batching.ALWAYS
    found = yield from find_batching(decoder, vocabulary)
    if found is Batching.ALWAYS:
        try:
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(memory, "".join(f"{entry}\n" for entry in [*known, line][-REMEMBERED:]).encode())
        except OSError as error:
            log.info("what rows may share is not remembered in %s: %s", memory, error)
    return found


def find_batching(decoder: Any, vocabulary: int) -> Generator[float, None, Batching]:
    """Compare prompts side by side with each alone: some ten short forward passes.

    Yields 1.0, for the weights that are all there, after each pass and in the middle of long ones: a trial that is
    closed there is given up.
    """
    prompts = [[(vocabulary // 3 + 7 * (i + length)) % vocabulary for i in range(length)] for length in LENGTHS]
    caches, alone = [], []
    for prompt in prompts:
        cache = make_prompt_cache(decoder)
        decoder(mx.array([prompt[:-1]]), cache=cache)
        yield from _compute(cache)
        caches.append(copy.deepcopy(cache))
        logits = decoder(mx.array([prompt[-1:]]), cache=cache)
        yield from _compute(cache)
        alone.append([logits[0, -1], *_arrays(cache)])
    mx.eval(alone)
    last = mx.array([prompt[-1:] for prompt in prompts])
    try:
        merged = merge_rows(caches)
        if not (yield from _agrees(decoder, last, merged, alone)):
            return Batching.NEVER
    except Exception as error:  # whatever a model does with a batch that it was not written for
        log.info("rows of this model cannot be decoded together", exc_info=error)
        return Batching.NEVER
    try:
        padded = yield from _prefill_padded(decoder, prompts)
        return Batching.ALWAYS if (yield from _agrees(decoder, last, padded, alone)) else Batching.DECODE
    except Exception as error:
        log.info("prompts of this model cannot be prefilled together", exc_info=error)
        return Batching.DECODE


def _prefill_padded(decoder: Any, prompts: list[list[int]]) -> Generator[float, None, list[Any]]:
    """All but the last token of each prompt, in one pass with padding on the right, as BatchGenerator does it."""
    empty = [make_prompt_cache(decoder) for _ in prompts]
    merged = merge_rows(empty)
    lengths = [len(prompt) - 1 for prompt in prompts]
    padding = [max(lengths) - length for length in lengths]
    for layer in merged:
        layer.prepare(lengths=list(lengths), right_padding=padding)
    rows = [prompt[:-1] + [0] * more for prompt, more in zip(prompts, padding, strict=True)]
    decoder(mx.array(rows), cache=merged)
    yield from _compute(merged)
    for layer in merged:
        layer.finalize()
    mx.eval([layer.state for layer in merged])
    return merged


def _agrees(
    decoder: Any, last: mx.array, merged: list[Any], alone: list[list[mx.array]]
) -> Generator[float, None, bool]:
    """Whether the step that reads the `last` token of each row, in `merged` caches, does what it did alone."""
    logits = decoder(last, cache=merged)
    yield from _compute(merged)
    distances: list[mx.array] = []
    for row, expected in enumerate(alone):
        arrays = [logits[row, -1], *_arrays([layer.extract(row) for layer in merged])]
        if [array.shape for array in arrays] != [array.shape for array in expected]:
            return False
        distances += [_distance(ours, theirs) for ours, theirs in zip(arrays, expected, strict=True)]
    return bool(mx.all(mx.stack(distances) <= TOLERANCE))  # which what is not a number never is


def _compute(cache: list[Any]) -> Iterator[float]:
    """What a forward pass left to be computed, a layer after the other, as far as the cache shows them."""
    began = time.monotonic()
    for layer in cache:
        mx.eval(layer.state)
        if time.monotonic() - began >= PIECE_S:
            yield 1.0
            began = time.monotonic()
    yield 1.0


def _arrays(cache: list[Any]) -> Iterator[mx.array]:
    """The numbers that one row's caches hold, without the room that they keep for more."""
    plain = [layer.merge([layer]).extract(0) if hasattr(layer, "merge") else layer for layer in cache]
    for _, value in tree_flatten([layer.state for layer in plain]):
        if isinstance(value, mx.array) and mx.issubdtype(value.dtype, mx.floating):
            yield value


def _distance(ours: mx.array, theirs: mx.array) -> mx.array:
    """The norm of the difference, relative to that of `theirs`."""
    a, b = ours.astype(mx.float32), theirs.astype(mx.float32)
    norm = mx.linalg.norm(b)
    return mx.linalg.norm(a - b) / mx.where(norm == 0, 1.0, norm)
