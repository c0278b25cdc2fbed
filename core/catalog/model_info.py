"""What is known about a model before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ModelKind(StrEnum):
    TEXT = "text"
    VISION = "vision"
    EMBEDDINGS = "embeddings"
    RERANKER = "reranker"
    AUDIO = "audio"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that the model is predicted to take: weights, KV cache per token of context, and the prefill's peak.

    `kv_per_token` counts the layers whose cache grows with the context; caches of a fixed size (sliding windows,
    recurrent state) are part of `prefill_peak`.
    """

    weights: int
    kv_per_token: int
    prefill_peak: int

    def total(self, tokens: int = 4096) -> int:
        """Bytes with `tokens` tokens in the KV cache."""
        return self.weights + self.kv_per_token * tokens + self.prefill_peak


@dataclass(frozen=True)
class Float32:
    """A way to hold a model with its numbers in float32; quantised weights are `unpacked`, or stay as they are."""

    unpacked: bool
    memory: MemoryEstimate


@dataclass(frozen=True)
class ModelInfo:
    """A model on disk.

    `id` is what people and clients call it ("pocket/qwen3", "mlx-community/…", or a folder's name); `family` is
    config.json's model_type; `parameters` counts unpacked weights; `context_length` is in tokens; `problem` is None
    for a model that can be loaded, else the sentence that says why not ("incomplete: missing shard …").
    """

    id: str
    path: Path
    source: str  # "pocket", "cache" or "folder"
    kind: ModelKind
    family: str
    parameters: int | None = None
    quantisation: str | None = None
    context_length: int | None = None
    size_bytes: int = 0
    revision: str | None = None
    images: bool = False
    tools: bool = False
    thinking: bool = False
    needs_code: bool = False
    memory: MemoryEstimate | None = None
    """As its files have it."""
    float32: tuple[Float32, ...] = ()
    """Other ways to load it, the fastest first, where MLX computes on a Linux processor: half-precision numbers do not
    go through a BLAS there."""
    problem: str | None = None
    summary: str = ""
    foreign: bool = False
    """Not a model that MLX could run once repaired (PyTorch pickles, GGUF, diffusers, …): hidden unless asked for."""
    active_parameters: int | None = None
    """Of `parameters`, those that take part in a token of text: fewer where experts are chosen, or something sees."""
    active_bytes: int | None = None
    """What these take in the model's files: all of it is read for every token that one answer alone gets."""
    unfinished: bool = False
    """Whether its `problem` is that its download has not ended, be it paused or at work."""

    def loaded_into(self, free: int) -> tuple[Float32 | None, MemoryEstimate | None]:
        """How the model is loaded where `free` bytes are free, None as it is stored, and what it then takes.

        Speed may cost half of what is free, so that another model still finds room.
        """
        for way in self.float32:
            if 2 * way.memory.total() <= free:
                return way, way.memory
        return None, self.memory
