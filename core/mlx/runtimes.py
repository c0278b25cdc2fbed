"""Which class runs which kind of model: the one place that knows, and what the scheduler may expect of them all."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Protocol

import mlx.core as mx

from core.calls.clock import Clock
from core.catalog import Float32, ModelInfo, ModelKind
from core.errors import EngineError, ModelBroken, UnsupportedInput
from core.mlx.kv.store import KvStore
from core.mlx.models import loading
from core.mlx.ranks.distributed import Ranks
from core.settings import Settings

log = logging.getLogger(__name__)


class ModelRuntime(Protocol):
    """A loaded model at work. Its methods run on the MLX thread; times are seconds of `time.monotonic()`."""

    last_used: float

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    @property
    def busy(self) -> bool: ...

    def submit(self, work: Any, clock: Clock, /) -> None:
        """Queue a request that this kind of model takes: the engine has checked that."""

    def cancel(self, work: Any, /) -> bool:
        """End a request now; returns whether it was here."""

    def step(self) -> None:
        """A bounded piece of work. Raises nothing: what fails ends the requests concerned."""

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back."""


def load_steps(
    info: ModelInfo, allow_code: bool, ranks: Ranks, way: Float32 | None
) -> Generator[float | None, None, Any]:
    """Load a model of any kind, yielding the fraction done (0 to 1) after each piece, or None where others may load
    meanwhile; returns it for `make_runtime`.

    `way` says how it is held in float32; None leaves it as it is stored. Raises ModelBroken, LoadFailed, or
    UnsupportedInput for a model of which Assay has no use, as for any but a text model when several ranks are to hold
    it.
    """
    if ranks.size > 1 and info.kind in (ModelKind.VISION, ModelKind.EMBEDDINGS, ModelKind.RERANKER, ModelKind.AUDIO):
        raise UnsupportedInput(
            f"{info.id} is a model of kind {info.kind.value}, and only text models can be split over the {ranks.size} "
            "ranks of mlx.launch. Run it on one machine, without mlx.launch."
        )
    match info.kind:
        case ModelKind.TEXT | ModelKind.VISION:
            return (yield from loading.load_steps(info, allow_code, ranks, way))
        case ModelKind.EMBEDDINGS:
            from core.mlx.embeddings.loading import load_steps as load_embedder

            return (yield from load_embedder(info, allow_code, way))
        case ModelKind.RERANKER:
            from core.mlx.embeddings.reranking import load_steps as load_reranker

            return (yield from load_reranker(info, allow_code, way))
        case ModelKind.AUDIO:
            from core.mlx.audio.loading import load_steps as load_audio

            return (yield from load_audio(info, allow_code))
    raise ModelBroken(f"{info.id} cannot be loaded: {info.problem or 'nothing tells what kind of model it is'}")


def runtime_steps(
    info: ModelInfo, loaded: Any, settings: Settings, stream: mx.Stream, store: KvStore
) -> Generator[float, None, ModelRuntime]:
    """The runtime for what `load_steps` returned, yielding 1.0 between the pieces of what is tried with the model."""
    match info.kind:
        case ModelKind.EMBEDDINGS:
            from core.mlx.embeddings.runtime import EmbeddingRuntime

            return EmbeddingRuntime(loaded, settings, stream)
        case ModelKind.RERANKER:
            from core.mlx.embeddings.reranking import RerankRuntime

            return RerankRuntime(loaded, settings, stream)
        case ModelKind.AUDIO:
            from core.mlx.audio.runtime import AudioRuntime

            return AudioRuntime(loaded, stream)
    from core.mlx.decoding.runtime import Runtime, batching_steps
    from core.mlx.kv.prefix_cache import PrefixCache

    if loaded.pipeline_parallel:  # ranks with unlike layers would not drop the same entries, nor could trim the same
        log.info("%s keeps no prompts for later turns: each rank holds layers of its own", info.id)
        store = replace(store, prefixes=PrefixCache(0))
    return Runtime(loaded, settings, stream, store, (yield from batching_steps(loaded, settings)))
