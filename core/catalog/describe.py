"""From a folder of files to a ModelInfo: reads config.json, templates and headers; never a weight, never a library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.catalog import libraries
from core.catalog.apple_double import is_apple_double
from core.catalog.bounds import DEEPEST, read_file, unfit
from core.catalog.config import model_type, number, read_json, text_part
from core.catalog.kinds import Verdict, judge
from core.catalog.memory import PREFILL_CHUNK, estimate
from core.catalog.model_info import Float32, MemoryEstimate, ModelInfo, ModelKind
from core.catalog.places import Found
from core.catalog.safetensors import DOWNLOAD_AGAIN, BrokenWeights
from core.catalog.template_features import read_templates, takes_tools, thinks
from core.catalog.weights import INDEX, PICKLES, Weights, find_files, read_weights

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json", "spiece.model")
_CONTEXT_FIELDS = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "n_ctx",
    "max_context_length",
    "model_max_length",
)


GGUF = "unsupported: a GGUF file for llama.cpp; `assay models import` takes llama ones; for others, get an MLX version"


Files = tuple[tuple[str, int, int, int], ...]
"""By file: name, size in bytes, and when its content and its entry last changed, in nanoseconds."""


@dataclass(frozen=True)
class Listing:
    """A model folder's files: names with sizes in bytes, and a value that changes whenever one of them does."""

    sizes: Mapping[str, int]
    fingerprint: Files


def look(folder: Path) -> Listing:
    """List a model folder, sub-folders included, links followed; a link to nothing has size 0."""
    rows = sorted(_files(folder, ""))
    return Listing({name: size for name, size, _, _ in rows}, tuple(rows))


def _files(folder: str | Path, prefix: str) -> Iterator[tuple[str, int, int, int]]:
    """The files under a folder, their names after `prefix`. Links to folders are not followed."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        name = prefix + entry.name
        try:
            is_folder = entry.is_dir()
            status = None if is_folder else entry.stat()
        except OSError:
            is_folder, status = False, None
        if is_folder:
            if not entry.is_symlink() and prefix.count(os.sep) < DEEPEST:
                yield from _files(entry.path, name + os.sep)
        elif is_apple_double(entry.name):
            continue
        elif status is None:
            yield name, 0, 0, 0
        else:
            yield name, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def describe(
    found: Found,
    listing: Listing,
    allow_code: frozenset[str] = frozenset(),
    prefill_chunk: int = PREFILL_CHUNK,
    float32: bool = False,
) -> ModelInfo:
    """Everything that can be told about a model before loading it. Never raises for what is wrong with its files.

    With `float32`, also what it would take with its numbers in that precision.
    """
    size = sum(listing.sizes.values())
    if found.problem is not None:
        return _unusable(found, size, found.problem, unfinished=found.unfinished)
    try:
        if (odd := unfit(found.path)) is not None:
            return _unusable(found, size, f"{odd}; {DOWNLOAD_AGAIN}")
        config = read_json(found.path / "config.json")
    except OSError as error:
        return _unusable(found, size, f"its folder cannot be read: {error.strerror or error}")
    except ValueError as error:
        return _unusable(found, size, f"{error}; {DOWNLOAD_AGAIN}")
    if config is None:
        partial = found.partial_downloads > 0 or (found.source == "cache" and found.revision is None)
        problem, unfinished = _without_config(found, listing)
        return _unusable(found, size, problem, foreign=not partial, unfinished=unfinished)
    verdict = judge(config, sentence_transformer="modules.json" in listing.sizes)
    return _described(found, listing, config, verdict, allow_code, prefill_chunk, float32)


def _described(
    found: Found,
    listing: Listing,
    config: Mapping[str, Any],
    verdict: Verdict,
    allow_code: frozenset[str],
    prefill_chunk: int,
    float32: bool,
) -> ModelInfo:
    kind, problem, foreign = verdict.kind, verdict.problem, verdict.problem is not None
    weights, templates, unfinished = None, None, False
    try:
        files = find_files(found.path)
        if files:
            weights = read_weights(files, config)
        elif problem is None and not (kind is ModelKind.AUDIO and _has(listing, ".npz")):
            problem, foreign = _without_weights(found, listing)
            unfinished = found.partial_downloads > 0
    except BrokenWeights as error:
        unfinished = problem is None and found.partial_downloads > 0
        problem = problem or str(error)
    try:
        templates = read_templates(found.path)
    except ValueError as error:
        problem = problem or f"{error}; {DOWNLOAD_AGAIN}"
    if kind is ModelKind.VISION and weights is not None and not weights.vision_tensors:
        kind = ModelKind.TEXT if libraries.mlx_lm_file(config) else kind
    chats = kind in (ModelKind.TEXT, ModelKind.VISION)
    template = templates.text(processor=kind is ModelKind.VISION) if templates and chats else ""
    problem = problem or (_tokenizer_problem(listing) if chats else None)
    if kind is ModelKind.AUDIO and verdict.family == "whisper":
        problem = problem or _whisper_problem(found.path)
    if kind is ModelKind.TEXT and weights is not None and not any(_at_top(listing, "model", ".safetensors")):
        problem = problem or "its weights are not named model*.safetensors, which is all that mlx-lm reads"
    code = _code(found.path, config, kind)
    if code and found.id not in allow_code:
        problem = problem or (
            f"needs to run Python from the model's own files ({code}); if you trust them, "
            f'add "{found.id}" to allow_code in settings.toml'
        )
    predict = _predictor(config, weights, kind, prefill_chunk)
    return ModelInfo(
        id=found.id,
        path=found.path,
        source=found.source,
        kind=kind,
        family=verdict.family,
        parameters=weights.parameters if weights else None,
        active_parameters=weights.active_parameters if weights else None,
        active_bytes=weights.active_bytes if weights else None,
        quantisation=weights.quantisation if weights else None,
        context_length=context_length(config) if kind is not ModelKind.UNKNOWN else None,
        size_bytes=sum(listing.sizes.values()),
        revision=found.revision,
        images=kind is ModelKind.VISION,
        tools=takes_tools(template),
        thinking=thinks(template),
        needs_code=bool(code),
        memory=predict(weights.nbytes, weights.float_bytes) if predict and weights else None,
        float32=tuple(_float32(predict, weights)) if float32 and predict and weights else (),
        problem=problem,
        summary=found.summary,
        foreign=foreign,
        unfinished=unfinished,
    )


_Predictor = Callable[[int, int], MemoryEstimate | None]
"""From the bytes of the weights and of an activation's element to what the model takes."""


