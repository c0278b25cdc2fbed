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


def test_where_others_wait_fewer_go_at_once() -> None:
    pace = TokenBudget(512, 512, 2048, 0.05)
    assert pace.beside == 512, "nothing is known yet"
    for _ in range(10):
        pace.saw(512, 2.0)
    assert (pace.limit, pace.beside) == (512, 64)
    for _ in range(10):
        pace.saw(pace.beside, pace.beside / 1000)
    assert pace.beside in range(240, 251), "as many as take a quarter of a second"
    for _ in range(20):
        pace.saw(pace.limit, 0.01)
    assert pace.beside == pace.limit == 2048, "nobody stands for what is quick"
    pace.saw(3, 0.01)
    assert pace.beside == 2048, "three tokens tell nothing"


def test_without_a_clock_all_go_at_once() -> None:
    pace = TokenBudget(512, 512, 2048, 0.0)
    pace.saw(512, 60.0)
    assert pace.beside == 512
