"""What a model's prompts are read with: tokenizer, template and markup, without a byte of its weights."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlx_lm import tokenizer_utils

from core.catalog import ModelInfo, ModelKind
from core.catalog.bounds import unfit
from core.catalog.config import read_json
from core.errors import EngineError, LoadFailed, ModelBroken
from core.mlx.models import templates
from core.mlx.models.folder_view import readable
from core.mlx.models.formats import Markers, find_markers
from core.mlx.models.image_bounds import told_too_much, too_much
from core.mlx.models.image_text import find_image_text, find_template
from core.mlx.models.markup import Markup, find_markup
from core.mlx.models.templates import Stopped, aside, finished, on_trial
from core.mlx.ranks.distributed import ALONE, Ranks

T = TypeVar("T")

KEPT = 2
"""Lexicons that are kept beside those of loaded models; one of a large vocabulary takes some hundred megabytes."""
UNREAD = (".safetensors", ".gguf", ".bin", ".npz", ".pt", ".pth")
"""Names of files that hold weights, and change nothing about how a prompt is read."""


@dataclass
class Lexicon:
    """`processor` and `config`, the library's, are None for text models; `context_length` is in tokens."""

    info: ModelInfo
    processor: Any
    tokenizer: Any
    markers: Markers
    markup: Markup
    """What means more than text to the model, and may come from its template alone."""
    image_text: str | None
    """What stands for an image in a turn's text, where the chat template takes nothing but text."""
    context_length: int
    config: Any = None
    image_tokens: dict[tuple[int, int], int] = field(default_factory=dict)
    """How many tokens an image has beside others, by its size in pixels, as far as that had to be found out."""
    images_shown: int = 0
    """How many images are shown to the processor to find that out; 0 as long as that is not known."""
    apart: bool | None = None
    """Whether images can be prompted with one at a time; None as long as that was not tried."""
    image_samples: tuple[Any, Any] | None = None
    """What its image processor says of one image and of twice the same, beside pixels, once that was asked."""
    image_bytes: dict[tuple[int, int], int] = field(default_factory=dict)
    """Bytes of what its processor makes of an image, by its size in pixels, where images are seen in one step."""
    changing: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever uses processor or tokenizer where several threads may: the processor changes both for a
    moment."""


def lexicon_steps(
    info: ModelInfo, folder: Path, allow_code: bool, ranks: Ranks = ALONE
) -> Generator[None, None, Lexicon]:
    """Read what prompts are read with from the model's folder, or from a view of it, yielding while others may go on.
    Raises ModelBroken for images without bounds, and what the libraries raise."""
    stopped: Stopped = {}
    config = read_json(folder / "config.json") or {}
    extra: dict[str, Any] = {"trust_remote_code": True} if allow_code else {}
    processor = defaults = vision = None
    if info.kind is ModelKind.VISION:
        from mlx_vlm.utils import load_image_processor, load_processor

        _refuse_images(info.id, told_too_much(folder))
        vision = _vision_config(folder)
        processor = load_processor(folder, add_detokenizer=False, trust_remote_code=allow_code)
        image_processor = load_image_processor(folder)
        if image_processor is not None:
            processor.image_processor = image_processor
        _refuse_images(info.id, too_much(processor))
        template = yield from _aside(ranks, stopped, partial(find_template, processor))
        if template is not None:
            extra["chat_template"] = template
    else:
        from mlx_lm.utils import _tokenizer_defaults, load_config

        config, defaults = load_config(folder), _tokenizer_defaults(folder)
    tokenizer = tokenizer_utils.load(folder, extra, eos_token_ids=_eos_ids(folder, config), defaults=defaults)
    tokenizer.encode("a")  # it changes itself at the first text, and then no more: several threads may use it
    markers = find_markers(tokenizer)
    image_text = None
    if processor is not None:
        find_text = partial(find_image_text, tokenizer, str(config.get("model_type")))
        image_text = yield from _aside(ranks, stopped, find_text)
    markup = yield from _aside(ranks, stopped, partial(find_markup, tokenizer, processor, image_text, markers))
    length = info.context_length or int(text_config(config).get("max_position_embeddings") or 4096)
    if info.kind in (ModelKind.EMBEDDINGS, ModelKind.RERANKER):
        length = longest_text(info, config.get("pad_token_id"), tokenizer)
    return Lexicon(info, processor, tokenizer, markers, markup, image_text, length, vision)


def _vision_config(folder: Path) -> Any:
    """A vision model's configuration as mlx-vlm gives it to the model. Brings the processor that belongs to it."""
    from mlx_vlm.utils import get_model_and_args, load_config, update_module_configs

    config = load_config(folder)
    model_class, _ = get_model_and_args(config, folder)
    config.setdefault("text_config", config.pop("llm_config", {}))
    for part in ("vision_config", "audio_config"):
        config.setdefault(part, {})
    parts = ["text", "vision", "perceiver", "projector", "audio"]
    return update_module_configs(model_class.ModelConfig.from_dict(config), model_class, config, parts)


