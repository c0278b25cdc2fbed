"""Models loaded on the test's own thread, as the MLX thread loads them."""

from __future__ import annotations

from core.catalog import Catalog
from core.mlx.models.loading import LoadedWeights, load_steps


def load(catalog: Catalog, model: str) -> LoadedWeights:
    """The model, read in one go."""
    steps = load_steps(catalog.get(model), allow_code=False)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            loaded: LoadedWeights = done.value
            return loaded
