"""`assay serve`: the API over an engine, without the workbench."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any

from core.engine import Engine
from core.errors import EngineClosed, EngineError
from core.launch import launched_rank
from core.log_file import log_file
from core.settings import Settings
from core.status import NoticeKind
from server.lifecycle import ApiServer
from tui.run import spare_the_collector
from tui.wire.snippets import snippets

LOOK_S = 0.1
"""How often it is looked, while the engine starts or reads a model, whether it is to stop."""
RANKS_S = 1.0
"""Under mlx.launch, how often it is looked whether all ranks are still there."""
WAKE_S = 0.2
"""How often the main thread looks whether it is to stop: a signal that the system gives to another thread does not end
its wait."""
ANEW, ANEW_WITHIN_S = 2, 600.0
"""How often an engine that dies is started anew within how many seconds: what kills it each time would go on to."""


HIDDEN_KEY = "YOUR_KEY"
"""What stands for the key in examples that go to a file, where it would outlive its reader."""


def _say(text: str) -> None:
    """Progress goes to standard error: standard output holds nothing but the address."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def serve_until_stopped(settings: Settings, models: Sequence[str], drain_s: float) -> None:
    """Serve until SIGINT or SIGTERM; a second ends it without the drain. The address is printed once it answers.

    An engine that dies is started anew, ANEW times at most. Raises EngineClosed when it cannot be started or has died
    once more, under mlx.launch when a rank is lost; EngineError when a model cannot be loaded or the address is taken.
    """
    stop = threading.Event()
    hurry = threading.Event()
    died = threading.Event()

    def on_signal(*_: object) -> None:  # sets nothing that the main thread waits for: it could hold that one's lock
        (hurry if stop.is_set() else stop).set()

    # Other ranks are waited for with Python's lock held: until all are there, only what ends at once can be heard.
    launched = launched_rank() is not None
    _on_end(signal.SIG_DFL if launched else on_signal)
    engine = Engine(settings)
    engine.listen(lambda notice: died.set() if notice.kind is NoticeKind.ENGINE_DIED else None)
    for note in engine.catalog.notes():
        _say(note)
    for model in models:
        engine.catalog.get(model)
    server = ApiServer(engine, settings)
    url = server.start()  # first: a wrong name or a taken port is said before MLX has been imported
    try:
        if stop.is_set():
            return  # to start what is then ended takes seconds
        with engine:
            # Models are not loaded then: what they are made of has to be found when they are unloaded.
            engine.ready().add_done_callback(lambda _: spare_the_collector())
            if launched:
                engine.ready().result()
                _on_end(on_signal)
            _until(engine.ready(), stop)
            for model in models:
                _load(engine, model, stop)
            if not stop.is_set():
                print(url, flush=True)  # noqa: T201
                _say(f"Errors of requests are in {log_file(settings.data_dir)}, under their ids.")
                _announce(url, server.key, models[0] if models else _first_model(engine))
            _keep_up(engine, models, stop, died)
            live = len(server.record.live)
            if live:
                _say(f"Waiting up to {drain_s:g} s for {live} running; ctrl+c again ends them at once.")
            server.stop(drain_s, hurry)
    finally:
        server.stop()


def _keep_up(engine: Engine, models: Sequence[str], stop: threading.Event, died: threading.Event) -> None:
    """Until it is to stop, start the engine anew when it dies. Raises EngineClosed when it dies too often."""
    launched = launched_rank() is not None
    deaths: deque[float] = deque(maxlen=ANEW)
    while not stop.is_set():
        if not died.wait(RANKS_S if launched else WAKE_S) and not launched:
            continue
        died.clear()
        try:
            engine.ready()
        except EngineClosed:
            if launched:
                raise
            now = time.monotonic()
            if len(deaths) == ANEW and now - deaths[0] < ANEW_WITHIN_S:
                raise EngineClosed(
                    f"The engine has died: {engine.failure} It was started anew {ANEW} times within the last "
                    f"{ANEW_WITHIN_S / 60:g} minutes, and is not once more. What stands above says where it failed."
                ) from None
            deaths.append(now)
            _say(f"The engine has died: {engine.failure} It is started anew.")
            _start_anew(engine, models, stop)


def _start_anew(engine: Engine, models: Sequence[str], stop: threading.Event) -> None:
    """With the models that were asked for at the start; others come when a request names them."""
    try:
        _until(engine.start().ready(), stop)
        for model in models:
            _load(engine, model, stop)
        _say("The engine answers again.")
    except EngineClosed:
        return  # it has died again, which is looked at next
    except EngineError as error:
        _say(error.message)


def _until(future: Future[Any], stop: threading.Event) -> None:
    """Wait for a future, unless it is to stop before that is done. Raises what it raises."""
    while not stop.is_set():
        done, _ = wait([future], LOOK_S)
        if done:
            future.result()
            return


def _load(engine: Engine, model: str, stop: threading.Event) -> None:
    """Load a model, unless it is to stop before that is done."""
    loading = engine.load(model)
    _until(loading, stop)
    if loading.done():
        loaded = loading.result()
        _say(f"Loaded {loaded.id} in {loaded.load_s:.1f} s.")


def _on_end(handler: Callable[..., None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _first_model(engine: Engine) -> str:
    return next((info.id for info in engine.catalog.list() if not info.problem), "a-model")


def _announce(url: str, key: str | None, model: str) -> None:
    where = "`assay key` prints the key." if key else "No key is asked for."
    if key and not sys.stderr.isatty():
        key = HIDDEN_KEY
    _say(f"\nServing the OpenAI and the Anthropic protocol. {where} ctrl+c stops.\n")
    for name, text in snippets(url, key, model).items():
        if name in ("openai", "curl"):
            _say(f"# {name}\n{text}")
