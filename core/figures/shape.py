"""What of a model sets its pace, as it is held in memory: the bytes that a token reads, and the weights it meets."""

from __future__ import annotations

from dataclasses import dataclass

from core.catalog import Float32, ModelInfo

PACKED_BITS = 12
"""Bits a weight below which weights are packed: the next format above has 16."""


@dataclass(frozen=True)
class Shape:
    """`token_bytes` are read for each token that one answer alone gets; `weights` is all that lies in memory of it.

    `active` counts the weights that each token of a prompt is multiplied by. `held` is "packed", "float32" or "plain".
    """

    kind: str
    family: str
    quantisation: str
    parameters: int
    active: int
    token_bytes: int
    weights: int
    held: str


def shape_of(info: ModelInfo, in_memory: int) -> Shape:
    """Of a model of which `in_memory` bytes were loaded: which of its ways that is, is told from them.

    Where its files do not tell what a token takes, that is 0.
    """
    stored = info.memory.weights if info.memory else info.size_bytes
    ways = [(None, stored), *((way, way.memory.weights) for way in info.float32)]
    shape = shape_as(info, min(ways, key=lambda way: abs(way[1] - in_memory))[0])
    bare = (info.kind.value, info.family, info.quantisation or "", info.parameters or 0)
    return shape or Shape(*bare, active=0, token_bytes=0, weights=in_memory, held="plain")


def shape_as(info: ModelInfo, way: Float32 | None) -> Shape | None:
    """Of a model that is held in float32 in this way, or as it is stored (None)."""
    if info.memory is None or not (info.active_bytes and info.active_parameters and info.parameters):
        return None
    stored = info.memory.weights
    weights = way.memory.weights if way else stored
    packed = 8 * stored < PACKED_BITS * info.parameters
    read = 4 * info.active_parameters if way and way.unpacked else info.active_bytes * weights // max(stored, 1)
    held = "packed" if packed and not (way and way.unpacked) else "float32" if way else "plain"
    return Shape(
        info.kind.value,
        info.family,
        info.quantisation or "",
        info.parameters,
        info.active_parameters,
        read,
        weights,
        held,
    )
