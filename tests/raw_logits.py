"""Probabilities taken from the bare libraries' logits, for tests that hold the engine's figures against them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from PIL import Image

from core.media.images import ImageData

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def log_softmax(logits: Matrix) -> Matrix:
    """Of each row, in double precision."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    found: Matrix = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def of_text(path: Path, prompt: list[int], answer: list[int], rows: int = 1) -> Matrix:
    """Log-probabilities of shape (answer, vocabulary) before each token of an answer, in one pass of a text model over
    `rows` copies of the prompt and the answer."""
    from mlx_lm.utils import load_model

    model, _ = load_model(path)
    model.set_dtype(mx.float32)
    logits = model(mx.array([prompt + answer] * rows))
    return _last(logits, len(answer))


def of_vision(path: Path, question: str, image: ImageData, answer: list[int], rows: int = 1) -> Matrix:
    """As `of_text`, of a vision model that is shown an image with a question."""
    from mlx_vlm import load
    from mlx_vlm.models.cache import make_prompt_cache
    from mlx_vlm.utils import prepare_inputs

    model, processor = load(str(path))
    model.set_dtype(mx.float32)
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    shown = prepare_inputs(processor, images=[Image.open(io.BytesIO(image.data))], prompts=[prompt])
    tokens, pixels, mask = (shown.pop(name) for name in ("input_ids", "pixel_values", "attention_mask"))
    made = model.get_input_embeddings(tokens, pixels, mask=mask, **shown).to_dict()
    cache = make_prompt_cache(model.language_model)
    more = {name: value for name, value in (shown | made).items() if value is not None}
    if rows > 1:  # positions of the Qwen-VL family have another axis first
        tokens, more = mx.repeat(tokens, rows, 0), {"inputs_embeds": mx.repeat(more["inputs_embeds"], rows, 0)}
    first = model.language_model(tokens, cache=cache, **more).logits[:, -1:]
    rest = model.language_model(mx.array([answer] * rows), cache=cache).logits
    return _last(mx.concatenate([first, rest], axis=1), len(answer))


def _last(logits: mx.array, count: int) -> Matrix:
    """The first row's logits before each of the last `count` tokens, as log-probabilities."""
    return log_softmax(np.array(logits[0, -count - 1 : -1].astype(mx.float32)).astype(np.float64))
