"""Sizes of memory as the engine's sentences give them."""

from __future__ import annotations


def readable_size(nbytes: float) -> str:
    """Bytes as 1.83 GB, or below 0.1 GB as 31 MB or 0.4 MB. Powers of 1000, as `memory_budget_gb` counts."""
    if nbytes >= 0.1e9:
        return f"{nbytes / 1e9:.2f} GB"
    return f"{nbytes / 1e6:.0f} MB" if nbytes >= 10e6 else f"{nbytes / 1e6:.1f} MB"
