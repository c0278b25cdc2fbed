"""Whether mlx.launch started this process, told from its environment alone: MLX need not be imported to know."""

from __future__ import annotations

import os

RANKS = ("MLX_RANK", "OMPI_COMM_WORLD_RANK")
"""What the launcher sets for the ring, JACCL and NCCL back ends, and mpirun for the MPI one."""


def launched_rank() -> int | None:
    """This process's place among those that were launched together, from 0; None when it was started by itself."""
    for name in RANKS:
        value = os.environ.get(name, "")
        if value.isdigit():
            return int(value)
    return None
