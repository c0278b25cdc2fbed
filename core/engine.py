"""The one door to the models: every face loads and generates through an `Engine`, and only through it."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from core.calls.audio import Speech, Transcription
from core.calls.clock import Clock
from core.calls.embedding import Embedding, EmbeddingResult
from core.calls.embedding_audio_checks import check_embedding, check_speech, check_transcription
from core.calls.events import Finished, FinishReason, PromptCount, PromptTokens, Usage
from core.calls.generation import Generation
from core.calls.generation_checks import check_request
from core.calls.requests import EmbeddingRequest, GenerationRequest, SpeechRequest, TranscriptionRequest
from core.calls.stream import Stream, Work, settle
from core.catalog import Catalog
from core.errors import EngineClosed, EngineError, InvalidRequest, ModelUnloaded, QueueFull, UnsupportedInput, ended
from core.figures.recorder import Recorder
from core.launch import launched_rank
from core.mlx.commands import Cancel, Command, Count, GiveUpLoad, Load, Ready, Submit, Unload, Unpin
from core.mlx.counter import Counter, counts_first
from core.mlx.thread import MlxThread
from core.settings import Settings, load_settings
from core.status import EngineStatus, LoadedModel, ModelState, Notice, NoticeKind

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_WITHIN_S = 3.0
"""Seconds in which an engine that closes can be expected to end what it is at: a step, or a piece of a load."""

FIGURES_WITHIN_S = 2.0
"""Seconds in which the last figures can be expected on the disk."""

_started: weakref.WeakSet[Engine] = weakref.WeakSet()
_left_behind: list[MlxThread] = []
"""Threads of closed engines that were still at work."""


def close_all() -> bool:
    """Close every engine of this process. Returns whether nothing is at work any more: see `Engine.close`."""
    for engine in list(_started):
        if engine.rank == 0:
            engine.close()
    return all(thread.join(0.0) for thread in _left_behind)


@atexit.register
def _end() -> None:
    """A program that ends with a busy engine: MLX aborts the process if its thread is still at work by then."""
    close_all()
    for thread in _left_behind:
        thread.join()


class Engine:
    """Models in memory behind one MLX thread. All methods may be called from any thread; none but `close` blocks."""

    def __init__(self, settings: Settings | None = None, catalog: Catalog | None = None) -> None:
        self.settings = settings or load_settings()
        self.catalog = catalog or Catalog(self.settings)
        self.rank = launched_rank() or 0
        """This process's place under mlx.launch. Rank 0 takes the requests, as an engine does that is alone."""
        self._thread: MlxThread | None = None
        self._status = EngineStatus(alive=False, device="")
        self._listeners: list[Callable[[Notice], None]] = []
        self._lock = threading.Lock()
        self._open: list[Work] = []
        self._futures: set[Future[Any]] = set()
        self._refusing = False
        self._numbers = itertools.count()
        """Each load that is asked for has its own."""
        self._stopping: set[str] = set()
        """Models whose load is to be given up; the thread hears of it after the piece that it reads."""
        self._counter = Counter(self.catalog, self.settings.allow_code, self._await_ready)
        self.figures = Recorder(self.catalog) if self.settings.keep_figures and self.rank == 0 else None
        """Keeps what requests and loads say of their models; None where the settings want none, and for other ranks."""

    def start(self) -> Self:
        """Start the MLX thread (which imports MLX there). Idempotent; `with Engine() as engine` does it too.

        An engine that has died is started anew, without its models.
        """
        if self._thread is not None and self._thread.failure is not None and launched_rank() is None:
            self.close()
        with self._lock:
            if self._thread is None:
                self._refusing = False
                self._thread = MlxThread(self.settings, self.catalog, self._notify, self._publish, self._died)
                self._thread.start()
                _started.add(self)
        return self

    def ready(self) -> Future[None]:
        """Done once MLX has been imported and the engine takes commands; raises EngineClosed if that fails."""
        self._check_open()
        return self._ready()

    def _ready(self) -> Future[None]:
        future: Future[None] = self._track(Future())
        self._hand_on(Ready(future))
        return future

    def _await_ready(self) -> None:
        self._ready().result()

    def close(self, drain_s: float = 0.0) -> None:
        """Refuse new work, let running generations go on for `drain_s` seconds, fail the rest, free all. Blocks.

        A thread that is still at a step or at a piece of a load after CLOSE_WITHIN_S is left behind: it ends after
        that, and the process waits for it at its usual end. Under mlx.launch it is waited for here, since other ranks
        depend on it; on a rank above 0 until rank 0 closes.
        """
        with self._lock:
            self._refusing = True
            thread = self._thread
        if thread is None:
            return
        deadline = time.monotonic() + drain_s
        for work in self._unfinished():
            work.wait(max(deadline - time.monotonic(), 0.0))
        self._counter.close()
        if not thread.close(CLOSE_WITHIN_S if launched_rank() is None else None):
            log.error("The engine did not end within %.0f s; it is left behind.", CLOSE_WITHIN_S)
            _left_behind.append(thread)
        self._abandon()
        with self._lock:
            self._thread = None
            _started.discard(self)
        if self.figures is not None:
            self.figures.close(FIGURES_WITHIN_S)

    def follow(self) -> None:
        """On a rank above 0: do what rank 0 does until it closes its engine. Blocks; raises EngineClosed if it dies."""
        thread = self._thread
        if thread is None:
            raise self._closed()
        thread.join()
        if thread.failure is not None:
            raise self._closed()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def generate(self, request: GenerationRequest) -> Generation:
        """Queue a request and return its handle at once; an unloaded model is loaded first.

        Raises ModelNotFound, UnsupportedInput, InvalidRequest, QueueFull or EngineClosed at once; what can only be
        known later (LoadFailed, ContextOverflow, GenerationFailed, ...) is raised by the handle.
        """
        (generation,) = self.generate_all([request])
        return generation

    def generate_all(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Queue requests that belong together, such as the choices of one answer: all of them or none.

        Raises as `generate` does.
        """
        for request in requests:
            check_request(request, self.catalog)
        generations = [Generation(request, self._cancel, self._answered) for request in requests]
        self._submit(*generations)
        return generations

    def embed(self, request: EmbeddingRequest) -> Future[EmbeddingResult]:
        """Turn texts into vectors of length 1; an unloaded model is loaded first. `cancel` the future to stop.

        Raises as `generate` does; the future raises LoadFailed, ContextOverflow, InvalidRequest, GenerationFailed, ...
        """
        check_embedding(request, self.catalog)
        embedding = Embedding(request)
        self._submit(embedding)
        return embedding.future

    def speak(self, request: SpeechRequest) -> Speech:
        """Speak a text; the handle gives the sound as it is made. Raises as `generate` does, at once or later."""
        check_speech(request, self.catalog)
        speech = Speech(request, self._cancel)
        self._submit(speech)
        return speech

    def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """Write speech down; the handle gives segments as they are heard. Raises as `generate` does."""
        check_transcription(request, self.catalog)
        transcription = Transcription(request, self._cancel)
        self._submit(transcription)
        return transcription

    def load(self, model_id: str, *, pin: bool = False) -> Future[LoadedModel]:
        """Load a model, or pin one that is loaded. `cancel` the future to give a load up that nobody else waits for.

        Raises ModelNotFound at once; the future raises ModelBroken, LoadFailed, UnsupportedInput or OutOfMemory.
        """
        self.catalog.get(model_id)
        future: Future[LoadedModel] = self._track(Future())
        number = next(self._numbers)
        self._post(Load(model_id, pin, future, number))
        future.add_done_callback(lambda _: self._take_back_load(number) if future.cancelled() else None)
        return future

    def _take_back_load(self, number: int) -> None:
        with contextlib.suppress(EngineClosed):  # then there is nothing to give up
            self._post(GiveUpLoad(number))

    def unload(self, model_id: str, *, cancel: bool = False) -> Future[None]:
        """Free a model when its requests have ended, or at once with `cancel` (they end with ModelUnloaded).

        One that is being loaded is given up between two pieces of it; until then its state is STOPPING.
        The future raises ModelNotFound for a model that is neither in memory nor on disk.
        """
        future: Future[None] = self._track(Future())
        if all(model.id != model_id for model in self._status.models):
            for work in self._open:  # the load that they are to bring about has not begun
                if isinstance(work, Generation) and work.request.model == model_id and not work.accepted:
                    work.fail(ModelUnloaded(f"Loading {model_id} was cancelled."))
        self._post(Unload(model_id, cancel, future))
        if any(load.id == model_id for load in self._status.loads):
            self._stopping.add(model_id)
            future.add_done_callback(lambda _: self._stopping.discard(model_id))
            self._notify(Notice(NoticeKind.STATUS))
        return future

    def unpin(self, model_id: str) -> Future[None]:
        """Let a model that was loaded with `pin` be evicted again when memory is short."""
        future: Future[None] = self._track(Future())
        self._post(Unpin(model_id, future))
        return future

    def count_tokens(self, request: GenerationRequest) -> Future[PromptCount]:
        """Prompt tokens that `request` would take, however many; images, tools and template are counted with it.

        Without images neither the model nor the MLX thread is needed; with some, the model is loaded if need be.
        Raises as `generate` does. `cancel` the future to stop.
        """
        check_request(request, self.catalog)
        future: Future[PromptCount] = self._track(Future())
        if request.images:
            self._post(Count(request, future))
            return future
        self._check_open()

        self._counter.count(request, partial(settle, future), lambda: not future.done())
        return future

    def tokenize(self, request: GenerationRequest) -> Future[PromptTokens]:
        """A prompt without images as its model reads it; its weights are not needed. Raises as `generate` does."""
        check_request(request, self.catalog)
        if request.images:
            raise UnsupportedInput("Images have no tokens that could be told: leave them out.")
        future: Future[PromptTokens] = self._track(Future())
        self._check_open()
        self._counter.read(request, partial(settle, future), lambda: not future.done())
        return future

    def detokenize(self, model_id: str, tokens: Sequence[int]) -> Future[str]:
        """The text of tokens, the model's markup included. The future raises InvalidRequest for what is no token."""
        check_request(GenerationRequest(model_id, prompt=" "), self.catalog)
        future: Future[str] = self._track(Future())
        self._check_open()
        self._counter.write(model_id, tokens, partial(settle, future), lambda: not future.done())
        return future

    def status(self) -> EngineStatus:
        """A snapshot, without waiting for the MLX thread."""
        status, stopping = self._status, self._stopping
        if not stopping:
            return status
        models = (
            replace(model, state=ModelState.STOPPING)
            if model.state is ModelState.LOADING and model.id in stopping
            else model
            for model in status.models
        )
        return replace(status, models=tuple(models))

    @property
    def failure(self) -> str | None:
        """Why the engine has died, in a sentence; None where it has not, and once it is started anew."""
        if (thread := self._thread) is None or thread.failure is None:
            return None
        failure = thread.failure
        return failure.message if isinstance(failure, EngineError) else ended(f"{type(failure).__name__}: {failure}")

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Call `listener` on every notice, on the MLX thread, which waits for it; returns the function that ends it.

        One that raises is not called again.
        """
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def end() -> None:
            with self._lock:
                self._listeners = [other for other in self._listeners if other is not listener]

        return end

    # ----------------------------------------------------------------------------------------------------------------

    def _submit(self, *works: Work) -> None:
        with self._lock:
            self._open = [other for other in self._open if not other.done]
            waiting, places = sum(not other.admitted for other in self._open), self.settings.max_queue
            if len(works) > places:
                raise InvalidRequest(
                    f"{len(works)} requests at once do not fit into a queue that holds {places}. Ask for fewer."
                )
            if waiting + len(works) > places:
                more = f", and {len(works)} more do not fit" if len(works) > 1 else ""
                raise QueueFull(
                    f"{waiting} requests wait already and the queue holds {places}{more}. Try again shortly."
                )
            self._open.extend(works)
        submitted, first = time.monotonic(), works[0]
        if isinstance(first, Generation) and (self._counts_first(first) or self._counter.checking(first.request.model)):
            self._submit_counted(first, works, submitted)
            return
        for work in works:
            self._post(Submit(work, submitted))

    def _counts_first(self, generation: Generation) -> bool:
        return counts_first(generation.request, self.catalog, self._status)

    def _submit_counted(self, first: Generation, works: Sequence[Work], submitted: float) -> None:
        """Submit works of one prompt once it is known to fit; else they end with what is wrong."""
        self._check_open()
        generations = [work for work in works if isinstance(work, Generation)]
        for generation in generations:
            generation.accepted = False

        def checked(error: EngineError | None) -> None:
            for generation in generations:
                try:
                    if error is not None:
                        generation.fail(error)
                    elif not generation.done:
                        self._hand_on(Submit(generation, submitted))  # an engine that drains has taken it before
                except EngineError as closed:
                    generation.fail(closed)
                generation.accepted = True

        self._counter.check(
            first.request,
            checked,
            wanted=lambda: not all(one.done for one in generations),
            needed=lambda: self._counts_first(first),
        )

    def _check_open(self) -> None:
        """Raise EngineClosed where no command would be taken."""
        if self.rank > 0:
            raise EngineClosed(f"This is rank {self.rank} of a launch: it follows rank 0, which takes the requests.")
        if self._refusing or self._thread is None or not self._thread.alive:
            raise self._closed()

    def _post(self, command: Command) -> None:
        self._check_open()
        self._hand_on(command)

    def _hand_on(self, command: Command) -> None:
        if (thread := self._thread) is None or not thread.post(command):
            raise self._closed()

    def _closed(self) -> EngineError:
        if (reason := self.failure) is None:
            return EngineClosed("The engine is not running.")
        again = "Start it again." if launched_rank() is None else "Launch all ranks again."
        return EngineClosed(f"The engine has died: {reason} {again}")

    def _cancel(self, work: Stream[Any, Any, Any]) -> None:
        """A request that still waits ends here and now: the thread may be reading a piece of a model for seconds.

        Not under mlx.launch, where ranks would part if a request were over for one of them alone.
        """
        waits = not work.admitted and launched_rank() is None
        if waits:
            work.feed(Finished(FinishReason.CANCELLED, Usage(), Clock(work.submitted).timing()))
        thread = self._thread
        if thread is not None:
            thread.post(Cancel(work, told=waits))

    def _answered(self, request: GenerationRequest, finished: Finished) -> None:
        if self.figures is not None:
            self.figures.answered(request, finished, self._status)

    def _track(self, future: Future[T]) -> Future[T]:
        """Remember a future until it is done, so that the engine's end answers it."""
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def _abandon(self) -> None:
        """Answer everyone whom the thread can no longer answer."""
        for work in self._unfinished():
            work.fail(self._closed())
        for future in list(self._futures):
            if not future.done():
                with contextlib.suppress(InvalidStateError):  # a thread that was left behind has been quicker
                    future.set_exception(self._closed())

    def _died(self) -> None:
        self._publish(replace(self._status, alive=False, models=()))
        self._abandon()
        self._notify(Notice(NoticeKind.ENGINE_DIED, message=self.failure or ""))

    def _unfinished(self) -> list[Work]:
        with self._lock:
            return [work for work in self._open if not work.done]

    def _notify(self, notice: Notice) -> None:
        if notice.loaded is not None and self.figures is not None:
            self.figures.loaded(notice.loaded, self._status.machine)
        for listener in self._listeners:
            try:
                listener(notice)
            except Exception:
                log.exception("a listener raised, and is not called again")
                with self._lock:
                    self._listeners = [other for other in self._listeners if other is not listener]

    def _publish(self, status: EngineStatus) -> None:
        self._status = status
