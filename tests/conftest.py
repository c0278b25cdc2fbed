"""What every test may stand on: settings of its own, the real engine, and the API running over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from core.catalog import Catalog
from core.engine import Engine
from core.settings import Settings, load_settings
from server.lifecycle import ApiServer


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that touch nothing of the user's: a data folder and an empty Hugging Face cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ASSAY_")]:
            patch.delenv(name)
        patch.setenv("ASSAY_CONFIG", str(tmp_path_factory.mktemp("config") / "settings.toml"))
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
    yield engine
    engine.close()


@dataclass(frozen=True)
class Api:
    """A running API: where it is, and the key to it."""

    url: str
    key: str
    server: ApiServer


@pytest.fixture(scope="session")
def api(engine: Engine, settings: Settings) -> Iterator[Api]:
    """The API over the real engine, on a port that the system chose."""
    server = ApiServer(engine, settings)
    url = server.start()
    assert server.key is not None
    yield Api(url, server.key, server)
    server.stop()
