"""The figures that a caller gets, whatever became of the call."""

from __future__ import annotations

import pytest

from core.calls import clock
from core.calls.clock import Clock
from core.calls.events import Timing


@pytest.fixture(autouse=True)
def at_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock.time, "monotonic", lambda: 100.0)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        (Clock(90.0), Timing(queued_s=10.0, total_s=10.0)),
        (Clock(90.0, load_s=3.0), Timing(queued_s=7.0, load_s=3.0, total_s=10.0)),
        (Clock(90.0, admitted=94.0), Timing(queued_s=4.0, prefill_s=6.0, total_s=10.0)),
        (
            Clock(90.0, 1.0, 94.0, 97.0),
            Timing(queued_s=3.0, load_s=1.0, prefill_s=3.0, ttft_s=7.0, decode_s=3.0, total_s=10.0),
        ),
    ],
    ids=["cancelled in the queue", "after a load", "before its first token", "answered"],
)
def test_what_has_not_come_yet_ends_now(moments: Clock, expected: Timing) -> None:
    assert moments.timing() == expected
