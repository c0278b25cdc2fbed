"""How many files the process may have open, which mlx-lm sets when it is imported.

It sets 2,048, and 4,096 for good: less than most systems allow, of which a server has use. Where the system allows less
than that, setting it fails, and with it the import.
"""

from __future__ import annotations

import resource


def keep_limit() -> None:
    """Import mlx-lm, and let the limit be what it is."""
    set_limit = resource.setrlimit

    def set_others(which: int, limits: tuple[int, int]) -> None:
        if which != resource.RLIMIT_NOFILE:
            set_limit(which, limits)

    resource.setrlimit = set_others
    try:
        import mlx_lm.utils  # noqa: F401
    finally:
        resource.setrlimit = set_limit
