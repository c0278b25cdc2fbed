"""What requests take of the memory, and who works beside them."""

from __future__ import annotations

import mlx.core as mx

from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.errors import GenerationFailed
from core.mlx.meter import Meter

MB = 1 << 20


def work(model: str = "m") -> Generation:
    return Generation(GenerationRequest(model, prompt="x"), lambda _: None)


def fill(megabytes: int) -> mx.array:
    made = mx.zeros((megabytes, MB), mx.uint8)
    mx.eval(made)
    return made


def test_a_request_took_the_most_that_was_held_meanwhile() -> None:
    meter = Meter()
    kept = fill(3)
    asked = work()
    window = meter.begin(asked)
    held = fill(20)
    del held
    assert 19 * MB < meter.end(window).memory < 30 * MB
    after = meter.begin(work())
    assert meter.end(after).memory < 5 * MB
    assert meter.peak > 20 * MB
    del kept


def test_what_comes_before_and_after_is_not_its_own() -> None:
    meter = Meter()
    asked = work(), work()
    early = meter.begin(asked[0])
    held = fill(20)
    late = meter.begin(asked[1])
    assert meter.end(early).memory > 19 * MB
    assert meter.end(late).memory < 5 * MB
    del held


def test_rows_are_those_of_its_model_that_have_not_ended() -> None:
    meter = Meter()
    failed, other = work(), work("other")
    meter.begin(failed)
    failed.fail(GenerationFailed("x"))
    asked = [work(), work()]
    windows = [meter.begin(one) for one in asked]
    meter.begin(other)
    assert [meter.end(window).rows for window in windows] == [2, 2]
    assert meter.end(meter.begin(work())).rows == 1


def test_a_step_of_several_models_is_told_to_those_that_were_there() -> None:
    meter = Meter()
    window = meter.begin(work())
    meter.crowd()
    assert not meter.end(window).alone
    assert meter.end(meter.begin(work())).alone
