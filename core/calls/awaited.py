"""What requests have in common that are answered as a whole: the caller holds a future, the engine the rest."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

from core.calls.stream import Asked
from core.errors import EngineError

Request = TypeVar("Request", bound=Asked)
Result = TypeVar("Result")


class Awaited(Generic[Request, Result]):
    """What the engine holds of a request, while the caller holds its `future`.

    The future stays pending until it is answered, so `future.cancel()` takes effect up to the last step: what has not
    been computed by then never is.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.future: Future[Result] = Future()
        self.admitted = False

    @property
    def models(self) -> tuple[str, ...]:
        """The models that work on it."""
        return (self.request.model,)

    @property
    def done(self) -> bool:
        """True once it has been answered or cancelled."""
        return self.future.done()

    def feed(self, event: object) -> None:
        """Nobody follows its progress."""

    def fail(self, error: EngineError) -> None:
        """Answer with an error. Ignored when it is over."""
        if not self.done and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def finish(self, result: Result) -> None:
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
