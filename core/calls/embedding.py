"""One request for embeddings on its way through the engine, and what comes of it."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

from core.calls.events import Loading, Queued, Timing
from core.calls.requests import EmbeddingRequest
from core.errors import EngineError


@dataclass(frozen=True)
class EmbeddingResult:
    """A vector of length 1 for each input, in the order of the inputs; `prompt_tokens` counts all inputs together."""

    vectors: list[list[float]]
    prompt_tokens: int
    timing: Timing = field(default_factory=Timing)


class Embedding:
    """What the engine holds of a request, while the caller holds its `future`.

    The future stays pending until it is answered, so `future.cancel()` takes effect up to the last step: the inputs
    that have not been embedded by then never are.
    """

    def __init__(self, request: EmbeddingRequest) -> None:
        self.request = request
        self.future: Future[EmbeddingResult] = Future()
        self.admitted = False

    @property
    def done(self) -> bool:
        """True once it has been answered or cancelled."""
        return self.future.done()

    def feed(self, event: Queued | Loading) -> None:
        """Nobody follows an embedding's progress."""

    def fail(self, error: EngineError) -> None:
        """Answer with an error. Ignored when it is over."""
        if not self.done and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def finish(self, result: EmbeddingResult) -> None:
        """Answer. Ignored when it is over."""
        if not self.done and self.future.set_running_or_notify_cancel():
            self.future.set_result(result)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, for at most `timeout` seconds; returns whether it is."""
        try:
            self.future.exception(timeout)
        except (CancelledError, TimeoutError):
            pass
        return self.done
