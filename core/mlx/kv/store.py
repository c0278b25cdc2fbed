"""What outlives its request, and gives way to what is needed now: KV for later turns, and the rows of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx

from core.mlx.kv.disk import KvDisk
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.meter import Meter
from core.settings import Settings

IMAGE_SHARE = 8
"""Part of the budget for rows of images: a token's row takes a small fraction of the bytes that its KV takes."""

MEMORY_SHARE = 8
"""Part of the memory for models that is for KV, where the settings do not say. A fixed number would keep whole evenings
of a small model and not one turn of a large one: 4,000 tokens of Gemma 3 27B take 1 GB."""

FOLDER = "kv"


@dataclass(frozen=True)
class KvStore:
    """`memory` is the budget of all that MLX holds, in bytes; what is kept is a part of that."""

    prefixes: PrefixCache
    images: ImageEmbeddings
    memory: int
    meter: Meter = field(default_factory=Meter)
    """What requests take beside it."""

    @property
    def nbytes(self) -> int:
        return self.prefixes.nbytes + self.images.nbytes

    def left_beside(self, need: int) -> int:
        """Bytes that may stay kept when `need` more are taken up; what is missing, as a negative number, if they do
        not fit with nothing kept."""
        if self._free() < need:
            mx.synchronize()  # the last step holds memory until it has been computed
        return self._free() - need

    def _free(self) -> int:
        return self.memory - mx.get_active_memory() + self.nbytes

    def shrink(self, nbytes: int, patience_s: float = 0.0) -> None:
        """Keep `nbytes` at most: the least recent KV goes first, images after all KV. See `PrefixCache.shrink`."""
        self.prefixes.shrink(max(nbytes - self.images.nbytes, 0), patience_s)
        self.images.shrink(max(nbytes - self.prefixes.nbytes, 0))

    def forget(self, model: str) -> None:
        """Drop everything of a model that is being unloaded; what goes to disk is written first."""
        self.prefixes.forget(model)
        self.images.forget(model)


def make_kv_store(settings: Settings, memory: int, alone: bool) -> KvStore:
    """As the settings say. With several ranks nothing is kept on disk: what is found there would part them."""
    budget = memory // MEMORY_SHARE if settings.cache_budget_gb is None else int(settings.cache_budget_gb * 1e9)
    on_disk = int(settings.cache_on_disk_gb * 1e9)
    disk = KvDisk(Path(settings.data_dir) / FOLDER, on_disk) if on_disk and budget and alone else None
    return KvStore(PrefixCache(budget, disk), ImageEmbeddings(budget // IMAGE_SHARE), memory)
