"""One test, two models: a pocket model always, and the reference model where it is on this disk.

The pocket model's twin carries no marker, so that a plain `pytest` runs every line. The reference model's carries its
kind's markers: `pytest -m e2e_vision_quick` asks for it alone. Nothing is ever downloaded: a model that is not on disk
is skipped, with the reason. A folder named by ASSAY_E2E_<KIND> stands in for a kind's reference models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.catalog import Catalog
from core.engine import Engine
from core.golden.reading import load_suite
from core.golden.suite import BUILTIN, Suite
from core.settings import Settings
from tests import outside
from tests.conftest import Api, served

if TYPE_CHECKING:  # they take seconds, and a run that is refused needs neither
    import anthropic
    import openai

SPEAKERS = ("mlx-community/Soprano-80M-bf16", "mlx-community/Kokoro-82M-bf16", "mlx-community/pocket-tts")
LISTENERS = (
    "mlx-community/whisper-tiny-asr-fp16",
    "mlx-community/whisper-large-v3-turbo-asr-fp16",
    "mlx-community/parakeet-tdt-0.6b-v3",
    "mlx-community/Qwen3-ASR-0.6B-8bit",
)


@dataclass(frozen=True)
class Kind:
    """What a test needs a model for. `stand_in` is the pocket or tiny model, `references` the real ones in order."""

    stand_in: str
    references: tuple[str, ...]
    markers: tuple[str, ...] = ("e2e",)


KINDS = {
    "text": Kind("pocket/qwen3", ("mlx-community/Qwen3-0.6B-4bit-DWQ",)),
    "anthropic": Kind("pocket/qwen3", ("mlx-community/Qwen3-0.6B-4bit-DWQ",), ("e2e", "e2e_anthropic")),
    "vision_quick": Kind(
        "pocket/qwen2-vl", ("mlx-community/Qwen2-VL-2B-Instruct-4bit",), ("e2e", "e2e_vision", "e2e_vision_quick")
    ),
    "vision_full": Kind(
        "pocket/gemma3",
        ("mlx-community/gemma-3-27b-it-4bit-DWQ", "mlx-community/gemma-3-27b-it-qat-4bit"),
        ("e2e", "e2e_vision", "e2e_vision_full"),
    ),
    "embeddings": Kind(
        "tiny/qwen3-embedding",
        (
            "mlx-community/Qwen3-Embedding-0.6B-4bit-DWQ",
            "mlx-community/all-MiniLM-L6-v2-4bit",
            "mlx-community/embeddinggemma-300m-4bit",
            "mlx-community/nomicai-modernbert-embed-base-4bit",
            "mlx-community/multilingual-e5-small-mlx",
        ),
        ("e2e", "e2e_embeddings"),
    ),
    "speaker": Kind("tiny/soprano", SPEAKERS, ("e2e", "e2e_audio")),
    "listener": Kind("tiny/whisper", LISTENERS, ("e2e", "e2e_audio")),
}
"""By the name that ASSAY_E2E_<KIND> takes in capitals: ASSAY_E2E_TEXT is for "anthropic" too."""


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on the stand-ins of these kinds, and, under their markers, on their reference models."""
    both = [
        pytest.param((kind, real), id=f"{kind}-{'reference' if real else 'pocket'}", marks=_marks(kind, real))
        for kind in kinds
        for real in (False, True)
    ]
    return pytest.mark.parametrize("target", both, indirect=True)


def _marks(kind: str, real: bool) -> list[pytest.MarkDecorator]:
    return [getattr(pytest.mark, marker) for marker in KINDS[kind].markers] if real else []


@dataclass(frozen=True)
class Target:
    """A model to test, and the API that answers for it."""

    api: Api
    engine: Engine
    kind: str
    model: str
    reference: bool

    def openai(self) -> openai.OpenAI:
        import openai

        return openai.OpenAI(base_url=f"{self.api.url}/v1", api_key=self.api.key, max_retries=0, timeout=600)

    def anthropic(self) -> anthropic.Anthropic:
        import anthropic

        return anthropic.Anthropic(base_url=self.api.url, api_key=self.api.key, max_retries=0, timeout=600)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    kind, real = request.param
    if not real:
        tiny = "tiny_" if KINDS[kind].stand_in.startswith("tiny/") else ""
        api, engine = (request.getfixturevalue(f"{tiny}{name}") for name in ("api", "engine"))
        return Target(api, engine, kind, KINDS[kind].stand_in, False)
    model = find_reference(kind, request.getfixturevalue("reference_catalog"))
    api, engine = (request.getfixturevalue(f"reference_{name}") for name in ("api", "engine"))
    return Target(api, engine, kind, model, True)


def find_reference(kind: str, catalog: Catalog) -> str:
    """The first reference model of a kind that is whole on this disk; skips the test where there is none."""
    folder = stand_ins().get(kind)
    if folder is not None:
        found = next((info for info in catalog.list(all=True) if info.path == folder), None)
        if found is None or found.problem:
            pytest.fail(f"{folder} holds no model that can be loaded: {found.problem if found else 'nothing is there'}")
        return found.id
    known = {info.id: info for info in catalog.list()}
    whole = [model for model in KINDS[kind].references if model in known and not known[model].problem]
    if not whole:
        names = " or ".join(KINDS[kind].references[:2])
        pytest.skip(f"no reference model for {kind} on this disk: get {names}, or name a folder in {variable(kind)}")
    return whole[0]


def variable(kind: str) -> str:
    """The environment variable that names a folder for a kind."""
    return f"{outside.ASKED}{'TEXT' if kind == 'anthropic' else kind.upper()}"


def check_variables() -> None:
    """Raises UsageError for a variable that stands for no kind: nothing would ask for it."""
    known = list(dict.fromkeys(variable(kind) for kind in KINDS))
    given = [name.replace(outside.CARRIED, outside.ASKED) for name in os.environ if name.startswith(outside.CARRIED)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise pytest.UsageError(f"{', '.join(unknown)}: no test asks for that. There are {', '.join(known)}.")


def stand_ins() -> dict[str, Path]:
    """The folders that ASSAY_E2E_<KIND> names, by kind."""
    found = {kind: os.environ.get(variable(kind).replace(outside.ASKED, outside.CARRIED)) for kind in KINDS}
    return {kind: Path(folder).expanduser().absolute() for kind, folder in found.items() if folder}


@pytest.fixture(scope="session")
def reference_settings(settings: Settings) -> Settings:
    """Settings that see the user's models, and touch nothing else of the user's."""
    hub = Path(os.environ[outside.HUB])
    return settings.model_copy(update={"hf_cache": hub, "model_folders": [*dict.fromkeys(stand_ins().values())]})


@pytest.fixture(scope="session")
def reference_catalog(reference_settings: Settings) -> Catalog:
    return Catalog(reference_settings)


@pytest.fixture(scope="session")
def reference_engine(reference_settings: Settings, reference_catalog: Catalog) -> Iterator[Engine]:
    """An engine of its own: reference models are large, and leave when the next one needs the room."""
    with Engine(reference_settings, reference_catalog) as engine:
        yield engine


@pytest.fixture(scope="session")
def reference_api(reference_engine: Engine, reference_settings: Settings) -> Iterator[Api]:
    yield from served(reference_engine, reference_settings)


@pytest.fixture(scope="session")
def suite() -> Suite:
    """The built-in golden suite: what the reference prompts are, and what is expected of each tier."""
    return load_suite(BUILTIN)
