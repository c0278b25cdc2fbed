"""The one door to the models: every face loads and generates through an `Engine`, and only through it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from core.catalog import Catalog
from core.generation import Generation
from core.requests import GenerationRequest
from core.settings import Settings, load_settings
from core.status import EngineStatus, LoadedModel, Notice


class Engine:
    """Models in memory behind one MLX thread. All methods may be called from any thread, and none blocks."""

    def __init__(self, settings: Settings | None = None, catalog: Catalog | None = None) -> None:
        self.settings = settings or load_settings()
        self.catalog = catalog or Catalog(self.settings)

    def start(self) -> Self:
        """Start the MLX thread (which imports MLX there). Idempotent; `with Engine() as engine` does it too."""
        raise NotImplementedError

    def close(self, drain_s: float = 0.0) -> None:
        """Refuse new work, let running generations go on for `drain_s` seconds, fail the rest, free all models. Blocks."""
        raise NotImplementedError

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
        raise NotImplementedError

    def load(self, model_id: str, *, pin: bool = False) -> Future[LoadedModel]:
        """Load a model, or pin one that is loaded. The future raises ModelNotFound, ModelBroken, LoadFailed, OutOfMemory."""
        raise NotImplementedError

    def unload(self, model_id: str, *, cancel: bool = False) -> Future[None]:
        """Free a model when its requests have ended, or at once with `cancel` (they end with ModelUnloaded)."""
        raise NotImplementedError

    def count_tokens(self, request: GenerationRequest) -> Future[int]:
        """Prompt tokens that `request` would take, images, tools and template included; loads the model if need be."""
        raise NotImplementedError

    def status(self) -> EngineStatus:
        """A snapshot, without waiting for the MLX thread."""
        raise NotImplementedError

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Call `listener` on every notice, on the MLX thread; returns the function that ends it."""
        raise NotImplementedError
