"""Which models are in memory: the budget, who may be evicted for whom, and what a refusal says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.catalog import Float32, ModelInfo
from core.catalog.in_use import hold
from core.errors import OutOfMemory
from core.mlx.budget import memory_budget
from core.mlx.kv.store import make_kv_store
from core.mlx.ranks.distributed import Ranks
from core.mlx.runtimes import ModelRuntime
from core.settings import Settings
from core.sizes import readable_size

CONTEXT_FOR_FIT = 4096
"""Tokens of KV cache that a model is expected to need when it is asked whether it fits."""


@dataclass
class Resident:
    """A model in memory. `loaded_at` is in seconds of `time.monotonic()`; `loads` counts how often it was loaded."""

    runtime: ModelRuntime
    precision: str
    """How its weights are held, in words; "" where nothing tells."""
    loaded_at: float = 0.0
    load_s: float = 0.0
    read_s: float = 0.0
    memory_bytes: int = 0
    loads: int = 0


class Pool:
    """The models in memory by id, and what is kept of their requests. Used on the MLX thread alone.

    Of several ranks each holds its part of a model, so that the one with the least memory sets the budget.
    """

    def __init__(self, settings: Settings, ranks: Ranks) -> None:
        self._parts = ranks.size
        self.budget = ranks.least(memory_budget(settings))
        self.store = make_kv_store(settings, self.budget, alone=ranks.size == 1)
        self.residents: dict[str, Resident] = {}
        self.pinned: set[str] = set()
        self._held: dict[str, Callable[[], None]] = {}

    def hold(self, info: ModelInfo) -> None:
        """Let nobody delete a model's folder, from its load on."""
        self.let_go(info.id)
        self._held[info.id] = hold(info.path)

    def let_go(self, model_id: str) -> None:
        """The model is in memory no more."""
        if (end := self._held.pop(model_id, None)) is not None:
            end()

    def idle(self) -> dict[str, Resident]:
        """The models that are neither pinned nor busy."""
        return {
            name: resident
            for name, resident in self.residents.items()
            if not resident.runtime.busy and name not in self.pinned
        }

    def room_for(self, info: ModelInfo) -> tuple[Float32 | None, int, list[str]]:
        """How `info` is loaded, and what gives way before: the bytes of `store` that may stay, and the models to evict.

        It is loaded in float32 only where that evicts nobody (see `ModelInfo.loaded_into`). KV kept for later goes
        first, then models, the least recently used first; none when it fits as it is.
        Raises OutOfMemory when evicting every model that is neither pinned nor busy would not be enough.
        """
        way, memory = info.loaded_into(self.store.left_beside(0) * self._parts)
        need = (memory.total(CONTEXT_FOR_FIT) if memory else info.size_bytes) // self._parts
        left = self.store.left_beside(need)
        if left >= 0:
            return way, left, []
        idle = self.idle()
        chosen: list[str] = []
        short = -left
        for name in sorted(idle, key=lambda name: idle[name].runtime.last_used):
            chosen.append(name)
            short -= idle[name].memory_bytes
            if short <= 0:
                return way, 0, chosen
        kept = [name for name in self.residents if name not in chosen]
        advice = f"Unload {' or '.join(kept)}" if kept else "Use a smaller or more quantised model"
        raise OutOfMemory(
            f"{info.id} needs about {readable_size(need)}; {readable_size(self.budget - left - need)} of the budget of "
            f"{readable_size(self.budget)} are in use, with {len(chosen) or 'no'} idle "
            f"model{'' if len(chosen) == 1 else 's'} that could be evicted. "
            f"{advice}, or raise memory_budget_gb."
        )
