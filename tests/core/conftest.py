"""Settings are the defaults, and what a test sets."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", str(tmp_path / "no-settings.toml"))
    monkeypatch.delenv("ASSAY_PREFILL_MS", raising=False)
