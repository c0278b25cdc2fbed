"""Which tests a model gets, and why it does not get the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.catalog import ModelInfo, ModelKind
from core.errors import UnsupportedInput
from core.settings import Settings
from core.sizes import readable_size

PROMPTS, ROWS, TOKENS, REPEATS = (32, 1024, 8192), (1, 8), 128, 3
"""What is measured where nothing else is asked for: see Wanted."""


@dataclass(frozen=True)
class Wanted:
    """What to measure: lengths of prompts and of answers in tokens, numbers of rows, counted runs of each test.

    With `images`, vision models are shown one, too.
    """

    prompts: Sequence[int] = PROMPTS
    rows: Sequence[int] = ROWS
    tokens: int = TOKENS
    repeats: int = REPEATS
    images: bool = True


@dataclass(frozen=True)
class Trial:
    """One thing to measure: prompts of so many tokens, or with an image, `rows` of them at once."""

    prompt: int
    rows: int
    image: bool = False

    @property
    def name(self) -> str:
        """In words: "8k prompt, 8 rows"."""
        return f"{self.prompt_name}, {self.rows} row{'' if self.rows == 1 else 's'}"

    @property
    def prompt_name(self) -> str:
        """What is asked: "32 tokens", "8k prompt", "an image"."""
        if self.image:
            return "an image"
        return (
            f"{self.prompt // 1024}k prompt" if self.prompt and self.prompt % 1024 == 0 else f"{self.prompt:,} tokens"
        )


@dataclass(frozen=True)
class Skipped:
    """A test that was not made. `why` is a sentence."""

    test: Trial
    why: str


def check_benchmarked(info: ModelInfo) -> None:
    """Raise UnsupportedInput for a model that writes no text."""
    if info.kind not in (ModelKind.TEXT, ModelKind.VISION):
        raise UnsupportedInput(
            f"{info.id} is a model for {info.kind.value}: only models that write text have these figures."
        )


def planned(info: ModelInfo, wanted: Wanted, settings: Settings, budget: int) -> Iterator[Trial | Skipped]:
    """The tests of a model in their order, with `budget` bytes of memory for it."""
    tests = [Trial(prompt, rows) for prompt in wanted.prompts for rows in wanted.rows]
    if wanted.images and info.images:
        tests += [Trial(0, rows, image=True) for rows in wanted.rows]
    for test in tests:
        why = _against(test, info, wanted.tokens, settings, budget)
        yield Skipped(test, why) if why else test


def _against(test: Trial, info: ModelInfo, tokens: int, settings: Settings, budget: int) -> str:
    """Why a test cannot be made, or ""."""
    context = info.context_length
    if context is not None and test.prompt + tokens > context:
        asked = f"{test.prompt:,} tokens of prompt and {tokens:,} of answer" if test.prompt else f"{tokens:,} tokens"
        return f"{asked} are more than its context of {context:,} tokens."
    if test.rows > settings.max_batch:
        return f"The setting max_batch lets {settings.max_batch} rows be worked on together, not {test.rows}."
    _, memory = info.loaded_into(budget)
    need = memory.total(test.rows * (test.prompt + tokens)) if memory else 0
    if need > budget:
        return f"It takes about {readable_size(need)}, and there are {readable_size(budget)} for models."
    return ""
