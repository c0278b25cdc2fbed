"""Whether the KV of a prompt fits the memory, before a token of it is prefilled: MLX would only fail half-way."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import OutOfMemory
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.row import Row
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.sizes import readable_size

ANSWER_FOR_FIT = 1024
"""Tokens of an answer that are counted at most: few are longer, whatever `max_tokens` allows."""


def make_room(
    task: PrefillTask, rows: Iterable[Row], prefilling: Iterable[PrefillTask], loaded: LoadedWeights, store: KvStore
) -> bool:
    """Let what is kept for later give way to a prompt; False when it has to wait until a row of its model has ended.

    Raises OutOfMemory with the numbers when there is none to wait for.
    """
    estimate, rows, prefilling = loaded.memory, list(rows), list(prefilling)
    if estimate is None or not estimate.kv_per_token:
        return True
    need = estimate.kv_per_token * _missing(task, rows, prefilling) // loaded.ranks.size
    left = loaded.ranks.decide(lambda: store.left_beside(need))
    if left >= 0:
        store.shrink(left)
        return True
    if rows or prefilling:
        return False
    prompt = task.row.prompt_tokens
    raise OutOfMemory(
        f"The KV cache of a prompt of {prompt} tokens and an answer of {_expected(task.row) - prompt} takes about "
        f"{readable_size(need)}, and {readable_size(max(left + need, 0))} of the budget of "
        f"{readable_size(store.memory)} are free. "
        "Shorten the conversation, unload another model, or raise memory_budget_gb."
    )


def _missing(task: PrefillTask, rows: list[Row], prefilling: list[PrefillTask]) -> int:
    """Tokens of KV still to be allocated when `task` joins the others: a batch pads all its rows to the longest."""
    everyone = [*rows, *(other.row for other in prefilling), task.row]
    held = len(rows) * max((row.prefilled + row.completion_tokens for row in rows), default=0)
    held += sum(other.work.done for other in prefilling if other.work is not None)
    rows_to_be = len(everyone) - 1 + task.copies
    return max(max(_expected(row) for row in everyone) * rows_to_be - held, 0)


def _expected(row: Row) -> int:
    """Tokens that a row is expected to hold at its end."""
    wanted = row.generation.request.sampling.max_tokens or ANSWER_FOR_FIT
    return row.prompt_tokens + max(min(wanted, ANSWER_FOR_FIT), row.completion_tokens)
