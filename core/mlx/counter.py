"""Prompts counted beside the MLX thread, and without weights: what needs but a tokenizer waits for no model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from enum import Enum, auto
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from core.calls.events import PromptCount, PromptTokens
from core.calls.requests import GenerationRequest
from core.catalog import Catalog
from core.errors import EngineError, GenerationFailed, InvalidRequest
from core.mlx.models.too_long import hopeless
from core.status import EngineStatus, ModelState

if TYPE_CHECKING:
    from core.mlx.models.lexicon import Lexicon
    from core.mlx.prompt.chat_template import Prompt
    from core.mlx.prompt.image_inputs import Seen

T = TypeVar("T")

THREADS = 3
"""Prompts that are counted at once: a template that does not end holds up no other model's."""


class Why(Enum):
    """Why a prompt is counted."""

    ASKED = auto()
    CHECKED = auto()
    """Before it goes to its model."""
    HOPELESS = auto()
    """The same of one that hardly fits, and takes seconds: nobody comes after it."""


Lane = tuple[str, Why]
"""Of a model: what is in it comes out in the order of coming in."""

Work = Callable[[], Callable[[], None]]
"""Counts, and returns what answers whoever asked."""


def counts_first(request: GenerationRequest, catalog: Catalog, status: EngineStatus) -> bool:
    """Whether a prompt is counted before its model hears of it: where that would have to be loaded, maybe in vain, and
    where the prompt hardly fits the window."""
    ready = any(model.id == request.model and model.state is ModelState.READY for model in status.models)
    return not ready or hardly_fits(request, catalog)


def hardly_fits(request: GenerationRequest, catalog: Catalog) -> bool:
    """Whether a prompt is so long that its window will hardly hold it."""
    window = catalog.get(request.model).context_length
    return window is not None and hopeless(request.characters, window)


class NotWanted(Exception):
    """Nobody waits for this count any more."""


class Counter:
    """Counts, each on a thread of its own.

    `ready` is called there at first: it returns once MLX's libraries may be imported, or raises EngineError.
    """

    def __init__(self, catalog: Catalog, allow_code: Collection[str], ready: Callable[[], object]) -> None:
        self._catalog = catalog
        self._allow_code = allow_code
        self._ready = ready
        self._lock = threading.Lock()
        self._jobs: deque[tuple[Lane, Work]] = deque()
        self._busy: set[Lane] = set()
        self._imported = False
        self._closed = 0
        """How often it was."""

    def count(
        self,
        request: GenerationRequest,
        done: Callable[[PromptCount | EngineError], None],
        wanted: Callable[[], bool],
    ) -> None:
        """Count the tokens of a prompt; `done` is given them, or what is wrong, unless it is not
        `wanted` any more."""

        self._answer(request.model, done, lambda: self._count(request, wanted, False))

    def read(
        self,
        request: GenerationRequest,
        done: Callable[[PromptTokens | EngineError], None],
        wanted: Callable[[], bool],
    ) -> None:
        """Tokenize a prompt; `done` is given the tokens, or what is wrong."""
        self._answer(
            request.model, done, lambda: self._with_lexicon(request.model, wanted, partial(_tokens, request, wanted))
        )

    def write(
        self,
        model: str,
        tokens: Sequence[int],
        done: Callable[[str | EngineError], None],
        wanted: Callable[[], bool],
    ) -> None:
        """The text of tokens; `done` is given it, or what is wrong with them."""
        self._answer(model, done, lambda: self._with_lexicon(model, wanted, partial(_text, tokens)))

    def check(
        self,
        request: GenerationRequest,
        done: Callable[[EngineError | None], None],
        wanted: Callable[[], bool],
        needed: Callable[[], bool],
    ) -> None:
        """Count a prompt if that is still `needed` when its turn has come; `done` is given what is wrong with it, as
        `count` does. A prompt that leaves no room for an answer is a ContextOverflow.

        They come out in the order of coming in, but for those that hardly fit.
        """

        def work() -> Callable[[], None]:
            found = _told(lambda: self._count(request, wanted, True)) if needed() else None
            return partial(done, found if isinstance(found, EngineError) else None)

        hardly = hardly_fits(request, self._catalog)
        self._add((request.model, Why.HOPELESS if hardly else Why.CHECKED), work)

    def checking(self, model: str) -> bool:
        """Whether there are prompts of this model that are to be checked, so that later ones come after them."""
        lane = model, Why.CHECKED
        with self._lock:
            return lane in self._busy or any(other == lane for other, _ in self._jobs)

    def _answer(self, model: str, done: Callable[[T | EngineError], None], find: Callable[[], T]) -> None:
        """Find something out when its turn has come, and give it to `done`."""
        self._add((model, Why.ASKED), lambda: partial(done, _told(find)))

    def _add(self, lane: Lane, work: Work) -> None:
        with self._lock:
            self._jobs.append((lane, work))
        self._begin()

    def close(self) -> None:
        """Answer nothing more of what was asked for so far: someone else does."""
        with self._lock:
            self._jobs.clear()
            self._closed += 1

    def _begin(self) -> None:
        """Start the first job whose lane is free, if a thread is."""
        with self._lock:
            if len(self._busy) >= THREADS:
                return
            job = next((job for job in self._jobs if job[0] not in self._busy), None)
            if job is None:
                return
            self._jobs.remove(job)
            self._busy.add(job[0])
        threading.Thread(target=self._run, args=job, name="assay-count", daemon=True).start()

    def _run(self, lane: Lane, work: Work) -> None:
        closed = self._closed
        try:
            with suppress(NotWanted):
                answer = work()
                if closed == self._closed:
                    answer()
        finally:
            with self._lock:
                self._busy.discard(lane)
            self._begin()

    def _count(self, request: GenerationRequest, wanted: Callable[[], bool], fitting: bool) -> PromptCount:
        def counted(lexicon: Lexicon) -> PromptCount:
            from core.mlx.prompt.chat_template import rendering
            from core.mlx.prompt.token_counts import check_fit, count_tokens, refuse_vast

            still = partial(_still, wanted)
            if fitting:
                refuse_vast(request, lexicon)
            prompt = rendering(request, lexicon)()
            with lexicon.changing if lexicon.processor is not None else nullcontext():
                still()
                if request.images:
                    prompt, seen = _with_images(prompt, request, lexicon, still, fitting)
                    tokens = len(seen.tokens)
                else:
                    tokens = count_tokens(prompt, lexicon.tokenizer, still)
            if fitting:
                check_fit(lexicon, tokens)
            return PromptCount(tokens, prompt.notes)

        return self._with_lexicon(request.model, wanted, counted)

    def _with_lexicon(self, model: str, wanted: Callable[[], bool], work: Callable[[Lexicon], T]) -> T:
        """Do something with what a model's prompts are read with, which is read before if need be."""
        _still(wanted)
        if not self._imported:
            self._ready()
            self._imported = True
        from core.mlx.models.lexicon import lexicons
        from core.mlx.models.offline import stay_offline

        stay_offline()
        info = self._catalog.on_disk(model)
        with lexicons.using(info, info.id in self._allow_code) as lexicon:
            _still(wanted)
            return work(lexicon)


