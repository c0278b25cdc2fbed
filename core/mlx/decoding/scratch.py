"""Memory that MLX keeps for the next arrays of the same sizes."""

from __future__ import annotations

import mlx.core as mx

SCRATCH_BYTES = 512 * 1024**2
"""Kept between the chunks of a prompt. Taking all of it back after every chunk costs as much as a decode step on a GPU,
and the next chunk needs the same again."""


def release_scratch() -> None:
    """Give the memory back, if it has become much."""
    if mx.get_cache_memory() > SCRATCH_BYTES:
        mx.clear_cache()