def _predictor(config: Mapping[str, Any], weights: Weights | None, kind: ModelKind, chunk: int) -> _Predictor | None:
    if weights is None or kind in (ModelKind.UNKNOWN, ModelKind.AUDIO):
        return None
    images = kind is ModelKind.VISION
    folder = libraries.mlx_vlm_folder(config)
    file = folder / "config.py" if images and folder else libraries.mlx_lm_file(config)
    if file is not None and kind is ModelKind.TEXT and text_part(config) is not config:
        file = libraries.mlx_lm_file(text_part(config)) or file
    return lambda nbytes, float_bytes: estimate(config, nbytes, float_bytes, images, file, chunk)


def _float32(predict: _Predictor, weights: Weights) -> Iterator[Float32]:
    """What a model takes in float32, the fastest way first; nothing for one that is stored so."""
    if weights.packed:
        ways = [(True, 4 * weights.parameters), (False, weights.nbytes + weights.half_bytes)]
    else:
        ways = [(False, weights.nbytes + weights.half_bytes)] if weights.half_bytes else []
    for unpacked, nbytes in ways:
        if (memory := predict(nbytes, 4)) is not None:
            yield Float32(unpacked, memory)


def context_length(config: Mapping[str, Any]) -> int | None:
    """The longest context in tokens, scaled positions included; None when nothing tells.

    Two conventions meet here: a YaRN or long-rope block may extend max_position_embeddings (Qwen2.5) or be contained
    in it already (Llama 3.1, gpt-oss); its own original length times its factor decides which. Linear scaling is
    always contained (Gemma 3). What config.json leaves out is transformers' default for the type.
    """
    text = text_part(config)
    length = number(text, *_CONTEXT_FIELDS)
    if length is None:
        file = libraries.transformers_config_file(model_type(text) or model_type(config))
        length = libraries.declared_default(file, "max_position_embeddings")
    rope = text.get("rope_scaling") or text.get("rope_parameters")
    if isinstance(rope, dict) and length is not None:
        original = number(rope, "original_max_position_embeddings")
        factor = rope.get("factor")
        if original and isinstance(factor, int | float) and 1 < factor < 1e6:
            length = max(length, int(original * factor))
    return length