def _with_images(
    prompt: Prompt, request: GenerationRequest, lexicon: Lexicon, still: Callable[[], None], fitting: bool
) -> tuple[Prompt, Seen]:
    """The tokens of a prompt with images, of which no pixel is looked at."""
    import mlx.core as mx

    from core.mlx.prompt.image_counts import tokens_with_images

    steps = tokens_with_images(prompt, request, lexicon, fitting)
    try:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: tuple[Prompt, Seen] = end.value
                return found
            still()
    finally:
        mx.clear_streams()  # processors compute with MLX; a thread that ends with live streams would abort the process


def _still(wanted: Callable[[], bool]) -> None:
    if not wanted():
        raise NotWanted


def _told(work: Callable[[], T]) -> T | EngineError:
    """What `work` returns, or what it raises as something to tell."""
    try:
        return work()
    except NotWanted:
        raise
    except EngineError as error:
        return error.detached()
    except Exception as error:  # tokenizers and templates raise what they like
        return GenerationFailed(f"The request could not be read: {type(error).__name__}: {error}")


def _tokens(request: GenerationRequest, wanted: Callable[[], bool], lexicon: Lexicon) -> PromptTokens:
    from core.mlx.models.spelling import find_spelling
    from core.mlx.prompt.chat_template import rendering
    from core.mlx.prompt.token_counts import check_told, tokens_told

    prompt = rendering(request, lexicon)()
    tokenizer: Any = lexicon.tokenizer
    with lexicon.changing if lexicon.processor is not None else nullcontext():
        still = partial(_still, wanted)
        if request.images:
            _, seen = _with_images(prompt, request, lexicon, still, False)
            tokens, marks = tuple(seen.tokens), {seen.tokens[place] for place in seen.places}
            check_told(len(tokens), lexicon)
        else:
            tokens, marks = tuple(tokens_told(prompt, lexicon, still)), set()
    spell, marks = cache(find_spelling(tokenizer)), marks.union(tokenizer.all_special_ids)
    # A processor may number its images -1, -2, ... instead of giving them a token.
    pieces = tuple(f"<image {-token}>".encode() if token < 0 else spell(token) for token in tokens)
    return PromptTokens(tokens, pieces, tuple(token in marks for token in tokens), lexicon.context_length)


def _text(tokens: Sequence[int], lexicon: Lexicon) -> str:
    """Raises InvalidRequest for a number that is no token's."""
    size = len(lexicon.tokenizer)
    odd = next((token for token in tokens if not 0 <= token < size), None)
    if odd is not None:
        told = str(odd) if abs(odd) < 2**63 else f"A number of {len(str(abs(odd)))} digits"
        raise InvalidRequest(f"{told} is no token of {lexicon.info.id}, whose tokens are 0 to {size - 1}.", "tokens")
    return str(lexicon.tokenizer.decode(list(tokens)))
