"""How many tokens go at once follows the clock."""

from __future__ import annotations

from core.mlx.token_budget import TokenBudget


def test_the_limit_follows_the_clock() -> None:
    pace = TokenBudget(512, 32, 4096, 0.1)
    for _ in range(20):
        pace.saw(pace.limit, 0.001)
    assert pace.limit == 4096, "a fast model is given more"
    for _ in range(20):
        pace.saw(pace.limit, 1.0)
    assert pace.limit < 51, "a slow one less, so that nobody waits for it"
    before = pace.limit
    pace.saw(2, 0.0001)
    assert pace.limit == before, "two tokens tell nothing of a full batch"
    for _ in range(20):
        pace.saw(pace.limit, 60.0)
    assert pace.limit == 32


def test_no_time_at_all_means_the_least() -> None:
    pace = TokenBudget(512, 512, 4096, 0.0)
    for seconds in (0.0, 0.001, 1.0):
        pace.saw(512, seconds)
        assert pace.limit == 512
