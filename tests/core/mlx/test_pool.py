"""What the budgets are where the settings do not say."""

from __future__ import annotations

from types import SimpleNamespace

import mlx.core as mx
import psutil
import pytest

from core.mlx.budget import memory_budget
from core.mlx.kv.store import make_kv_store
from core.settings import Settings

GIB = 1024**3


def test_the_memory_that_is_free_on_the_device_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graphics card's memory has nothing to do with the machine's; no card is at hand, so its answers are made up."""
    monkeypatch.setattr(mx.metal, "is_available", lambda: False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=40 * GIB))
    monkeypatch.setattr(mx, "device_info", lambda: {"free_memory": 8 * GIB, "total_memory": 9 * GIB})
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.cpu))
    assert memory_budget(Settings()) == 30 * GIB
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    assert memory_budget(Settings()) == 6 * GIB
    assert memory_budget(Settings(memory_budget_gb=3)) == 3_000_000_000


def test_kept_kv_grows_with_the_memory_unless_its_size_is_set() -> None:
    assert make_kv_store(Settings(), 16 * GIB, alone=True).prefixes.budget == 2 * GIB
    assert make_kv_store(Settings(), 128 * GIB, alone=True).prefixes.budget == 16 * GIB
    assert make_kv_store(Settings(cache_budget_gb=0.5), 128 * GIB, alone=True).prefixes.budget == 500_000_000
    assert make_kv_store(Settings(cache_budget_gb=0), 128 * GIB, alone=True).prefixes.budget == 0
