"""What a model that was never used here can be expected to do, told from like models that were."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from core.catalog import ModelInfo, ModelKind
from core.figures.shape import Shape, shape_as
from core.figures.store import Kept, read_figures
from core.figures.summary import Size, Spread, Summary, summarise

ALIKE = 4.0
"""How many times more or fewer bytes or weights a like model may have: what a step costs besides grows over that."""
NEAREST = 3
"""Models of which the expectation is made, at most."""
READ = (Size.MIDDLE, Size.LONG, Size.SHORT, Size.LONGER)
"""Prompts whose rate is taken, the first of which there is one: short ones say the least."""


@dataclass(frozen=True)
class Estimate:
    """An expected time in seconds or rate in tokens a second, from what `models` did here."""

    value: float
    low: float
    high: float
    models: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """What is expected of a model on `machine`; None where nothing alike was measured. `load` is its first load."""

    machine: str
    decode: Estimate | None = None
    prefill: Estimate | None = None
    load: Estimate | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """All that it is told from."""
        named = [model for one in (self.decode, self.prefill, self.load) if one for model in one.models]
        return tuple(dict.fromkeys(named))

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        names = {"decode_tokens_per_s": self.decode, "prefill_tokens_per_s": self.prefill, "first_load_s": self.load}
        return {"machine": self.machine} | {name: vars(one) if one else None for name, one in names.items()}


def this_machine() -> str:
    """The name by which figures know this machine, for programs without an engine: MLX's core is imported to ask."""
    from core.mlx.machine import machine_name

    return machine_name()


def known_figures(
    path: Path, model: str, info: ModelInfo | None, machine: str, free: int
) -> tuple[Summary | None, Expected | None]:
    """What was measured of a model on `machine`, or else what is expected of it there: the file at `path` is asked.

    Waits for the disk. The other values are as for `expected_figures`; without an `info` nothing is expected. Raises
    FiguresError.
    """
    summary = summarise(read_figures(path, model, machine))
    if summary is not None or info is None or info.problem:
        return summary, None
    return None, expected_figures(info, read_figures(path, machine=machine), machine, free)


def expected_figures(info: ModelInfo, measured: Sequence[Kept], machine: str, free: int) -> Expected | None:
    """What a model should do on `machine` that was never used there; None where nothing alike was measured.

    `info` describes it as the catalog does, from a folder or, as `core.hub.look` does, before a download. `measured` is
    what `read_figures(settings.figures_file, machine=machine)` returns: that waits for the disk, and serves for any
    number of models. `machine` is `EngineStatus.machine`, or `this_machine()` without an engine. `free` is how many
    bytes of the memory for models are free, which decides in what precision it would be held.

    One answer alone is written as fast as memory gives the weights that a token meets, a prompt is read as fast as they
    are multiplied, and a load takes as long as its bytes. So each like model's figures are scaled by bytes or weights,
    of experts those that are chosen. Like are models that are held in the same way (packed, in float32, or as they are
    stored) and at most four times as large or small; the three nearest count. The middle is the median of theirs, the
    rest the least and the greatest that one of them gives.
    """
    shape = shape_as(info, info.loaded_into(free)[0])
    if shape is None:
        return None
    known = [
        (summary, kept[-1].shape)
        for _, kept in _by_model([one for one in measured if one.figure.machine == machine])
        if kept[-1].shape.held == shape.held and (summary := summarise(kept)) is not None
    ]
    load = _estimate(known, shape, lambda one: one.weights, lambda told: told.first_load, 1)
    expected = Expected(machine, load=load)
    if info.kind in (ModelKind.TEXT, ModelKind.VISION):
        expected = Expected(
            machine,
            decode=_estimate(known, shape, lambda one: one.token_bytes, lambda told: _first(told.decode, Size), -1),
            prefill=_estimate(known, shape, lambda one: one.active, lambda told: _first(told.prefill, READ), -1),
            load=load,
        )
    return expected if expected.models else None


def _by_model(kept: Sequence[Kept]) -> list[tuple[str, list[Kept]]]:
    ordered = sorted(kept, key=lambda one: one.figure.model)  # the order in time stays
    return [(model, list(ones)) for model, ones in groupby(ordered, key=lambda one: one.figure.model)]


def _first(spreads: Mapping[Size, Spread], order: Iterable[Size]) -> Spread | None:
    return next((spreads[size] for size in order if size in spreads), None)


def _estimate(
    known: Sequence[tuple[Summary, Shape]],
    shape: Shape,
    measure: Callable[[Shape], int],
    figure: Callable[[Summary], Spread | None],
    power: int,
) -> Estimate | None:
    """Scale each like model's `figure` by the `power` of how many times more the model `measure`s."""
    found = [
        (measure(shape) / measure(other), told, summary.model)
        for summary, other in known
        if measure(other) and (told := figure(summary)) is not None
    ]
    like = sorted((one for one in found if 1 / ALIKE <= one[0] <= ALIKE), key=lambda one: max(one[0], 1 / one[0]))
    scaled = [(times**power, told, model) for times, told, model in like[:NEAREST]]
    if not scaled:
        return None
    return Estimate(
        statistics.median(by * told.median for by, told, _ in scaled),
        min(by * told.low for by, told, _ in scaled),
        max(by * told.high for by, told, _ in scaled),
        tuple(model for _, _, model in scaled),
    )
