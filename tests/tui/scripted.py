"""An engine that answers from a script, so that screens are the same every time. It loads no library and no model."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    Prefill,
    TextDelta,
    Timing,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.catalog import MemoryEstimate, ModelInfo, ModelKind
from core.errors import EngineClosed, EngineError, ModelNotFound, UnsupportedInput
from core.media.images import ImageData, check_image
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState, Notice, NoticeKind
from server.wire import WireRecord

MB = 1_000_000


def model(id: str, kind: ModelKind, size: int, **known: object) -> ModelInfo:
    fields: dict[str, object] = {
        "path": Path("/models") / id,
        "source": "cache",
        "family": "qwen3",
        "parameters": size * 2,
        "quantisation": "4-bit",
        "context_length": 32_768,
        "size_bytes": size,
        "revision": f"{zlib.crc32(id.encode()):08x}",
        "memory": MemoryEstimate(size, 10_000, size // 4),
    }
    return ModelInfo(id=id, kind=kind, **{**fields, **known})  # type: ignore[arg-type]


MODELS = [
    model(
        "pocket/gemma3",
        ModelKind.VISION,
        4 * MB,
        source="pocket",
        family="gemma3",
        images=True,
        summary="The larger of the tiny vision models: the same skills, more of them right.",
    ),
    model(
        "pocket/qwen2-vl",
        ModelKind.VISION,
        3 * MB,
        source="pocket",
        family="qwen2_vl",
        images=True,
        summary="A tiny vision model: names shapes and colours, compares two images, reads short texts.",
    ),
    model(
        "pocket/qwen3",
        ModelKind.TEXT,
        2 * MB,
        source="pocket",
        tools=True,
        thinking=True,
        summary="A tiny chat model: calls tools, thinks aloud, knows capitals, translates short sentences.",
    ),
    model("mlx-community/Qwen2-VL-2B-Instruct-4bit", ModelKind.VISION, 1_250 * MB, family="qwen2_vl", images=True),
    model("mlx-community/gemma-3-27b-it-4bit-DWQ", ModelKind.VISION, 16_800 * MB, family="gemma3", images=True),
    model("mlx-community/Qwen3-0.6B-4bit-DWQ", ModelKind.TEXT, 335 * MB, tools=True, thinking=True),
    model("mlx-community/bge-small-en-v1.5-4bit", ModelKind.EMBEDDINGS, 24 * MB, family="bert", context_length=512),
    model(
        "someone/half-downloaded-7b",
        ModelKind.TEXT,
        900 * MB,
        family="llama",
        problem="incomplete: missing shard model-00002-of-00003.safetensors",
    ),
]


class ScriptedCatalog:
    """The models above, or those it is given."""

    def __init__(self, models: Sequence[ModelInfo] = MODELS) -> None:
        self.models = list(models)
        self.refreshed = 0
        self.absent: tuple[str, ...] = ()

    def list(self) -> list[ModelInfo]:
        return list(self.models)

    def notes(self) -> tuple[str, ...]:
        return self.absent

    def refresh(self) -> list[ModelInfo]:
        self.refreshed += 1
        return list(self.models)

    def get(self, model_id: str) -> ModelInfo:
        for info in self.models:
            if info.id == model_id:
                return info
        raise ModelNotFound(f"There is no model {model_id} on disk.")


def finished(
    reason: FinishReason = FinishReason.STOP, prompt: int = 131, tokens: int = 24, ttft: float = 0.21, tps: float = 92.0
) -> Finished:
    timing = Timing(prefill_s=ttft, ttft_s=ttft, decode_s=tokens / tps, total_s=ttft + tokens / tps, decode_tps=tps)
    return Finished(reason, Usage(prompt_tokens=prompt, completion_tokens=tokens), timing)


def answer(text: str, **figures: float) -> list[Event]:
    """A plain answer, a word a token."""
    words = text.split(" ")
    pieces = [word if index == 0 else " " + word for index, word in enumerate(words)]
    return [
        Prefill(131, 131),
        *(TextDelta(piece) for piece in pieces),
        finished(tokens=len(pieces) + 1, **figures),  # type: ignore[arg-type]
    ]


@dataclass
class ScriptedEngine:
    """`script` maps a request to its events. With `held`, events wait until `release` or `release_all`."""

    script: Callable[[GenerationRequest], list[Event] | EngineError] = lambda request: answer("It is a red square.")
    catalog: ScriptedCatalog = field(default_factory=ScriptedCatalog)
    held: bool = False
    load_errors: dict[str, EngineError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = Settings()
        self.figures = None
        self.machine = ""
        self.requests: list[GenerationRequest] = []
        self.generations: list[Generation] = []
        self.closed = False
        self.alive = True
        self.starts = 0
        self._waiting: dict[str, list[Event]] = {}
        self._errors: dict[str, EngineError] = {}
        self._models: dict[str, LoadedModel] = {}
        self._listeners: list[Callable[[Notice], None]] = []
        self._lock = threading.Lock()

    def start(self) -> ScriptedEngine:
        self.starts += 1
        self.alive = True
        return self

    def die(self, why: str) -> None:
        """End as an engine does whose thread has died."""
        self.alive = False
        self._models.clear()
        for generation in self.generations:
            generation.fail(EngineClosed(f"The engine has died: {why} Start it again."))
        for listener in list(self._listeners):
            listener(Notice(NoticeKind.ENGINE_DIED, message=why))

    def close(self, drain_s: float = 0.0) -> None:
        self.closed = True
        for generation in self.generations:
            generation.cancel()

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def status(self) -> EngineStatus:
        models = tuple(self._models.values())
        used = sum(entry.memory_bytes for entry in models)
        running = sum(not generation.done for generation in self.generations)
        return EngineStatus(
            self.alive,
            "cpu",
            models,
            running=running,
            active_memory=used,
            peak_memory=used,
            memory_budget=24_000 * MB,
            machine=self.machine,
        )

    def _tell(self, kind: NoticeKind, model_id: str | None = None) -> None:
        for listener in list(self._listeners):
            listener(Notice(kind, model_id))

    def put_in_memory(self, model_id: str, **known: object) -> LoadedModel:
        """Have a model loaded, without a future."""
        info = self.catalog.get(model_id)
        entry = LoadedModel(
            model_id, ModelState.READY, memory_bytes=int(info.size_bytes * 1.1), load_s=0.4, loads=1, **known
        )  # type: ignore[arg-type]
        self._models[model_id] = entry
        self._tell(NoticeKind.MODEL_READY, model_id)
        return entry

    def load(self, model_id: str, *, pin: bool = False) -> Future[LoadedModel]:
        future: Future[LoadedModel] = Future()
        if model_id in self.load_errors:
            future.set_exception(self.load_errors[model_id])
            return future
        entry = self._models.get(model_id) or self.put_in_memory(model_id)
        self._models[model_id] = replace(entry, pinned=entry.pinned or pin)
        self._tell(NoticeKind.MODEL_READY, model_id)
        future.set_result(self._models[model_id])
        return future

    def unpin(self, model_id: str) -> Future[None]:
        self._models[model_id] = replace(self._models[model_id], pinned=False)
        self._tell(NoticeKind.STATUS, model_id)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def ready(self) -> Future[None]:
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def unload(self, model_id: str, *, cancel: bool = False) -> Future[None]:
        self._models.pop(model_id, None)
        self._tell(NoticeKind.MODEL_UNLOADED, model_id)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def generate_all(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        return [self.generate(request) for request in requests]

    def generate(self, request: GenerationRequest) -> Generation:
        info = self.catalog.get(request.model)
        if request.images and not info.images:
            raise UnsupportedInput(
                f"{info.id} is a text model and takes no images. Choose a vision model, such as pocket/qwen2-vl."
            )
        events = self.script(request)
        self.requests.append(request)
        self.put_in_memory(request.model)
        generation = Generation(request, self._cancelled)
        self.generations.append(generation)
        if isinstance(events, EngineError):
            self._waiting[request.id] = []
            self._errors[request.id] = events
        else:
            self._waiting[request.id] = list(events)
        if not self.held:
            self.release_all()
        return generation

    def _cancelled(self, generation: Generation) -> None:
        generation.feed(finished(FinishReason.CANCELLED, tokens=3))

    def release(self, count: int = 1) -> None:
        """Let the next events of the newest generation through."""
        generation = self.generations[-1]
        events = self._waiting[generation.id]
        for event in events[:count]:
            generation.feed(event)
        del events[:count]
        if not events and generation.id in self._errors:
            generation.fail(self._errors.pop(generation.id))

    def release_all(self) -> None:
        """Let every event of the newest generation through."""
        self.release(10**9)


class ScriptedServer:
    """Stands where ApiServer stands; listens nowhere. Starting and stopping wait for `may_go`."""

    def __init__(self) -> None:
        self.record = WireRecord(evidence_bytes=1_000_000)
        self.key: str | None = "assay-scripted-key"
        self.started_on: list[int | None] = []
        self.stopped = 0
        self.error: EngineError | None = None
        self.may_go = threading.Event()
        self.may_go.set()

    def start(self, port: int | None = None) -> str:
        self.started_on.append(port)
        assert self.may_go.wait(20)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return f"http://127.0.0.1:{port or 8484}"

    def stop(self, drain_s: float = 0.0) -> None:
        self.stopped += 1
        assert self.may_go.wait(20)


def picture(name: str, draw: Callable[[object], None] | None = None, colour: str = "white") -> ImageData:
    """A 64 x 64 PNG."""
    import io

    from PIL import Image, ImageDraw

    image = Image.new("RGB", (64, 64), colour)
    if draw is not None:
        draw(ImageDraw.Draw(image))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return check_image(buffer.getvalue(), name)


def red_square() -> ImageData:
    return picture("red_square.png", lambda pen: pen.rectangle((16, 16, 48, 48), fill="red"))  # type: ignore[attr-defined]


def blue_circle() -> ImageData:
    return picture("blue_circle.png", lambda pen: pen.ellipse((16, 16, 48, 48), fill="blue"))  # type: ignore[attr-defined]


def model_ids(requests: Sequence[GenerationRequest]) -> set[str]:
    return {request.model for request in requests}


def golden_answers(request: GenerationRequest) -> list[Event]:
    """Right everywhere but for the case of the letters, which the full tier minds."""
    tps = 31 if "gemma" in request.model else 92
    seen = [SEEN[Path(image.name).stem] for image in request.images]
    prompt = request.messages[-1].plain_text
    if "image" in prompt:
        return answer(" and ".join(seen) or "I see no image.", tps=tps)
    if request.tools:
        call = [ToolCallStart(0, "call_1", "get_weather"), ToolCallDelta(0, '{"location": "Tokyo"}')]
        return [Prefill(131, 131), *call, finished(FinishReason.TOOL_CALLS, tokens=20, tps=tps)]
    if "secret" in prompt:
        return answer("The word is café." if len(request.messages) > 1 else "I was told none.", tps=tps)
    if "Count" in prompt:
        return [Prefill(131, 131), TextDelta("1, 2, 3"), finished(FinishReason.LENGTH, tokens=8, tps=tps)]
    if "story" in prompt:
        return answer(f"Once upon a time there were {request.sampling.seed} cats.", tps=tps)
    return answer(next(text for word, text in SAID.items() if word in prompt), tps=tps)


SEEN = {"red_square": "A red square", "blue_circle": "A blue circle", "text_sample": "hello mlx"}
SAID = {"capital": "Paris.", "Translate": "Le chat s'est assis sur le tapis.", "Hello": "Hello! How can I help?"}