def longest_text(info: ModelInfo, pad_id: int | None, tokenizer: Any) -> int:
    """The longest text in tokens of a model that makes none; `pad_id` is of its configuration. MLX reads past the end
    of a position table without a word, so this must be exact."""
    length = info.context_length or 512
    if info.family.replace("_", "-") in ("xlm-roberta", "roberta"):  # positions start after the padding token's id
        length -= (1 if pad_id is None else int(pad_id)) + 1
    declared = int(getattr(tokenizer, "model_max_length", 0) or 0)
    return min(length, declared) if 0 < declared < 1_000_000 else length


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that speaks of the text model."""
    return next((config[name] for name in ("text_config", "llm_config") if config.get(name)), config)


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


@dataclass(eq=False)
class _Entry:
    lock: threading.Lock
    lexicon: Lexicon | None = None
    users: int = 0


class Lexicons:
    """Those of models that need not be loaded. Safe for threads; who asks for one that is being read waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[object, _Entry] = OrderedDict()

    @contextmanager
    def using(self, info: ModelInfo, allow_code: bool) -> Iterator[Lexicon]:
        """The lexicon of a model, read if need be, which nobody takes away meanwhile.

        Raises ModelBroken when the files cannot be used, LoadFailed with the library's reason otherwise.
        """
        key = _state(info, allow_code)
        with self._lock:
            entry = self._kept.setdefault(key, _Entry(threading.Lock()))
            self._kept.move_to_end(key)
            entry.users += 1
            unused = [name for name, other in self._kept.items() if not other.users]
            for old in unused[: max(len(self._kept) - KEPT, 0)]:
                del self._kept[old]
        try:
            with entry.lock:
                if entry.lexicon is None:
                    entry.lexicon = _read(info, allow_code)
            yield entry.lexicon
        finally:
            with self._lock:
                entry.users -= 1

    def take(self, info: ModelInfo, allow_code: bool) -> Lexicon | None:
        """The lexicon for a model that is being loaded, if it is here.

        A vision model's is here no more after that, since its tokenizer is changed for a moment where there are images;
        while someone uses it, it is not given away.
        """
        key = _state(info, allow_code)
        with self._lock:
            entry = self._kept.get(key)
            if entry is None or entry.lexicon is None:
                return None
            if info.kind is ModelKind.VISION:
                if entry.users:
                    return None
                del self._kept[key]
            return entry.lexicon


lexicons = Lexicons()


def _read(info: ModelInfo, allow_code: bool) -> Lexicon:
    templates.renderers.start()
    with loading(info, allow_code), readable(info) as folder:
        return finished(lexicon_steps(info, folder, allow_code))


def _state(info: ModelInfo, allow_code: bool) -> object:
    """What tells one state of the files that a lexicon is made of from another."""
    files = (file for file in info.path.iterdir() if not file.name.endswith(UNREAD))
    told = ((file.name, about.st_size, about.st_mtime_ns) for file in files if (about := file.stat()))
    return info.id, str(info.path), allow_code, tuple(sorted(told))


def _refuse_images(model_id: str, odd: str | None) -> None:
    if odd is not None:
        raise ModelBroken(
            f"{model_id} cannot be loaded, since images would take all memory: {odd}. Its preprocessor_config.json or "
            "processor_config.json is broken; download the model again."
        )


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
