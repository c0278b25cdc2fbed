"""Where the measures are taken: the models on disk, the engine over them, and the bare libraries beside it."""

from __future__ import annotations

import io
import math
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageDraw

from core.calls.events import Finished
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.media.images import ImageData, check_image
from core.mlx.kv.prefix_cache import common_prefix
from core.settings import Settings
from tests.benchmarks.models import make_model
from tests.benchmarks.plain import Plain
from tests.benchmarks.shapes import Shape

Bare = TypeVar("Bare", "BareText", "BareVision")

WORDS = re.findall(
    r"\w+",
    "a the red blue green large small cat dog bird tree house river stone walks runs sees holds under over near after "
    "before when while every many some seven four day night light water city road letter number colour",
)


class Lab:
    """Makes models in `models`, or in `folder`, when they are first asked for; the engine finds them there."""

    def __init__(self, folder: Path, models: Path | None = None, **settings: Any) -> None:
        self.folder = folder
        self.models = models or folder / "models"
        for path in (self.models, folder / "cache", folder / "data"):
            path.mkdir(exist_ok=True, parents=True)
        self._settings = settings
        self._plain: dict[str, Plain] = {}
        self.engine = self._make_engine()
        self.random = random.Random(0)

    def _make_engine(self, **changes: Any) -> Engine:
        options: dict[str, Any] = {
            "model_folders": [self.models],
            "hf_cache": self.folder / "cache",
            "data_dir": self.folder / "data",
        }
        return Engine(Settings(**(options | self._settings | changes)))

    @contextmanager
    def other_engine(self, **changes: Any) -> Iterator[Engine]:
        """An engine with other settings; the lab's own is idle meanwhile."""
        with self._make_engine(**changes) as engine:
            yield engine

    def make(self, shape: Shape) -> Path:
        """The model's folder; its name is the model's id."""
        path = self.models / shape.name
        if not path.exists():
            make_model(shape, self.models)
            self.engine.catalog.refresh()
        return path

    def tokenizer(self, shape: Shape) -> Any:
        """The model's tokenizer, as mlx-lm loads it."""
        from mlx_lm.tokenizer_utils import load

        return load(self.make(shape))

    # -- what to ask -------------------------------------------------------------------------------------------------

    def text(self, tokenizer: Any, tokens: int) -> str:
        """Words that nobody asked about before, of about as many tokens."""
        words = " ".join(self.random.choice(WORDS) for _ in range(tokens))
        return str(tokenizer.decode(tokenizer.encode(words, add_special_tokens=False)[:tokens])).strip()

    def picture(self, side: int) -> ImageData:
        """A PNG of coloured boxes that nobody looked at before; `side` is pixels."""
        picture = Image.new("RGB", (side, side), "white")
        draw = ImageDraw.Draw(picture)
        for _ in range(12):
            left, top = self.random.randrange(side), self.random.randrange(side)
            colour = (self.random.randrange(256), self.random.randrange(256), self.random.randrange(256))
            draw.rectangle((left, top, left + side // 4, top + side // 4), fill=colour)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return check_image(buffer.getvalue())

    # -- ours --------------------------------------------------------------------------------------------------------

    def load(self, shape: Shape) -> None:
        self.make(shape)
        self.engine.load(shape.name).result()

    def load_beside(self, shape: Shape, bare: type[Bare], ours_first: bool) -> Bare:
        """Load the model anew into the engine, and once more for the bare library, which is returned."""
        path = self.make(shape)
        self.unload(shape)
        if ours_first:
            self.load(shape)
        loaded = bare(path)
        if not ours_first:
            self.load(shape)
        return loaded

    def plain(self, shape: Shape, bare: type[BareText] | type[BareVision]) -> Plain:
        """The bare library as people have it, with the model; the same one until another is asked for."""
        if shape.name not in self._plain:
            self.end_plain()
            self._plain[shape.name] = Plain(bare, self.make(shape))
        return self._plain[shape.name]

    def end_plain(self) -> None:
        """End the process that holds the bare library's model."""
        for plain in self._plain.values():
            plain.close()
        self._plain.clear()

    def unload(self, shape: Shape) -> None:
        """Free the engine's model."""
        self.engine.unload(shape.name, cancel=True).result()


def request(shape: Shape, messages: list[Message], tokens: int, **sampling: Any) -> GenerationRequest:
    """A greedy request for `tokens` tokens."""
    options = Sampling(**({"temperature": 0.0, "max_tokens": tokens} | sampling))
    return GenerationRequest(shape.name, tuple(messages), sampling=options)


def user(text: str, *images: ImageData) -> list[Message]:
    """A conversation of one turn."""
    return [Message.text(Role.USER, text, *images)]


def finished(generation: Generation) -> Finished:
    """Read a generation to its end. Raises what ended it, and AssertionError when it stopped by itself."""
    end = generation.result().finished
    assert end is not None
    assert end.reason == "length", f"a model of random weights ended with {end.reason}"
    return end


# -- the bare libraries ----------------------------------------------------------------------------------------------


class BareText:
    """mlx-lm alone, on this thread."""

    def __init__(self, path: Path) -> None:
        from mlx_lm import load

        self.model, self.tokenizer = load(str(path))

    def _prompt(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True
        )
        return tokens

    def stream(self, text: str, tokens: int) -> int:
        """Tokens that mlx_lm.stream_generate made."""
        from mlx_lm import stream_generate

        made = 0
        for answer in stream_generate(self.model, self.tokenizer, self._prompt(text), max_tokens=tokens):
            made = answer.generation_tokens
        return made

    def prefill(self, text: str, tokens: int) -> int:
        """Tokens of a prompt that mlx_lm.stream_generate read until it gave the first token of the answer."""
        from mlx_lm import stream_generate

        prompt = self._prompt(text)
        next(stream_generate(self.model, self.tokenizer, prompt, max_tokens=tokens))
        return len(prompt)

    def follow_up(self, first: str, answer: str, second: str, tokens: int) -> tuple[float, float]:
        """Seconds to the first token of two turns, the second of which goes on with the KV of the first by hand.

        NaN for the second where the KV cannot be cut back to what both turns have in common.
        """
        from mlx_lm import stream_generate
        from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

        cache = make_prompt_cache(self.model)
        prompt = self._prompt(first)
        began = time.perf_counter()
        waited: list[float] = []
        made = []
        for given in stream_generate(self.model, self.tokenizer, prompt, max_tokens=tokens, prompt_cache=cache):
            waited = waited or [time.perf_counter() - began]
            made.append(given.token)
        roles = (("user", first), ("assistant", answer), ("user", second))
        turns = [{"role": role, "content": text} for role, text in roles]
        began = time.perf_counter()
        following: list[int] = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True)
        held = next(layer.offset for layer in cache)
        known = common_prefix(np.array((prompt + made)[:held]), np.array(following))
        if known < held:
            if not can_trim_prompt_cache(cache):
                return waited[0], math.nan
            trim_prompt_cache(cache, held - known)
        next(stream_generate(self.model, self.tokenizer, following[known:], max_tokens=2, prompt_cache=cache))
        return waited[0], time.perf_counter() - began

    def batch(self, texts: list[str], tokens: int) -> int:
        """Tokens that one BatchGenerator made for all texts at once."""
        from mlx_lm.generate import BatchGenerator

        stops = [[token] for token in self.tokenizer.eos_token_ids]
        generator = BatchGenerator(self.model, stop_tokens=stops, max_tokens=tokens)
        generator.insert([self._prompt(text) for text in texts])
        made, running = 0, len(texts)
        while running:
            answers = generator.next_generated()
            made += len(answers)
            running -= sum(answer.finish_reason is not None for answer in answers)
        generator.close()
        return made


class BareVision:
    """mlx-vlm alone, on this thread."""

    def __init__(self, path: Path) -> None:
        from mlx_vlm import load

        self.model, self.processor = load(str(path))
        self.tokenizer = self.processor.tokenizer

    def stream(self, text: str, image: ImageData, tokens: int) -> int:
        """Tokens that mlx_vlm.stream_generate made for one image request."""
        from mlx_vlm import stream_generate

        content = [{"type": "image"}, {"type": "text", "text": text}]
        template = getattr(self.processor, "chat_template", None) or self.tokenizer.chat_template
        prompt = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=template,
            add_generation_prompt=True,
            tokenize=False,
        )
        made = 0
        pictures = [Image.open(io.BytesIO(image.data))]
        for answer in stream_generate(
            self.model, self.processor, prompt, image=pictures, max_tokens=tokens, temperature=0.0
        ):
            made = answer.generation_tokens
        return made

    def stream_all(self, asked: list[tuple[str, ImageData]], tokens: int) -> int:
        """Tokens that were made for all requests, one after another."""
        return sum(self.stream(text, image, tokens) for text, image in asked)


