"""What computes here, by name: figures hold for the machine that they were taken on. Imports only MLX's core."""

from __future__ import annotations

import mlx.core as mx

from core import blas


def machine_name(ranks: int = 1) -> str:
    """Such as "Apple M3 Max, 64 GB" or "AMD EPYC 7B13, 8 threads, 32 GB"; with several `ranks`, how many they are."""
    import os

    import psutil

    told = mx.device_info()
    name, memory = str(told.get("device_name", "")), told.get("total_memory") or told.get("memory_size")
    parts = [name]
    if mx.default_device() == mx.Device(mx.cpu):
        parts = [blas.processor_name() or name, f"{os.cpu_count() or 1} threads"]
        memory = psutil.virtual_memory().total
    if memory:
        parts.append(f"{round(int(memory) / 2**30)} GB")  # as memory is sold
    if ranks > 1:
        parts.append(f"{ranks} ranks")
    return ", ".join(part for part in parts if part)
