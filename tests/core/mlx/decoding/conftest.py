"""A text model on this thread, and requests for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from core.calls.clock import Clock
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.mlx.budget import memory_budget
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.reader import RequestReader
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.kv.store import KvStore
from core.mlx.models import templates
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import finished
from core.settings import Settings
from tests.core.mlx.loaded import load

MODEL = "pocket/qwen3"


@pytest.fixture(scope="module")
def weights(catalog: Catalog) -> LoadedWeights:
    return load(catalog, MODEL)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine renders templates slowly, and these tests admit once."""
    monkeypatch.setattr(templates, "_AT_ONCE_S", 60.0)


@pytest.fixture
def store(settings: Settings) -> KvStore:
    return KvStore(PrefixCache(10**9), ImageEmbeddings(10**8), memory_budget(settings))


@pytest.fixture
def reader(weights: LoadedWeights, store: KvStore) -> RequestReader:
    return RequestReader(weights, store.prefixes, False, store.meter, lambda error: pytest.fail(repr(error)))


def generation(text: str, max_tokens: int = 4) -> Generation:
    """A greedy request that nobody has submitted."""
    sampling = Sampling(temperature=0.0, max_tokens=max_tokens)
    turns = (Message.text(Role.USER, text),)
    return Generation(GenerationRequest(MODEL, turns, thinking=False, sampling=sampling), lambda _: None)


@pytest.fixture
def read(reader: RequestReader) -> Callable[[str], PrefillTask]:
    """Texts to requests that have been admitted."""
    return lambda text: finished(reader.read(generation(text), Clock(time.monotonic())))