# -- figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speed:
    """Tokens a second by the clock, and by the processor time of this process, all its threads together."""

    tps: float
    cpu_tps: float


def speed(run: Callable[[], int]) -> Speed:
    """The speed of `run`, which returns how many tokens it made; from before the prompt to the last token."""
    began, cpu = time.perf_counter(), time.process_time()
    made = run()
    return Speed(made / (time.perf_counter() - began), made / (time.process_time() - cpu))


Run = Callable[[], Speed]


def compare(prepare: Callable[[bool], tuple[Run, Run, Run]], rounds: int, loads: int) -> dict[str, float]:
    """Ours and the bare library's, in this process and as people have it, measured in every round, in turns first.

    `prepare` loads the models, ours first if it is given True, and returns the three runs. It is called `loads` times:
    where weights come to lie in memory changes their speed by some percent. The first round after it does not count.

    The value is the median of the rounds' ratios to the bare library in this process, which drift of the whole machine
    does not touch; "plain" is that to the one as people have it. "cpu" is as the value by processor time, in which
    waiting for other programs does not show, nor a GPU's work.
    """
    taken: list[list[Speed]] = []
    for load in range(loads):
        runs = prepare(load % 2 == 0)
        for number in range(-1, rounds // loads):
            speeds = {place % 3: runs[place % 3]() for place in range(number, number + 3)}
            if number >= 0:
                taken.append([speeds[place] for place in range(3)])
        del runs
    ratios = [mine.tps / bare.tps for mine, bare, _ in taken]
    return {
        "value": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "cpu": statistics.median(mine.cpu_tps / bare.cpu_tps for mine, bare, _ in taken),
        "plain": statistics.median(mine.tps / plain.tps for mine, _, plain in taken),
        "rounds": len(taken),
        "ours_tps": statistics.median(mine.tps for mine, _, _ in taken),
        "bare_tps": statistics.median(bare.tps for _, bare, _ in taken),
        "plain_tps": statistics.median(plain.tps for _, _, plain in taken),
    }
