"""An engine that follows a script: for the faults that no real model can be made to show."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from core.calls.events import Event, Finished, FinishReason, Prefill, PromptCount, TextDelta, Timing, Usage
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.catalog import ModelInfo, ModelKind
from core.errors import EngineError, ModelNotFound
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState, Notice

Script = Callable[["Play"], None]

END = Finished(FinishReason.STOP, Usage(prompt_tokens=7, completion_tokens=2, cached_tokens=3), Timing())
HELLO: tuple[Event, ...] = (Prefill(0, 7, 3), Prefill(7, 7, 3), TextDelta("Hel"), TextDelta("lo"), END)


class Play:
    """A script's hold on one generation."""

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.cancelled = threading.Event()
        self.over = threading.Event()
        self.generation = Generation(request, lambda _: self.cancelled.set())

    def say(self, *events: Event) -> None:
        for event in events:
            self.generation.feed(event)

    def fail(self, error: EngineError) -> None:
        self.generation.fail(error)

    def until_cancelled(self) -> None:
        """Run on until the server cancels, then end as the engine would."""
        assert self.cancelled.wait(20), "the server never cancelled"
        self.say(Finished(FinishReason.CANCELLED, Usage(7, 1), Timing()))


class ScriptedCatalog:
    def __init__(self, *ids: str) -> None:
        self.infos = {id: ModelInfo(id, Path("/none"), "folder", ModelKind.TEXT, "script") for id in ids}

    def list(self) -> list[ModelInfo]:
        return list(self.infos.values())

    refresh = list

    def notes(self) -> tuple[str, ...]:
        return ()

    def see(self, model_id: str) -> None:
        """Make it a model that takes images."""
        self.infos[model_id] = replace(self.infos[model_id], kind=ModelKind.VISION, images=True)

    def get(self, model_id: str) -> ModelInfo:
        if model_id not in self.infos:
            raise ModelNotFound(f"There is no model {model_id!r}. Did you mean {' or '.join(self.infos)}?")
        return self.infos[model_id]


class ScriptedEngine:
    """Plays `script` for each request on a thread of its own, as the engine would on the MLX thread."""

    def __init__(self, settings: Settings, script: Script | None = None) -> None:
        self.settings = settings
        self.catalog = ScriptedCatalog("toy", "a/b/c")
        self.loaded = ["toy"]
        self.script: Script = script or (lambda play: play.say(*HELLO))
        self.plays: list[Play] = []
        self.refusal: EngineError | None = None
        self.alive = True

    def generate_all(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        return [self.generate(request) for request in requests]

    def generate(self, request: GenerationRequest) -> Generation:
        if self.refusal is not None:
            raise self.refusal
        play = Play(request)
        self.plays.append(play)

        def run() -> None:
            self.script(play)
            play.over.set()

        threading.Thread(target=run, daemon=True).start()
        return play.generation

    def count_tokens(self, request: GenerationRequest) -> Future[PromptCount]:
        future: Future[PromptCount] = Future()
        future.set_result(PromptCount(7))
        return future

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        return lambda: None

    def status(self) -> EngineStatus:
        return EngineStatus(self.alive, "script", tuple(LoadedModel(id, ModelState.READY) for id in self.loaded))
