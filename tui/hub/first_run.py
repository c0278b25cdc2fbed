"""For a machine with nothing but pocket models: three real ones that fit it, each of which a key downloads.

Nothing is asked to show them: the sizes are about what so many weights come to, packed as they are. Once a key is
pressed, the Hub says how much there is to download.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from core.catalog import ModelInfo
from core.hub.progress import Progress, Stage
from core.status import EngineStatus
from tui.figures import size_in_words
from tui.foreign import short_name
from tui.hub.progress_text import share
from tui.widgets.redraw import redraw

GB = 10**9

PART_CELLS = 14
WIDE = 80
"""Cells that are taken for granted before there is a layout."""


@dataclass(frozen=True)
class Offer:
    """A model of the Hub's. `download` and `memory` (with 4,096 tokens of context) are in bytes."""

    id: str
    download: int
    memory: int


TEXT = (
    Offer("mlx-community/Qwen3-0.6B-4bit-DWQ", int(0.35 * GB), int(0.9 * GB)),
    Offer("mlx-community/Qwen3-1.7B-4bit", int(0.98 * GB), int(1.6 * GB)),
    Offer("mlx-community/Qwen3-4B-4bit", int(2.3 * GB), int(3.1 * GB)),
    Offer("mlx-community/Qwen3-8B-4bit", int(4.6 * GB), int(5.5 * GB)),
    Offer("mlx-community/Qwen3-30B-A3B-4bit", int(17.2 * GB), int(18.0 * GB)),
)
QUICK = (
    Offer("mlx-community/SmolVLM-256M-Instruct-bf16", int(0.52 * GB), int(1.2 * GB)),
    Offer("mlx-community/Qwen2-VL-2B-Instruct-4bit", int(1.26 * GB), int(2.2 * GB)),
)
FULL = (
    Offer("mlx-community/Qwen2.5-VL-3B-Instruct-4bit", int(3.1 * GB), int(4.2 * GB)),
    Offer("mlx-community/Qwen2.5-VL-7B-Instruct-4bit", int(5.7 * GB), int(7.0 * GB)),
    Offer("mlx-community/gemma-3-12b-it-qat-4bit", int(8.1 * GB), int(10.5 * GB)),
    Offer("mlx-community/gemma-3-27b-it-qat-4bit", int(17.0 * GB), int(20.0 * GB)),
)
"""The smallest first. Those that stand for the tiers by themselves (core.tiers) are among them."""
PARTS = (("text", TEXT, 0.5), ("vision, quick", QUICK, 0.25), ("vision, full", FULL, 0.85))
"""Each with the part of the memory that its model may take: beside a full model a quick one is held, too."""


def offers(budget: int) -> list[tuple[str, Offer]]:
    """For each part the largest model that is given room in `budget` bytes; none for a part that nothing fits."""
    found = []
    for part, models, portion in PARTS:
        fitting = [offer for offer in models if offer.memory <= portion * budget]
        small = [offer for offer in models[:1] if offer.memory <= budget]
        found += [(part, offer) for offer in (fitting or small)[-1:]]
    return found


class FirstRun(Static):
    """Shows the offers as long as there is nothing but pocket models, and until what was taken of them is there."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self.offers: list[tuple[str, Offer]] = []
        self._here: set[str] = set()
        self._bare = False
        self._last: tuple[EngineStatus | None, Mapping[str, Progress], bool] = (None, {}, False)

    def listed(self, models: Iterable[ModelInfo]) -> None:
        """What is on the disk."""
        every = list(models)
        self._here = {info.id for info in every}
        self._bare = bool(every) and all(info.source == "pocket" for info in every)

    def here(self, model_id: str) -> bool:
        """Whether a model is on the disk."""
        return model_id in self._here

    def on_resize(self) -> None:
        self.show(*self._last)

    def show(self, status: EngineStatus | None, downloads: Mapping[str, Progress], wanted: bool) -> None:
        """`downloads` are those that have not ended well, by model."""
        self._last = status, downloads, wanted
        if not self.offers and self._bare and status is not None and status.memory_budget:
            self.offers = offers(status.memory_budget)
        taken = any(offer.id in downloads for _, offer in self.offers)
        self.display = wanted and bool(self.offers) and (self._bare or taken)
        if not self.display:
            return
        budget = f"{size_in_words(status.memory_budget)} that models may take here" if status else "this machine"
        lines = [
            Content.assemble(
                ("Only the built-in pocket models are on this disk. ", "bold"),
                (f"These fit the {budget}; a key downloads one:", "$dim"),
            )
        ]
        told = [
            _state(number, offer, self.here(offer.id), downloads.get(offer.id))
            for number, (_, offer) in enumerate(self.offers, 1)
        ]
        wide = PART_CELLS + _widest(self.offers) + 4 + max(map(len, told)) <= (self.size.width or WIDE)
        for number, ((part, offer), state) in enumerate(zip(self.offers, told, strict=True), 1):
            lines.append(
                _line(number, part, short_name(offer.id).ljust(_widest(self.offers)), state)
                if wide
                else Content("\n").join((_line(number, part, "", state), Content(f"  {short_name(offer.id)}")))
            )
        redraw(self, Content("\n").join(lines))


def _line(number: int, part: str, name: str, state: str) -> Content:
    gap = "  " if name else ""
    return Content.assemble((f"{number} ", "$primary"), part.ljust(PART_CELLS), name, (gap + state, "$dim"))


def _state(number: int, offer: Offer, here: bool, download: Progress | None) -> str:
    """How far an offer has come, and what its key does where its download stands still."""
    if here:
        return "on this disk"
    if download is None:
        return f"about {size_in_words(offer.download)}"
    come = share(download.done, download.total)
    if download.stage is Stage.FAILED:
        return f"stopped; {number} tries again"
    if download.stage is Stage.PAUSED:
        return f"paused at {come}; {number} goes on" if come else f"paused; {number} goes on"
    return f"downloading {come}".strip()


def _widest(made: Sequence[tuple[str, Offer]]) -> int:
    return max(len(short_name(offer.id)) for _, offer in made)
