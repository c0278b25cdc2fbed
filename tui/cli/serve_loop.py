"""`assay serve`: the API over an engine, without the workbench."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait

from core.engine import Engine
from core.launch import launched_rank
from core.settings import Settings
from server.lifecycle import ApiServer
from tui.run import spare_the_collector
from tui.wire.snippets import snippets

LOOK_S = 0.1
"""How often it is looked, while a model is loaded, whether it is to stop."""
RANKS_S = 1.0
"""Under mlx.launch, how often it is looked whether all ranks are still there."""


HIDDEN_KEY = "YOUR_KEY"
"""What stands for the key in examples that go to a file, where it would outlive its reader."""


def _say(text: str) -> None:
    """Progress goes to standard error: standard output holds nothing but the address."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def serve_until_stopped(settings: Settings, models: Sequence[str], drain_s: float) -> None:
    """Serve until SIGINT or SIGTERM; a second ends it without the drain. The address is printed once ready.

    Raises EngineError when a model cannot be loaded or the address is taken, and under mlx.launch when a rank is lost.
    """
    stop = threading.Event()
    hurry = threading.Event()

    def on_signal(*_: object) -> None:
        (hurry if stop.is_set() else stop).set()

    # Other ranks are waited for with Python's lock held: until all are there, only what ends at once can be heard.
    launched = launched_rank() is not None
    _on_end(signal.SIG_DFL if launched else on_signal)
    engine = Engine(settings)
    for note in engine.catalog.notes():
        _say(note)
    for model in models:
        engine.catalog.get(model)
    server = ApiServer(engine, settings)
    url = server.start()  # first: a wrong name or a taken port is said before MLX has been imported
    try:
        with engine:
            # Models are not loaded then: what they are made of has to be found when they are unloaded.
            engine.ready().add_done_callback(lambda _: spare_the_collector())
            if launched:
                engine.ready().result()
                _on_end(on_signal)
            for model in models:
                _load(engine, model, stop)
            if not stop.is_set():
                print(url, flush=True)  # noqa: T201
                _announce(url, server.key, models[0] if models else _first_model(engine))
            while not stop.wait(RANKS_S if launched else None):
                engine.ready()
            live = len(server.record.live)
            if live:
                _say(f"Waiting up to {drain_s:g} s for {live} running; ctrl+c again ends them at once.")
            _drain(server, drain_s, hurry)
    finally:
        server.stop()


def _load(engine: Engine, model: str, stop: threading.Event) -> None:
    """Load a model, unless it is to stop before that is done."""
    loading = engine.load(model)
    while not stop.is_set():
        done, _ = wait([loading], LOOK_S)
        if done:
            loaded = loading.result()
            _say(f"Loaded {loaded.id} in {loaded.load_s:.1f} s.")
            return


def _on_end(handler: Callable[..., None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _drain(server: ApiServer, drain_s: float, hurry: threading.Event) -> None:
    """Stop the server, and cut the drain short on a second signal."""
    ended = threading.Event()

    def cut_short() -> None:
        hurry.wait()
        while not ended.wait(0.1):
            server.record.kill_all()

    threading.Thread(target=cut_short, name="assay-hurry", daemon=True).start()
    try:
        server.stop(drain_s)
    finally:
        ended.set()
        hurry.set()


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
