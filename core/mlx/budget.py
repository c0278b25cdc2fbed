"""How much memory there is for models on this machine; importing it imports no more than MLX's core."""

from __future__ import annotations

import mlx.core as mx

from core.settings import Settings


def memory_budget(settings: Settings) -> int:
    """Bytes for all models: the setting, else what Metal recommends, else 75 % of the memory that is free now."""
    if settings.memory_budget_gb is not None:
        return int(settings.memory_budget_gb * 1e9)
    if mx.metal.is_available():
        return int(mx.device_info()["max_recommended_working_set_size"])
    return int(0.75 * _free_memory())


def _free_memory() -> int:
    """Bytes: a CUDA device's own, else the machine's."""
    import psutil

    if mx.default_device() == mx.Device(mx.gpu):
        return int(mx.device_info()["free_memory"])
    return int(psutil.virtual_memory().available)
