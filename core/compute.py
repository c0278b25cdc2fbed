"""What MLX computes on, told without importing it: the processor of a Linux machine is the case that needs care."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

CUDA = ("mlx-cuda-13", "mlx-cuda-12", "mlx-cuda")
"""The packages that bring MLX's CUDA back end."""


@cache
def on_linux_cpu() -> bool:
    """Whether MLX uses its CPU back end with the reference BLAS: on Linux, where no CUDA back end is installed."""
    return sys.platform == "linux" and not any(_installed(name) for name in CUDA)


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