def _unusable(found: Found, size: int, problem: str, foreign: bool = False, unfinished: bool = False) -> ModelInfo:
    return ModelInfo(
        found.id,
        found.path,
        found.source,
        ModelKind.UNKNOWN,
        family="",
        size_bytes=size,
        revision=found.revision,
        problem=problem,
        summary=found.summary,
        foreign=foreign,
        unfinished=unfinished,
    )


def _at_top(listing: Listing, prefix: str, suffix: str) -> list[str]:
    return [n for n in listing.sizes if os.sep not in n and n.startswith(prefix) and n.endswith(suffix)]


def _has(listing: Listing, *suffixes: str) -> bool:
    return any(name.endswith(suffixes) for name in listing.sizes)


def _without_config(found: Found, listing: Listing) -> tuple[str, bool]:
    """Why a folder without config.json is of no use, and whether it is because its download has not ended."""
    if "model_index.json" in listing.sizes:
        return "unsupported: a diffusers pipeline (model_index.json), which makes images", False
    if "adapter_config.json" in listing.sizes:
        return "unsupported: a LoRA adapter, not a model; fuse it into its base model first", False
    if _has(listing, ".gguf"):
        return GGUF, False
    if found.partial_downloads:
        return f"incomplete: config.json has not been downloaded; {DOWNLOAD_AGAIN}", True
    return "unsupported: it has no config.json, so nothing tells what it is", False


def _without_weights(found: Found, listing: Listing) -> tuple[str, bool]:
    """Why a folder with a config and no safetensors is of no use, and whether it never was."""
    if found.partial_downloads:
        count = found.partial_downloads
        return f"incomplete: {count} file{'s' if count > 1 else ''} half downloaded; {DOWNLOAD_AGAIN}", False
    if _has(listing, *PICKLES):
        return (
            "unsupported: pickled weights only, which can run code when read; get its safetensors or MLX version",
            True,
        )
    if _has(listing, ".gguf"):
        return GGUF, True
    if INDEX in listing.sizes or found.source == "pocket":
        return f"incomplete: no weights (*.safetensors); {DOWNLOAD_AGAIN}", False
    return "incomplete: only its configuration is on disk, no weights (*.safetensors)", found.source == "cache"


def _tokenizer_problem(listing: Listing) -> str | None:
    present = [name for name in listing.sizes if os.path.basename(name) in _TOKENIZERS or name.endswith(".tiktoken")]
    if not present:
        return "incomplete: no tokenizer (tokenizer.json or tokenizer.model)"
    empty = [name for name in present if listing.sizes[name] == 0]
    return f"incomplete: missing {empty[0]}" if empty else None


def _whisper_problem(folder: Path) -> str | None:
    """Whisper's tokens for times belong to its tokenizer; where they are missing, all that is heard becomes "!"."""
    files = [folder / name for name in ("tokenizer.json", "added_tokens.json", "tokenizer_config.json")]
    present = [file for file in files if file.is_file()]
    if folder / "tokenizer.json" not in present or any(b"<|0.00|>" in read_file(file) for file in present):
        return None
    return "incomplete: its tokenizer has no timestamps (<|0.00|> and on), without which it would write nothing but '!'"


def _code(folder: Path, config: Mapping[str, Any], kind: ModelKind) -> str | None:
    """The Python of its own that loading a model would run, or None.

    Both libraries run config.json's `model_file`. `auto_map` matters only where the tokenizer or processor has no
    native class: a text model without tokenizer.json, a vision family whose processor trusts checkpoints by default,
    an audio family, most of which do.
    """
    if config.get("model_file"):
        return str(config["model_file"])
    if kind is ModelKind.TEXT and (folder / "tokenizer.json").is_file():
        return None
    names = ["tokenizer_config.json"]
    if kind is ModelKind.VISION:
        native = libraries.mlx_vlm_folder(config)
        if native is None or not libraries.trusts_code_by_default(native):
            return None
    if kind in (ModelKind.VISION, ModelKind.AUDIO):
        names += ["config.json", "preprocessor_config.json", "processor_config.json"]
    for name in names:
        try:
            mapped = (read_json(folder / name) or {}).get("auto_map")
        except ValueError:
            continue
        if isinstance(mapped, dict) and mapped:
            target = next(iter(mapped.values()))
            return str(target[0] if isinstance(target, list) else target)
    return None
