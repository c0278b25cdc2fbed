"""Prompts with images that are to be counted: read as for an answer, a piece between two steps of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future

from core.calls.events import PromptCount
from core.calls.requests import GenerationRequest
from core.calls.stream import waited_for
from core.errors import EngineError, GenerationFailed
from core.mlx.decoding.apart_trial import find_out
from core.mlx.models.loading import LoadedWeights
from core.mlx.prompt.inputs import Inputs, prepare_inputs


class Counting:
    """Counts for one model, one after the other. All methods run on the MLX thread."""

    def __init__(self, loaded: LoadedWeights) -> None:
        self._loaded = loaded
        self._waiting: deque[tuple[GenerationRequest, Future[PromptCount]]] = deque()
        self._reading: Generator[None, None, Inputs] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: GenerationRequest, future: Future[PromptCount]) -> None:
        """Count a request's tokens, soon; under mlx.launch at once, since ranks have to stay in step."""
        self._waiting.append((request, future))
        while self._waiting and self._loaded.ranks.size > 1:
            self.step()

    def step(self) -> None:
        """Read the first of them a piece further."""
        if not self._waiting:
            return
        request, future = self._waiting[0]
        try:
            if not future.cancelled():
                self._reading = self._reading or self._read(request)
                next(self._reading)
                return
        except StopIteration as end:
            inputs: Inputs = end.value
            if waited_for(future):
                future.set_result(PromptCount(inputs.length, inputs.prompt.notes))
        except EngineError as error:
            _refuse(future, error.detached())
        except Exception as error:  # tokenizers and templates raise what they like
            _refuse(future, GenerationFailed(f"The request could not be read: {type(error).__name__}: {error}"))
        self._waiting.popleft()
        self._reading = None

    def _read(self, request: GenerationRequest) -> Generator[None, None, Inputs]:
        yield from find_out(request, self._loaded)
        return (yield from prepare_inputs(request, self._loaded, fitting=False))

    def fail(self, error: EngineError) -> None:
        """Answer all of them with `error`."""
        for _, future in self._waiting:
            _refuse(future, error)
        self._waiting.clear()
        self._reading = None


def _refuse(future: Future[PromptCount], error: EngineError) -> None:
    if waited_for(future):
        future.set_exception(error)
