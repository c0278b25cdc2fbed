"""The one door to the models: every face loads and generates through an `Engine`, and only through it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from core.calls.audio import Speech, Transcription
from core.calls.clock import Clock
from core.calls.embedding import Embedding, EmbeddingResult
from core.calls.embedding_audio_checks import check_embedding, check_speech, check_transcription
from core.calls.events import Finished, FinishReason, PromptCount, PromptTokens, Usage
from core.calls.generation import Generation
from core.calls.generation_checks import CHAT, READS, check_request
from core.calls.requests import EmbeddingRequest, GenerationRequest, SpeechRequest, TranscriptionRequest
from core.calls.score_checks import check_score
from core.calls.scoring import Score, ScoreRequest, Scoring
from core.calls.stream import Stream, Work, settle
from core.catalog import Catalog
from core.engine_life import EngineLife
from core.errors import EngineClosed, EngineError, InvalidRequest, ModelUnloaded, QueueFull, UnsupportedInput
from core.launch import launched_rank
from core.mlx.commands import Cancel, GiveUpLoad, Load, Submit, Unload, Unpin
from core.mlx.counter import counts_first
from core.settings import Settings
from core.status import LoadedModel, Notice, NoticeKind


class Engine(EngineLife):
    """Models in memory behind one MLX thread. All methods may be called from any thread; none but `close` blocks."""

    def __init__(self, settings: Settings | None = None, catalog: Catalog | None = None) -> None:
        super().__init__(settings, catalog)
        self._numbers = itertools.count()
        """Each load that is asked for has its own."""

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

    def score(self, request: ScoreRequest) -> Future[Score]:
        """How likely a model finds a given answer, token by token; an unloaded model is loaded first.

        `cancel` the future to stop.

        Raises as `generate` does, and UnsupportedInput under mlx.launch; the future raises LoadFailed, ContextOverflow,
        InvalidRequest, GenerationFailed, ... , and OutOfMemory where two models do not fit the memory together.
        """
        if launched_rank() is not None:
            raise UnsupportedInput(
                "Answers are not scored under mlx.launch. Run it on one machine, without mlx.launch."
            )
        check_score(request, self.catalog)
        scoring = Scoring(request)
        self._submit(scoring)
        scoring.future.add_done_callback(lambda future: self._take_back(scoring) if future.cancelled() else None)
        return scoring.future

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

        Neither the model's weights nor the MLX thread are needed: of images the sizes tell.
        Raises as `generate` does. `cancel` the future to stop.
        """
        check_request(request, self.catalog)
        future: Future[PromptCount] = self._track(Future())
        self._check_open()
        self._counter.count(request, partial(settle, future), lambda: not future.done())
        return future

    def tokenize(self, request: GenerationRequest) -> Future[PromptTokens]:
        """A prompt as its model reads it, of images the tokens that stand for them; the model's weights are not needed.

        A plain prompt may be for an embeddings model or a reranker, too.
        Raises as `generate` does. `cancel` the future to stop.
        """
        check_request(request, self.catalog, CHAT if request.prompt is None else READS)
        future: Future[PromptTokens] = self._track(Future())
        self._check_open()
        self._counter.read(request, partial(settle, future), lambda: not future.done())
        return future

    def detokenize(self, model_id: str, tokens: Sequence[int]) -> Future[str]:
        """The text of tokens, the model's markup included. The future raises InvalidRequest for what is no token."""
        check_request(GenerationRequest(model_id, prompt=" "), self.catalog, READS)
        future: Future[str] = self._track(Future())
        self._check_open()
        self._counter.write(model_id, tokens, partial(settle, future), lambda: not future.done())
        return future

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

    def _take_back(self, work: Work) -> None:
        if (thread := self._thread) is not None:
            thread.post(Cancel(work, told=True))

    def _answered(self, request: GenerationRequest, finished: Finished) -> None:
        if self.figures is not None:
            self.figures.answered(request, finished, self._status)
