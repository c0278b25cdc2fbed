"""The Hub of the tests, and a queue that downloads from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.hub import fetch
from core.hub.downloads import Downloads
from core.hub.progress import Progress
from core.settings import Settings
from tests.hub.fixtures import hub, hub_settings

__all__ = ["hub", "hub_settings"]

MODEL = "mlx-community/qwen3"
WEIGHTS = f"{MODEL}/model.safetensors"


@pytest.fixture
def downloads(hub_settings: Settings) -> Iterator[Downloads]:
    downloads = Downloads(hub_settings)
    yield downloads
    downloads.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_PAUSE_S", 0.01)


def download(
    downloads: Downloads, model_id: str = MODEL, revision: str | None = None, everything: bool = False
) -> Progress:
    return downloads.wait(downloads.add(model_id, revision, everything), timeout=30)
