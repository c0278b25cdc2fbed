"""Model folders to models in memory, a piece at a time, so that other models go on answering meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from transformers.utils import logging as transformers_logging

from core.catalog import Float32, MemoryEstimate, ModelInfo, ModelKind, fingerprint, identity
from core.catalog.config import read_json
from core.mlx.models import templates
from core.mlx.models.folder_view import readable
from core.mlx.models.lexicon import Lexicon, lexicon_steps, lexicons, loading, text_config
from core.mlx.models.precision import arrange
from core.mlx.models.sampling import Defaults
from core.mlx.models.spelling import Spelling, find_spelling
from core.mlx.ranks.distributed import ALONE, Ranks

EVAL_BYTES = 256 * 1024 * 1024
"""Weights read between two decode steps of other models."""


def quiet_transformers() -> None:
    """Keep transformers' warnings about checkpoints, which nobody here can act on, off the terminal."""
    transformers_logging.set_verbosity_error()


@dataclass(kw_only=True)
class LoadedWeights(Lexicon):
    """A model with what is needed to talk to it."""

    identity: str
    """What its files were when it was read, and how: see `core.catalog.identity`."""
    fingerprint: dict[str, str]
    """Digests by which a model is known wherever it lies: see `core.catalog.fingerprint`."""
    memory: MemoryEstimate | None
    """What it was predicted to take as it was loaded."""
    model: Any
    defaults: Defaults
    eos_ids: frozenset[int]
    vocabulary: int
    spelling: Spelling
    """A token's own bytes."""
    ranks: Ranks = ALONE
    """Who else holds a part of the model."""
    pipeline_parallel: bool = False
    """Whether this rank's part is some of the layers, instead of a part of every layer."""
    vocabulary_sha256: str = ""
    """A digest of all tokens with their ids, once somebody has asked for it."""


def load_steps(
    info: ModelInfo, allow_code: bool, ranks: Ranks = ALONE, way: Float32 | None = None
) -> Generator[float | None, None, LoadedWeights]:
    """Load a text or vision model, yielding the fraction done (0 to 1) after each piece; returns the loaded model.

    It yields None as long as a template is tried elsewhere, so that other loads may go on.

    `way` says how it is held in float32; None leaves it as it is stored. Of several ranks each reads its part of a text
    model.
    Raises ModelBroken when the files cannot be used, LoadFailed with the library's reason otherwise.
    """
    pipeline_parallel = False
    templates.renderers.start()
    with loading(info, allow_code), readable(info) as folder:
        files, prints = identity(info, way), fingerprint(info)
        config = read_json(folder / "config.json") or {}
        lexicon = lexicons.take(info, allow_code) if ranks.size == 1 else None
        if lexicon is None:
            lexicon = yield from lexicon_steps(info, folder, allow_code, ranks)
        if info.kind is ModelKind.VISION:
            from mlx_vlm.utils import load_model

            model = load_model(folder, lazy=True, trust_remote_code=allow_code)
        else:
            from mlx_lm.utils import load_model

            model, config = load_model(folder, lazy=True, trust_remote_code=allow_code)
            pipeline_parallel = ranks.split(model, info.id)
        arrange(model, way)
        yield from evaluate(model)
        defaults = Defaults.from_generation_config(read_json(folder / "generation_config.json") or {})
    tokenizer = lexicon.tokenizer
    vocabulary = text_config(config).get("vocab_size") or config.get("vocab_size") or len(tokenizer)
    return LoadedWeights(
        **{part.name: getattr(lexicon, part.name) for part in fields(Lexicon)},
        identity=files,
        fingerprint=prints,
        memory=way.memory if way else info.memory,
        model=model,
        defaults=defaults,
        eos_ids=frozenset(tokenizer.eos_token_ids),
        vocabulary=int(vocabulary),
        spelling=find_spelling(tokenizer._tokenizer),
        ranks=ranks,
        pipeline_parallel=pipeline_parallel,
    )


def evaluate(model: Any) -> Generator[float, None, None]:
    """Read a lazy model's weights into memory, yielding the fraction done after each EVAL_BYTES of them."""
    arrays = [array for _, array in tree_flatten(model.parameters())]
    total = sum(array.nbytes for array in arrays) or 1
    done = pending = 0
    batch: list[mx.array] = []
    for array in arrays:
        batch.append(array)
        pending += array.nbytes
        if pending >= EVAL_BYTES:
            mx.eval(batch)
            done, pending, batch = done + pending, 0, []
            yield done / total
    mx.eval(batch)
    mx.eval(model.state if hasattr(model, "state") else [])
    yield 1.0
