"""One audio model at work: requests one after the other, a piece of sound or a stretch of a recording at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

import mlx.core as mx

from core.calls.clock import Clock
from core.calls.events import Finished, FinishReason, Queued, Usage
from core.calls.stream import Stream
from core.catalog.audio_tasks import AudioTask
from core.errors import EngineError, GenerationFailed, ModelUnloaded
from core.mlx.audio.loading import LoadedAudio
from core.mlx.audio.speaking import speak
from core.mlx.audio.transcribing import transcribe

_Pieces = Callable[[LoadedAudio, Any], Iterator[bool]]


class AudioRuntime:
    """All methods run on the MLX thread. One request is worked on, the others wait: these models hold one voice.

    `step` makes the next piece of sound, or hears the next half minute.
    """

    def __init__(self, loaded: LoadedAudio, stream: mx.Stream) -> None:
        self.loaded = loaded
        self.last_used = time.monotonic()
        self._stream = stream
        self._pieces: _Pieces = speak if loaded.task is AudioTask.SPEAK else transcribe
        self._queue: deque[tuple[Stream[Any, Any, Any], Clock]] = deque()
        self._current: tuple[Stream[Any, Any, Any], Clock, Iterator[bool]] | None = None

    @property
    def running(self) -> int:
        return int(self._current is not None)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> bool:
        return bool(self._queue) or self._current is not None

    def submit(self, work: Stream[Any, Any, Any], clock: Clock) -> None:
        """Queue a request: a Speech or a Transcription, whichever this model is for."""
        self._queue.append((work, clock))
        if self._current is not None or len(self._queue) > 1:
            work.feed(Queued(len(self._queue)))

    def cancel(self, work: Stream[Any, Any, Any]) -> bool:
        """End a request now; returns whether it was here. What was made or heard so far stays with it."""
        if self._current is not None and self._current[0] is work:
            _, clock, pieces = self._current
            self._current = None
            _close(pieces)
            work.feed(Finished(FinishReason.CANCELLED, Usage(), clock.timing()))
            return True
        for entry in self._queue:
            if entry[0] is work:
                self._queue.remove(entry)
                work.feed(Finished(FinishReason.CANCELLED, Usage(), entry[1].timing()))
                self._tell_places()
                return True
        return False

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back; the runtime is of no use afterwards."""
        name = self.loaded.info.id
        if self._current is not None:
            work, _, pieces = self._current
            self._current = None
            _close(pieces)
            work.fail(error or ModelUnloaded(f"{name} was unloaded while the request was running."))
        for work, _ in self._queue:
            work.fail(error or ModelUnloaded(f"{name} was unloaded before the request began."))
        self._queue.clear()
        del self.loaded

    def step(self) -> None:
        """Do the next piece of the current request, or of the next one. A failing piece ends its request alone."""
        self.last_used = time.monotonic()
        if self._current is None:
            self._begin()
        if self._current is None:
            return
        work, clock, pieces = self._current
        try:
            with mx.stream(self._stream):
                more = next(pieces, None) is not None
        except Exception as error:  # the library's failures are many; the thread outlives all of them
            self._current = None
            work.fail(error if isinstance(error, EngineError) else self._failure(error))
            mx.clear_cache()
            return
        if not clock.first_token:
            clock.first_token = time.monotonic()
        if not more:
            self._current = None
            work.feed(Finished(FinishReason.STOP, Usage(), clock.timing()))

    def _begin(self) -> None:
        if not self._queue:
            return
        work, clock = self._queue.popleft()
        clock.admitted = time.monotonic()
        work.admitted = True
        self._current = (work, clock, self._pieces(self.loaded, work))
        self._tell_places()

    def _tell_places(self) -> None:
        for place, (waiting, _) in enumerate(self._queue, start=1):
            waiting.feed(Queued(place))

    def _failure(self, error: Exception) -> GenerationFailed:
        doing = "speaking" if self.loaded.task is AudioTask.SPEAK else "listening"
        return GenerationFailed(f"{self.loaded.info.id} failed while {doing}: {type(error).__name__}: {error}")


def _close(pieces: Iterator[bool]) -> None:
    """Stop a request between two pieces. Its library has no say in that: what it raises is nobody's concern."""
    if isinstance(pieces, Generator):
        try:
            pieces.close()
        except Exception:
            pass
    mx.clear_cache()
