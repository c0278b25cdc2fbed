"""The thread that loads and runs models asks nothing of the network: a model is what lies on this disk.

Some families of mlx-audio would fetch a codec when they are loaded, or a voice when a request names one. Downloads are
the user's to start, and run on other threads, so the Hub client's switch is set for one thread alone.
"""

from __future__ import annotations

import threading

from huggingface_hub import constants

_here = threading.local()


class _Switch:
    """True on the threads that called `stay_offline`, elsewhere what the environment said."""

    def __init__(self, before: object) -> None:
        self._before = bool(before)

    def __bool__(self) -> bool:
        return self._before or getattr(_here, "offline", False)


def stay_offline() -> None:
    """From now on, let nothing on this thread reach the Hugging Face Hub; what would, raises OfflineModeIsEnabled."""
    if not isinstance(constants.HF_HUB_OFFLINE, _Switch):
        constants.HF_HUB_OFFLINE = _Switch(constants.HF_HUB_OFFLINE)
    _here.offline = True
