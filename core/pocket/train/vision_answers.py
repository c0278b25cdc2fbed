"""Greedy answers from an exported vision model, many at a time: the real processor and class, with rows in step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_vlm import load
from mlx_vlm.models.cache import make_prompt_cache
from mlx_vlm.utils import prepare_inputs, should_add_special_tokens
from PIL import Image

BATCH = 32
"""Prompts that are answered in one batch."""


@dataclass(frozen=True)
class Ask:
    """A prompt: turns of (role, text, images); the last turn is the user's."""

    turns: tuple[tuple[str, str, tuple[Image.Image, ...]], ...]
    image_first: bool = False


def ask(text: str, *images: Image.Image, system: str = "", image_first: bool = False) -> Ask:
    """A prompt of one user turn, with a system prompt or none."""
    head: tuple[tuple[str, str, tuple[Image.Image, ...]], ...] = (("system", system, ()),) if system else ()
    return Ask((*head, ("user", text, images)), image_first)


@dataclass(frozen=True)
class _Prompt:
    ids: mx.array
    embeddings: mx.array
    positions: mx.array | None
    shift: int
    """Position of the first answer token less the prompt's length."""


class Answerer:
    """A loaded model folder."""

    def __init__(self, folder: Path) -> None:
        self.model, self.processor = load(str(folder))
        eos = self.model.config.eos_token_id
        self.eos = set(eos if isinstance(eos, list) else [eos])

    def prompt_text(self, question: Ask) -> str:
        """The prompt as the shipped template writes it."""
        messages = [
            {"role": role, "content": _content(text, images, question.image_first)}
            for role, text, images in question.turns
        ]
        text: str = self.processor.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    def answers(self, questions: Iterable[Ask], tokens: int = 64) -> list[str]:
        """The greedy answer to each prompt, in order, without the end mark."""
        asked = list(questions)
        order: dict[int, list[int]] = defaultdict(list)
        out = [""] * len(asked)
        prompts: dict[int, _Prompt] = {}
        for number, question in enumerate(asked):
            prompts[number] = self._prompt(question)
            same = order[prompts[number].ids.shape[1]]
            same.append(number)
            if len(same) == BATCH:
                self._finish(same, prompts, tokens, out)
        for same in order.values():
            if same:
                self._finish(same, prompts, tokens, out)
        return out

    def _finish(self, numbers: list[int], prompts: dict[int, _Prompt], tokens: int, out: list[str]) -> None:
        for number, text in zip(numbers, self._generate([prompts.pop(n) for n in numbers], tokens), strict=True):
            out[number] = text
        numbers.clear()

    def _prompt(self, question: Ask) -> _Prompt:
        images = [image for _, _, images in question.turns for image in images]
        kind = self.model.config.model_type
        inputs = prepare_inputs(
            self.processor,
            images=images or None,
            prompts=self.prompt_text(question),
            image_token_index=getattr(self.model.config, "image_token_index", None),
            add_special_tokens=should_add_special_tokens(kind, self.processor),
        )
        extra: dict[str, Any] = {}
        if "image_grid_thw" in inputs:
            extra["image_grid_thw"] = inputs["image_grid_thw"]
        ids = inputs["input_ids"]
        found = self.model.get_input_embeddings(ids, inputs.get("pixel_values"), mask=inputs["attention_mask"], **extra)
        positions, shift = None, 0
        if found.position_ids is not None:
            positions = found.position_ids
            if positions.ndim == 2:
                positions = mx.broadcast_to(positions[None], (3, *positions.shape))
            shift = int(found.rope_deltas.item())
        mx.eval(found.inputs_embeds, positions) if positions is not None else mx.eval(found.inputs_embeds)
        return _Prompt(ids, found.inputs_embeds, positions, shift)

    def _generate(self, prompts: Sequence[_Prompt], tokens: int) -> list[str]:
        language = self.model.language_model
        cache = make_prompt_cache(language)
        length = prompts[0].ids.shape[1]
        placed = prompts[0].positions is not None
        extra: dict[str, Any] = {}
        if placed:
            extra["position_ids"] = mx.concatenate([p.positions for p in prompts if p.positions is not None], axis=1)
        logits = language(
            mx.concatenate([p.ids for p in prompts]),
            inputs_embeds=mx.concatenate([p.embeddings for p in prompts]),
            cache=cache,
            **extra,
        ).logits
        shifts = mx.array([p.shift for p in prompts])
        said: list[list[int]] = [[] for _ in prompts]
        running = set(range(len(prompts)))
        for step in range(tokens):
            new = mx.argmax(logits[:, -1, :], axis=-1)
            tokens_said: Any = new.tolist()
            for row, token in enumerate(tokens_said):
                if row in running and token in self.eos:
                    running.discard(row)
                elif row in running:
                    said[row].append(token)
            if not running:
                break
            if placed:
                extra["position_ids"] = mx.broadcast_to((shifts + length + step)[None, :, None], (3, len(prompts), 1))
            logits = language(new[:, None], cache=cache, **extra).logits
        return [self.processor.tokenizer.decode(row) for row in said]


def _content(text: str, images: tuple[Image.Image, ...], image_first: bool) -> str | list[dict[str, str]]:
    if not images:
        return text
    pictures = [{"type": "image"} for _ in images]
    words = [{"type": "text", "text": text}]
    return pictures + words if image_first else words + pictures
