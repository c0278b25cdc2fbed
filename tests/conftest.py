"""What every test may stand on: settings of its own, the real engine, and the API running over it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import outside

outside.leave_outside()
outside.compile_once()
outside.share_cores()

from core import blas  # noqa: E402
from core.catalog import Catalog  # noqa: E402
from core.engine import Engine  # noqa: E402
from core.mlx.models import lazy_tables  # noqa: E402
from core.settings import Settings, load_settings  # noqa: E402
from server.lifecycle import ApiServer  # noqa: E402

blas.install(kept=outside.CACHE)  # before a test imports MLX
lazy_tables.install(outside.CACHE / "tables")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that touch nothing of the user's: a data folder and an empty Hugging Face cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_CONFIG", str(tmp_path_factory.mktemp("config") / "settings.toml"))
        patch.setenv("ASSAY_PREFILL_MS", "0")  # how much is prefilled in a step would depend on what else runs here
        yield load_settings(data_dir=tmp_path_factory.mktemp("data"), hf_cache=tmp_path_factory.mktemp("cache"), port=0)


@pytest.fixture(scope="session")
def catalog(settings: Settings) -> Catalog:
    """The pocket models, and nothing else."""
    return Catalog(settings)


@pytest.fixture(scope="session")
def engine(settings: Settings, catalog: Catalog) -> Iterator[Engine]:
    """One engine for the whole run: models stay loaded between tests, as they do in the product."""
    engine = Engine(settings, catalog)
    engine.start()
    engine.ready().result()  # a test that imports transformers while the engine does finds half a module
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def tiny_settings(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose catalog also holds embedding and audio models with random weights, made for this run."""
    from tests.tiny import audio, embedders

    folder = tmp_path_factory.mktemp("models") / "tiny"
    embedders.make_embedder(folder / "bert", embedders.BERT)
    embedders.make_embedder(folder / "qwen3-embedding", embedders.QWEN3)
    embedders.make_reranker(folder / "reranker", embedders.RERANKERS["bert"])
    audio.make_whisper(folder / "whisper")
    audio.make_soprano(folder / "soprano")
    return settings.model_copy(update={"model_folders": [folder.parent]})


@pytest.fixture(scope="session")
def quantised_settings(settings: Settings, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose catalog also holds tiny/gemma3-4bit, a copy of pocket/gemma3 in 4 bits, made for this run."""
    from tests.tiny.quantised import quantise

    folder = tmp_path_factory.mktemp("quantised")
    quantise(catalog.get("pocket/gemma3").path, folder / "tiny" / "gemma3-4bit")
    return settings.model_copy(update={"model_folders": [folder]})


@pytest.fixture(scope="session")
def quantised_engine(quantised_settings: Settings) -> Iterator[Engine]:
    """An engine over the pocket models and tiny/gemma3-4bit."""
    with Engine(quantised_settings) as engine:
        yield engine


@pytest.fixture(scope="session")
def tiny_engine(tiny_settings: Settings) -> Iterator[Engine]:
    """An engine over embedding, reranker and audio models of kind tiny/… and the pocket models."""
    with Engine(tiny_settings) as engine:
        yield engine


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background, and all that begins there
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if any(name.startswith(outside.CARRIED) for name in os.environ):
        from tests.e2e.conftest import check_variables

        check_variables()


def pytest_collection_finish() -> None:
    """What has been imported stays for good: a collection, one whenever a model leaves, need not walk it. And more of
    what is young may gather before Python looks at it, which took a third of the time of the workbench's tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_unconfigure() -> None:
    """pytest looks for garbage five times before it ends, to warn of what its finalizers raise: once through all that
    the run has gathered is enough."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Api:
    """A running API: where it is, and the key to it."""

    url: str
    key: str
    server: ApiServer


@pytest.fixture(scope="session")
def api(engine: Engine, settings: Settings) -> Iterator[Api]:
    """The API over the real engine, on a port that the system chose."""
    yield from served(engine, settings)


@pytest.fixture(scope="session")
def tiny_api(tiny_engine: Engine, tiny_settings: Settings) -> Iterator[Api]:
    """The API over `tiny_engine`."""
    yield from served(tiny_engine, tiny_settings)


def served(engine: Engine, settings: Settings) -> Iterator[Api]:
    """The API over an engine, on a port that the system chose."""
    server = ApiServer(engine, settings)
    url = server.start()
    assert server.key is not None
    yield Api(url, server.key, server)
    server.stop()
