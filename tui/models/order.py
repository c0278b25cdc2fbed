"""In which order models are listed: by any column, numbers as numbers, with what has none of it last."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.catalog import ModelInfo
from tui.lamp import LOADED, LOADING, lamp
from tui.models.columns import COLUMNS
from tui.models.detail import abilities, kind_name
from tui.models.fit import Fit, fit, predicted
from tui.state import WorkbenchState

Value = str | int | tuple[int, str] | None

GREATEST_FIRST = ("lamp", "parameters", "context", "size", "memory")
"""Columns that begin with the greatest when they are chosen; the others begin with the first."""
LIVE = ("lamp", "tier", "memory", "fit")
"""Columns that change while nothing on the disk does."""
_LAMPS = {LOADED: 2, LOADING: 1}
_FITS = tuple(Fit)


@dataclass(frozen=True)
class Order:
    """By which column, and whether the greatest comes first; without a column as the catalog lists them."""

    column: str = ""
    descending: bool = False

    @classmethod
    def read(cls, text: str) -> Order:
        """What `str` has written; a column that there is not is none."""
        column = text.removeprefix("-")
        return cls(column, text != column) if column in (one.key for one in COLUMNS) else cls()

    def __str__(self) -> str:
        return "-" * self.descending + self.column

    @classmethod
    def by(cls, column: str) -> Order:
        """By a column that has just been chosen."""
        return cls(column, column in GREATEST_FIRST)

    @property
    def reversed(self) -> Order:
        return Order(self.column, not self.descending and bool(self.column))

    def after(self, shown: list[str]) -> Order:
        """By the next of the columns that are shown; behind the last one is the catalog's order."""
        at = shown.index(self.column) + 1 if self.column in shown else 0
        return Order.by(shown[at]) if at < len(shown) else Order()

    def of(self, models: Iterable[ModelInfo], state: WorkbenchState) -> list[ModelInfo]:
        """The models in this order; those that are alike stay as they were."""
        if not self.column:
            return list(models)
        found = [(value(info, self.column, state), info) for info in models]
        known = [(key, info) for key, info in found if key is not None]
        known.sort(key=lambda pair: pair[0], reverse=self.descending)
        return [info for _, info in known] + [info for key, info in found if key is None]


def value(info: ModelInfo, column: str, state: WorkbenchState) -> Value:
    """What a model is sorted by in a column; all of a column are of one type, None where nothing is known."""
    match column:
        case "lamp":
            return _LAMPS.get(lamp(state, info.id), 0)
        case "name":
            return info.id.lower()
        case "tier":
            return " ".join(state.roles(info.id)) or None
        case "kind":
            return kind_name(info) or None
        case "quant":
            return _bits(info)
        case "parameters":
            return info.parameters or None
        case "context":
            return info.context_length or None
        case "family":
            return info.family.lower() or None
        case "takes":
            return abilities(info) or None
        case "size":
            return info.size_bytes or None
        case "memory":
            return predicted(info, state.status)[0] or None
        case _:
            found = fit(info, state.status)
            return None if found is Fit.UNKNOWN else _FITS.index(found)


def _bits(info: ModelInfo) -> tuple[int, str] | None:
    """By bits: 4bit-g64 before mxfp8 before bf16."""
    if info.quantisation is None:
        return None
    digits = re.search(r"\d+", info.quantisation)
    return (int(digits.group()) if digits else 0, info.quantisation)
