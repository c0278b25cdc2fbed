"""A Hub for a test, to which huggingface_hub talks in this process and in programs that the test starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.settings import Settings, load_settings
from tests.hub import Hub, pocket_repository


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """mlx-community/qwen3 (text), on a Hub of its own; no token, whoever runs the tests."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    with Hub(
        [pocket_repository("qwen3", downloads=100, likes=7, licence="mit", pipeline_tag="text-generation")]
    ) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def hub_settings(tmp_path: Path) -> Settings:
    """Settings with an empty cache and empty folders of their own, and a budget that is the same everywhere."""
    folders = {"data_dir": tmp_path / "data", "cache_dir": tmp_path / "kept", "hf_cache": tmp_path / "cache"}
    return load_settings(**folders, memory_budget_gb=8.0)
