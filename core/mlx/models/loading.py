"""Model folders to models in memory, a piece at a time, so that other models go on answering meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm import tokenizer_utils
from transformers.utils import logging as transformers_logging

from core.catalog import Float32, MemoryEstimate, ModelInfo, ModelKind, fingerprint, identity
from core.catalog.bounds import unfit
from core.catalog.config import read_json
from core.errors import EngineError, LoadFailed, ModelBroken
from core.mlx.models import templates
from core.mlx.models.folder_view import readable
from core.mlx.models.formats import Markers, find_markers
from core.mlx.models.image_bounds import told_too_much, too_much
from core.mlx.models.image_text import find_image_text, find_template
from core.mlx.models.markup import Markup, find_markup
from core.mlx.models.precision import arrange
from core.mlx.models.sampling import Defaults
from core.mlx.models.spelling import Spelling, find_spelling
from core.mlx.models.templates import Stopped, aside, on_trial
from core.mlx.ranks.distributed import ALONE, Ranks

T = TypeVar("T")

EVAL_BYTES = 256 * 1024 * 1024
"""Weights read between two decode steps of other models."""


def quiet_transformers() -> None:
    """Keep transformers' warnings about checkpoints, which nobody here can act on, off the terminal."""
    transformers_logging.set_verbosity_error()


@dataclass
class LoadedWeights:
    """A model with what is needed to talk to it. `processor` is None for text models; `context_length` is in tokens."""

    info: ModelInfo
    identity: str
    """What its files were when it was read, and how: see `core.catalog.identity`."""
    fingerprint: dict[str, str]
    """Digests by which a model is known wherever it lies: see `core.catalog.fingerprint`."""
    memory: MemoryEstimate | None
    """What it was predicted to take as it was loaded."""
    model: Any
    processor: Any
    tokenizer: Any
    markers: Markers
    defaults: Defaults
    eos_ids: frozenset[int]
    context_length: int
    vocabulary: int
    spelling: Spelling
    """A token's own bytes."""
    ranks: Ranks = ALONE
    """Who else holds a part of the model."""
    pipeline_parallel: bool = False
    """Whether this rank's part is some of the layers, instead of a part of every layer."""
    markup: Markup = field(default_factory=lambda: Markup(()))
    """What means more than text to it, and may come from its template alone."""
    image_text: str | None = None
    """What stands for an image in a turn's text, where the chat template takes nothing but text."""
    image_tokens: dict[tuple[int, int], int] = field(default_factory=dict)
    """How many tokens an image has beside others, by its size in pixels, as far as that had to be found out."""
    images_shown: int = 0
    """How many images are shown to its processor to find that out; 0 as long as that is not known."""


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
    stopped: Stopped = {}
    templates.renderers.start()
    with loading(info, allow_code), readable(info) as folder:
        files, prints = identity(info, way), fingerprint(info)
        config = read_json(folder / "config.json") or {}
        processor = None
        if info.kind is ModelKind.VISION:
            from mlx_vlm.utils import load_image_processor, load_model, load_processor

            _refuse_images(info.id, told_too_much(folder))
            model = load_model(folder, lazy=True, trust_remote_code=allow_code)
            processor = load_processor(folder, add_detokenizer=False, trust_remote_code=allow_code)
            image_processor = load_image_processor(folder)
            if image_processor is not None:
                processor.image_processor = image_processor
            _refuse_images(info.id, too_much(processor))
        else:
            from mlx_lm.utils import load_model

            model, config = load_model(folder, lazy=True, trust_remote_code=allow_code)
            pipeline_parallel = ranks.split(model, info.id)
        arrange(model, way)
        yield from evaluate(model)
        extra: dict[str, Any] = {"trust_remote_code": True} if allow_code else {}
        template = None if processor is None else (yield from _aside(ranks, stopped, partial(find_template, processor)))
        if template is not None:
            extra["chat_template"] = template
        tokenizer = tokenizer_utils.load(
            folder,
            extra,
            eos_token_ids=_eos_ids(folder, config),
            defaults=getattr(sys.modules.get(type(model).__module__), "TOKENIZER_DEFAULTS", None),
        )
        defaults = Defaults.from_generation_config(read_json(folder / "generation_config.json") or {})
    markers = find_markers(tokenizer)
    image_text = None
    if processor is not None:
        find_text = partial(find_image_text, tokenizer, str(config.get("model_type")))
        image_text = yield from _aside(ranks, stopped, find_text)
    markup = yield from _aside(ranks, stopped, partial(find_markup, tokenizer, processor, image_text, markers))
    text_config = next((config[name] for name in ("text_config", "llm_config") if config.get(name)), config)
    return LoadedWeights(
        info=info,
        identity=files,
        fingerprint=prints,
        memory=way.memory if way else info.memory,
        model=model,
        processor=processor,
        tokenizer=tokenizer,
        markers=markers,
        defaults=defaults,
        eos_ids=frozenset(tokenizer.eos_token_ids),
        context_length=info.context_length or int(text_config.get("max_position_embeddings") or 4096),
        vocabulary=int(text_config.get("vocab_size") or config.get("vocab_size") or len(tokenizer)),
        spelling=find_spelling(tokenizer._tokenizer),
        ranks=ranks,
        pipeline_parallel=pipeline_parallel,
        markup=markup,
        image_text=image_text,
    )


def _refuse_images(model_id: str, odd: str | None) -> None:
    if odd is not None:
        raise ModelBroken(
            f"{model_id} cannot be loaded, since images would take all memory: {odd}. Its preprocessor_config.json or "
            "processor_config.json is broken; download the model again."
        )


@contextmanager
def loading(info: ModelInfo, allow_code: bool) -> Iterator[None]:
    """Around the loading of any kind of model: what stands against it before, and what went wrong, as sentences."""
    templates.install()
    if info.problem:
        raise ModelBroken(f"{info.id} cannot be loaded: {info.problem}")
    if info.needs_code and not allow_code:
        raise ModelBroken(
            f"{info.id} brings Python code of its own, which runs with your rights. "
            f"If you trust it, add {info.id!r} to allow_code in settings.toml."
        )
    try:
        if (odd := unfit(info.path)) is not None:
            raise ModelBroken(f"{info.id} cannot be loaded: {odd}.")
        yield
    except EngineError:
        raise
    except Exception as error:  # the libraries raise whatever their model files lead to
        raise LoadFailed(f"{info.id} could not be loaded: {type(error).__name__}: {error}") from error


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


def _aside(ranks: Ranks, stopped: Stopped, work: Callable[[], T]) -> Generator[None, None, T]:
    """What renders templates to find out about them, between the others' steps: that may take some seconds.

    One that does not end is tried once for each load.
    Several ranks wait for it, since they have to reach what they do together in the same step.
    """
    work = partial(on_trial, stopped, work)
    if ranks.size > 1:
        return work()
    return (yield from aside(work))


def _eos_ids(path: Path, config: dict[str, Any]) -> list[int] | None:
    """End tokens named anywhere: generation_config.json knows ends of turn that config.json leaves out."""
    ids: set[int] = set()
    for source in (config, config.get("text_config") or {}, read_json(path / "generation_config.json") or {}):
        value = source.get("eos_token_id")
        ids.update([value] if isinstance(value, int) else value or [])
    return sorted(ids) or None
