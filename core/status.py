"""What the engine says about itself: a snapshot to poll, and notices to listen to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ModelState(StrEnum):
    LOADING = "loading"
    STOPPING = "stopping"  # being loaded, and given up once the piece that is read now is there
    READY = "ready"
    UNLOADING = "unloading"


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory. `memory_bytes` is what loading it added to MLX's active memory."""

    id: str
    state: ModelState
    progress: float = 1.0
    """The fraction of the weights that is in memory, 0 to 1."""
    pinned: bool = False
    memory_bytes: int = 0
    precision: str = ""
    """The type in which it computes, such as "bfloat16"; float32 on a Linux processor, where the memory allows it."""
    load_s: float = 0.0
    """From when it was asked for."""
    read_s: float = 0.0
    """From its turn on; 0 where requests to other models were worked on meanwhile."""
    loads: int = 0
    """How often this process has loaded it: 1 while faces share it."""
    running: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class EngineStatus:
    """A snapshot; all memory is bytes as MLX counts them on its device."""

    alive: bool
    device: str
    models: tuple[LoadedModel, ...] = ()
    running: int = 0
    waiting: int = 0
    active_memory: int = 0
    cache_memory: int = 0
    peak_memory: int = 0
    memory_budget: int = 0
    kept_memory: int = 0
    """The part of `active_memory` that is kept for later turns, and gives way before a model does."""
    kept_on_disk: int = 0
    """Bytes of KV in data_dir/kv, as last seen."""
    blas: str = ""
    """Who multiplies float32 matrices, where that is a choice."""
    machine: str = ""
    """What computes here, by name: see core.mlx.machine."""

    @property
    def loads(self) -> tuple[LoadedModel, ...]:
        """The models on their way into memory, the one that is read now first: requests to the others wait for it."""
        leaving = {model.id for model in self.models if model.state is ModelState.UNLOADING}
        coming = (model for model in self.models if model.state in (ModelState.LOADING, ModelState.STOPPING))
        return tuple(sorted(coming, key=lambda model: model.id in leaving))


class NoticeKind(StrEnum):
    MODEL_LOADING = "model_loading"
    MODEL_READY = "model_ready"
    MODEL_FAILED = "model_failed"
    MODEL_UNLOADED = "model_unloaded"
    STATUS = "status"  # numbers have changed: worth a redraw
    ENGINE_DIED = "engine_died"  # nothing goes on until it is started anew; `message` says why


@dataclass(frozen=True)
class Notice:
    """Something changed. Delivered on the MLX thread, and on that of who gives a load up: listeners return at once."""

    kind: NoticeKind
    model: str | None = None
    message: str = ""
    loaded: LoadedModel | None = None
    """The model that is ready."""
    evicted: bool = False
    """Whether a model was unloaded to make room for another one."""
