"""What a process does that mlx.launch started as rank 1 or above: it shows no face, and follows rank 0's engine."""

from __future__ import annotations

import signal
import sys

from core.launch import launched_rank


def follow_if_launched() -> None:
    """Return at once on rank 0, or when this process was started by itself; else follow, then leave the program.

    ctrl+c reaches every rank of one terminal, and ends the launcher's ssh to those of other machines: here both are
    ignored, since rank 0 ends the others when it has drained.
    Raises EngineError when the settings are wrong or a rank is lost.
    """
    rank = launched_rank()
    if not rank:
        return
    from core.engine import Engine
    from core.settings import load_settings

    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print(f"Rank {rank} follows rank 0, and ends when it does.", file=sys.stderr, flush=True)  # noqa: T201
    Engine(load_settings()).start().follow()
    sys.exit()
