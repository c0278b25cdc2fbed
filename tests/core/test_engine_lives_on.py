"""What callers do wrong, or in an unlucky order, costs no other request and never the process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from core.calls.events import Finished, Queued, TextDelta
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.errors import EngineClosed, EngineError, ModelNotFound
from core.settings import Settings
from core.status import Notice, NoticeKind
from tests import ROOT

TEXT, VISION = "pocket/qwen3", "pocket/qwen2-vl"


def endless(model: str = TEXT) -> GenerationRequest:
    """A request that runs until it is cancelled: its end tokens cannot be drawn."""
    ends = dict.fromkeys(range(6), -100.0)
    sampling = Sampling(temperature=1.0, max_tokens=4000, logit_bias=ends)
    return GenerationRequest(model, (Message.text(Role.USER, "Count from 1 to 40."),), sampling=sampling)


def hello(model: str = TEXT) -> GenerationRequest:
    return GenerationRequest(model, (Message.text(Role.USER, "Hello!"),), sampling=Sampling(max_tokens=3))


def test_a_listener_that_raises_is_let_go_and_the_others_are_told(settings: Settings) -> None:
    heard: list[Notice] = []
    calls = 0

    def broken(notice: Notice) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("Event loop is closed")

    with Engine(settings) as engine:
        engine.listen(broken)
        engine.listen(heard.append)
        assert engine.generate(hello()).result().finished is not None
        assert engine.status().alive
    assert calls == 1
    assert heard


def test_an_engine_that_has_died_can_be_started_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.mlx.scheduler import Scheduler

    engine = Engine(settings).start()
    engine.ready().result(timeout=60)
    told: list[Notice] = []
    engine.listen(told.append)
    with monkeypatch.context() as patch:
        patch.setattr(Scheduler, "step", lambda scheduler: 1 / 0)
        with pytest.raises(EngineClosed, match="Start it again"):
            engine.generate(hello()).result()
        assert engine.failure == "ZeroDivisionError: division by zero."
    with engine.start():
        assert engine.failure is None
        assert Notice(NoticeKind.ENGINE_DIED, message="ZeroDivisionError: division by zero.") in told
        assert engine.generate(hello()).result().finished is not None


def test_a_program_that_ends_with_a_busy_engine_ends_in_order(settings: Settings, tmp_path: Path) -> None:
    program = """
        import sys
        from core.engine import Engine
        from core.calls.events import TextDelta
        from core.settings import Settings
        from tests.core.test_engine_lives_on import endless

        engine = Engine(Settings(data_dir=sys.argv[1])).start()
        next(event for event in engine.generate(endless()) if isinstance(event, TextDelta))
        print("busy", engine.status().alive)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stdout == "busy True\n", done.stderr
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_asked_for_while_it_leaves_holds_up_no_other(settings: Settings) -> None:
    with Engine(settings) as engine:
        busy = engine.generate(endless())
        next(event for event in busy if isinstance(event, TextDelta))
        leaving = engine.unload(TEXT)
        again = engine.generate(hello())
        assert engine.generate(hello(VISION)).result().finished is not None
        assert not busy.done
        assert not again.done
        busy.cancel()
        leaving.result(timeout=60)
        assert again.result().finished is not None


def test_a_pinned_model_can_be_let_go(settings: Settings) -> None:
    with Engine(settings) as engine:
        assert engine.load(TEXT, pin=True).result(timeout=60).pinned
        engine.unpin(TEXT).result(timeout=60)
        assert [model.pinned for model in engine.status().models] == [False]


def test_unloading_a_model_that_there_is_not_says_so(engine: Engine) -> None:
    with pytest.raises(ModelNotFound):
        engine.unload("nope/nope").result(timeout=60)
    engine.unload(VISION).result(timeout=60)
    engine.unload(VISION).result(timeout=60)


def test_what_others_prefill_meanwhile_is_no_part_of_a_models_memory(settings: Settings) -> None:
    long = " ".join(["the cat sat on the mat"] * 400)
    with Engine(settings) as engine:
        alone = engine.load(VISION).result(timeout=60).memory_bytes
        engine.unload(VISION).result(timeout=60)
        engine.load(TEXT).result(timeout=60)
        message = Message.text(Role.USER, long)
        beside = engine.generate(GenerationRequest(TEXT, (message,), sampling=Sampling(max_tokens=300)))
        loaded = engine.load(VISION).result(timeout=60)
        beside.cancel()
    assert loaded.memory_bytes == pytest.approx(alone, rel=0.02)


def test_the_queue_moves_up_when_one_leaves_it(settings: Settings) -> None:
    with Engine(settings.model_copy(update={"max_batch": 1})) as engine:
        running = engine.generate(endless())
        next(event for event in running if isinstance(event, TextDelta))
        waiting = [engine.generate(endless()) for _ in range(3)]
        told = threading.Event()

        def watch() -> None:
            for event in waiting[2]:
                if isinstance(event, Finished) or event == Queued(1):
                    told.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        for handle in waiting[:2]:
            handle.cancel()
        assert told.wait(60)
        assert not waiting[2].done
        for handle in (running, waiting[2]):
            handle.cancel()
            try:
                handle.result()
            except EngineError as error:
                pytest.fail(error.message)
        watcher.join(60)
