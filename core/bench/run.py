"""A plan carried out on one model: what was measured stays, however it ends."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import median

from core.bench.patience import answer_of, result_of
from core.bench.plan import Skipped, Trial, Wanted, check_benchmarked, planned
from core.bench.prompts import messages_with_image, text_of
from core.calls.events import RATE_TOKENS, Finished
from core.calls.requests import GenerationRequest, Sampling
from core.engine import Engine
from core.errors import ContextOverflow, EngineError, InvalidRequest, OutOfMemory, UnsupportedInput
from core.figures.figure import BENCHMARK, WARM_UP
from core.figures.summary import Spread, spread

ENOUGH_S = 60.0
"""A test that has been repeated for so long is not repeated again."""
REFUSED = (InvalidRequest, UnsupportedInput, ContextOverflow, OutOfMemory)
"""Errors of one test that say nothing of the others, such as those of an image with more tokens than fit."""
RELOADED_S = 20.0
"""A model that took longer to load is loaded once."""


@dataclass(frozen=True)
class Run:
    """One counted run of a test: how each of its rows ended, all of which were asked for at the same moment."""

    ends: tuple[Finished, ...]
    peak: int | None
    """Bytes of the model and of what its rows took."""

    @property
    def prefill_tps(self) -> float | None:
        """Prompt tokens read a second until the last row had its first token."""
        read = sum(end.usage.prompt_tokens - end.usage.cached_tokens for end in self.ends)
        last = max(end.timing.prefill_s if len(self.ends) == 1 else end.timing.ttft_s for end in self.ends)
        return read / last if last else None

    @property
    def total_tps(self) -> float | None:
        """Tokens written a second, of all rows together, from the first one on; None where too few were."""
        written = sum(end.usage.completion_tokens - 1 for end in self.ends)
        took = max(end.timing.total_s for end in self.ends) - min(end.timing.ttft_s for end in self.ends)
        return written / took if took and written >= (RATE_TOKENS - 1) * len(self.ends) else None


@dataclass
class TrialResult:
    """What a test has shown so far."""

    test: Trial
    runs: list[Run] = field(default_factory=list)
    note: str = ""
    """What is to be known of it, as a sentence."""

    @property
    def ends(self) -> list[Finished]:
        return [end for run in self.runs for end in run.ends]

    @property
    def prompt_tokens(self) -> int:
        """Of a row, in the middle."""
        return round(median([end.usage.prompt_tokens for end in self.ends])) if self.ends else 0

    @property
    def ttft(self) -> Spread | None:
        """Seconds to the first token, over all rows of all runs."""
        return spread(end.timing.ttft_s for end in self.ends)

    @property
    def prefill(self) -> Spread | None:
        return spread(run.prefill_tps for run in self.runs)

    @property
    def decode(self) -> Spread | None:
        """Tokens a second of each row, of those that wrote enough to tell."""
        return spread(end.timing.decode_tps for end in self.ends if end.usage.completion_tokens >= RATE_TOKENS)

    @property
    def total(self) -> Spread | None:
        return spread(run.total_tps for run in self.runs)

    @property
    def peak(self) -> int | None:
        return max((run.peak for run in self.runs if run.peak is not None), default=None)


@dataclass
class ModelResult:
    """What has been measured of a model so far."""

    id: str
    first_load_s: float | None = None
    loads_s: list[float] = field(default_factory=list)
    """Of the loads after the first, whose files the system may still hold in memory."""
    precision: str = ""
    memory: int = 0
    """Bytes that the model takes once it is loaded."""
    tests: list[TrialResult] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    error: EngineError | None = None
    """What ended it early."""


class Bench:
    """Measures one model after the other. `say` hears what is being done, in a few words.

    The engine should keep no KV for later turns (`cache_budget_gb` 0) and have nothing else to do.
    """

    def __init__(self, engine: Engine, wanted: Wanted, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._wanted = wanted
        self._say = say
        if engine.figures is not None:
            engine.figures.source = BENCHMARK

    def measure(self, result: ModelResult) -> None:
        """Fill in the result of a model, which stays with all that is known when this is interrupted. Blocks.

        A failure ends up in the result, and never in an exception: ModelNotFound, UnsupportedInput for a model that
        writes no text, OutOfMemory, LoadFailed and what else the engine raises.
        """
        try:
            info = self._engine.catalog.get(result.id)
            check_benchmarked(info)
            self._load(result)
            budget = self._engine.status().memory_budget
            for test in planned(info, self._wanted, self._engine.settings, budget):
                if isinstance(test, Skipped):
                    result.skipped.append(test)
                else:
                    self._test(result, test)
            result_of(self._engine.unload(result.id))
        except EngineError as error:
            result.error = error

    def _load(self, result: ModelResult) -> None:
        for number in range(self._wanted.repeats):
            self._say(f"{result.id}: load {number + 1} of {self._wanted.repeats}")
            loaded = result_of(self._engine.load(result.id))
            result.precision, result.memory = loaded.precision, loaded.memory_bytes
            took = loaded.read_s or loaded.load_s
            if result.first_load_s is None:
                result.first_load_s = took
            else:
                result.loads_s.append(took)
            if took > RELOADED_S or number == self._wanted.repeats - 1:
                return
            result_of(self._engine.unload(result.id))

    def _test(self, result: ModelResult, test: Trial) -> None:
        made = TrialResult(test)
        result.tests.append(made)
        repeats, begun = self._wanted.repeats, 0.0
        try:
            for number in range(repeats + 1):
                counted = f"run {number} of {repeats}" if number else "warm-up"
                self._say(f"{result.id}: {test.name}, {counted}")
                run = self._run(result, test, number)
                if number:
                    made.runs.append(run)
                begun = begun or time.monotonic()
                if number and time.monotonic() - begun > ENOUGH_S:
                    break
        except REFUSED as error:
            result.tests.remove(made)
            result.skipped.append(Skipped(test, error.message))
            return
        made.note = _note(made)

    def _run(self, result: ModelResult, test: Trial, number: int) -> Run:
        """Ask for all rows at once, and wait for them; leaving it early cancels them."""
        asked = GenerationRequest(
            result.id,
            sampling=Sampling(temperature=1.0, max_tokens=self._wanted.tokens, seed=number),
            source=BENCHMARK if number else WARM_UP,
            ignore_eos=True,
        )
        requests = []
        for row in range(test.rows):
            seed = f"{test.prompt} {test.rows} {number} {row}"
            if test.image:
                requests.append(_own(asked, messages=messages_with_image(seed)))
            else:
                requests.append(_own(asked, prompt=text_of(self._engine, result.id, test.prompt, seed)))
        with ExitStack() as stack:
            rows = [stack.enter_context(generation) for generation in self._engine.generate_all(requests)]
            ends = tuple(end for row in rows if (end := answer_of(row).finished) is not None)
        footprints = [end.footprint.memory for end in ends if end.footprint is not None]
        return Run(ends, result.memory + max(footprints) if footprints and result.memory else None)


def _own(request: GenerationRequest, **changed: object) -> GenerationRequest:
    """A request with an id of its own."""
    return replace(request, id=uuid.uuid4().hex, **changed)  # type: ignore[arg-type]


def _note(made: TrialResult) -> str:
    together = max((end.timing.batch_size for end in made.ends), default=1)
    if together < made.test.rows:
        return f"{made.test.rows} rows were asked for at once, and at most {together} of them were written together."
    return ""
