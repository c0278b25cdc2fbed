"""The list of models: pocket models, the Hugging Face cache, and the user's folders."""

from __future__ import annotations

from core.catalog.model_info import ModelInfo
from core.settings import Settings


class Catalog:
    """Scans once, then answers from memory until `refresh`. Safe to call from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def list(self) -> list[ModelInfo]:
        """Every model, pocket models first, then by id."""
        raise NotImplementedError

    def get(self, model_id: str) -> ModelInfo:
        """The model of that id. Raises ModelNotFound with the nearest names."""
        raise NotImplementedError

    def refresh(self) -> list[ModelInfo]:
        """Look at the disk again."""
        raise NotImplementedError
