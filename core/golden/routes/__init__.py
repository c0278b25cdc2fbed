"""The ways by which a golden prompt can reach a model; each turns a request into the engine's own events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from core.calls.events import Event
from core.calls.requests import GenerationRequest
from core.errors import EngineError

if TYPE_CHECKING:
    from core.engine import Engine


class RouteError(EngineError):
    """The server could not be reached, refused the request, or broke off."""

    code = "route_error"


class Route(Protocol):
    """One way to a model."""

    def stream(self, request: GenerationRequest) -> AsyncIterator[Event]:
        """The events of one answer, `Finished` last. Raises EngineError; closing it early cancels the generation."""
        ...

    async def aclose(self) -> None:
        """Give back what the route holds open."""
        ...


class InProcess:
    """Straight into the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def stream(self, request: GenerationRequest) -> AsyncIterator[Event]:
        generation = self._engine.generate(request)
        try:
            async for event in generation:
                yield event
        finally:
            if not generation.done:
                generation.cancel()

    async def aclose(self) -> None:
        """Nothing is held open: the engine belongs to the caller."""
