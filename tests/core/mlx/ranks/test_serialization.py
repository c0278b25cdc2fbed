"""What ranks send each other: commands without their handles, and nothing that could run."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from core.calls.events import Finished, FinishReason, Timing, Usage
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.errors import ContextOverflow, EngineError, InvalidRequest, LoadFailed
from core.launch import launched_rank
from core.mlx.commands import Cancel, Close, Load, Submit, UnloadIdle
from core.mlx.ranks.distributed import ALONE, Ranks, connect
from core.mlx.ranks.serialization import Receiver, Sender, read_value, write_value
from tests.pictures import png


def generation(**more: Any) -> Generation:
    message = Message.text(Role.USER, "What is this?", png("red"))
    return Generation(GenerationRequest("some/model", (message,), **more), lambda _: None)


def told(sender: Sender, receiver: Receiver, *commands: Any) -> list[Any]:
    data, travelling = sender.pack(commands)
    assert travelling == list(commands)
    return receiver.unpack(data)


def test_a_followers_twin_has_the_request_and_is_found_again() -> None:
    sender, receiver = Sender(), Receiver()
    work = generation(sampling=Sampling(logit_bias={3: 1.5}))
    (submit,) = told(sender, receiver, Submit(work, 12.5))
    assert (submit.work.request, submit.submitted) == (work.request, 12.5)
    assert submit.work is not work
    data, _ = sender.pack([Cancel(work)])
    assert len(data) < 300, "the picture has been told already"
    (cancel,) = receiver.unpack(data)
    assert cancel.work is submit.work


def test_a_word_about_a_twin_that_has_ended_does_nothing() -> None:
    sender, receiver = Sender(), Receiver()
    work = generation()
    (submit,) = told(sender, receiver, Submit(work, 0.0))
    submit.work.feed(Finished(FinishReason.STOP, Usage(), Timing()))
    (cancel,) = told(sender, receiver, Cancel(work))
    cancel.run(SimpleNamespace())  # anything that it asked of the scheduler would raise


def test_futures_stay_at_home() -> None:
    mine: Future[Any] = Future()
    load, idle, close = told(Sender(), Receiver(), Load("m", True, mine, 7), UnloadIdle(("a", "b")), Close())
    assert (load.model, load.pin, idle.models, close) == ("m", True, ("a", "b"), Close())
    assert load.future is not mine
    load.future.set_result(None)
    assert not mine.done()


def test_a_request_that_cannot_travel_is_refused_and_the_others_go() -> None:
    sender = Sender()
    bad, good = generation(json_schema={"x-note": threading.Lock()}), generation()
    worse = generation(json_schema={"x-note": Harmful()})
    data, travelling = sender.pack([Submit(bad, 0.0), Submit(good, 0.0), Submit(worse, 0.0)])
    assert [command.work for command in travelling if isinstance(command, Submit)] == [good]
    assert len(Receiver().unpack(data)) == 1
    for handle in (bad, worse):
        assert isinstance(handle.error, InvalidRequest)
        assert "cannot be sent to the other machines" in str(handle.error)


class Harmful:
    def __reduce__(self) -> Any:
        return os.getcwd, ()


@pytest.mark.parametrize("value", [Harmful(), EngineError("x"), threading.Thread, os.system])
def test_bytes_that_would_call_something_are_not_read(value: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is no plain value"):
        read_value(write_value(value))


def test_names_that_lead_out_of_the_core_are_not_followed() -> None:
    for module, name in (
        ("core.launch", "os.system"),
        ("core.launch", "launched_rank"),
        ("core.engine_life", "threading"),
    ):
        with pytest.raises(pickle.UnpicklingError):
            read_value(f"c{module}\n{name}\n.".encode())


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, None),
        ({"MLX_RANK": "0"}, 0),
        ({"MLX_RANK": "3"}, 3),
        ({"OMPI_COMM_WORLD_RANK": "1"}, 1),
        ({"MLX_RANK": ""}, None),
    ],
)
def test_the_rank_is_told_from_the_environment(
    environment: dict[str, str], rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLX_RANK", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched_rank() == rank


def test_a_process_by_itself_never_asks_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("mx.distributed.init was called")

    monkeypatch.setattr(mx.distributed, "init", asked)
    assert connect(None) is ALONE
    assert ALONE.decide(lambda: 3) == ALONE.least(3) == 3
    with pytest.raises(ContextOverflow):
        ALONE.decide(overflow)


def overflow() -> None:
    raise ContextOverflow("Too long.", 5, 4)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (SimpleNamespace(model_type="mamba"), "mlx-lm does not split models of type mamba"),
        (
            SimpleNamespace(shard=lambda group: None, args=SimpleNamespace(num_key_value_heads=4)),
            "it has 4 key-value heads, and each rank takes as many",
        ),
    ],
)
def test_a_model_that_cannot_be_split_is_refused_with_the_reason(model: Any, sentence: str) -> None:
    three = Ranks(SimpleNamespace(rank=lambda: 0, size=lambda: 3))
    with pytest.raises(LoadFailed, match=f"big/model cannot be split over 3 ranks: {sentence}"):
        three.split(model, "big/model")
