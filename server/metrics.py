"""GET /metrics: what the server has done and is at, in Prometheus's text format.

Counters go on while the API is switched off and on. Labels are ids of models on this machine, never names that a client
made up, so that their number is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from core.status import EngineStatus, Notice, NoticeKind
from core.text_safety import escaped
from server.wire import WireEntry, WireRecord, WireState

if TYPE_CHECKING:
    from core.engine import Engine

FIRST_TOKEN_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 600)
TOKEN_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
REQUEST_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 600, 1800)
"""Bounds of the histograms' buckets, in seconds."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each counter, of which nobody makes anything
router = APIRouter()


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Everything, in the format that the scraper asks for: OpenMetrics or Prometheus's own."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(request.app.state.metrics.registry), media_type=media_type)


class Metrics:
    """Counts what the record and the engine report; `close` ends that."""

    def __init__(self, engine: Engine, record: WireRecord) -> None:
        self.registry = own = CollectorRegistry()
        self._requests = Counter(
            "assay_requests", "Requests that have ended.", ("protocol", "model", "outcome", "status"), registry=own
        )
        self._prompt = Counter("assay_prompt_tokens", "Tokens of prompts.", ("model",), registry=own)
        self._cached = Counter(
            "assay_prompt_tokens_cached", "Tokens of prompts that were known from before.", ("model",), registry=own
        )
        self._hits = Counter("assay_cache_hits", "Requests of whose prompt a part was known.", ("model",), registry=own)
        self._completion = Counter("assay_completion_tokens", "Tokens of answers.", ("model",), registry=own)
        self._first = Histogram(
            "assay_time_to_first_token_seconds",
            "From a request to the first token of its answer.",
            ("model",),
            buckets=FIRST_TOKEN_S,
            registry=own,
        )
        self._between = Histogram(
            "assay_inter_token_seconds", "Between two tokens of an answer.", ("model",), buckets=TOKEN_S, registry=own
        )
        self._whole = Histogram(
            "assay_request_seconds", "From a request to its end.", ("model",), buckets=REQUEST_S, registry=own
        )
        self._loads = Counter("assay_model_loads", "Models brought into memory.", ("model",), registry=own)
        self._failed = Counter("assay_model_load_failures", "Models that did not load.", ("model",), registry=own)
        self._unloads = Counter("assay_model_unloads", "Models freed, not by eviction.", ("model",), registry=own)
        self._evictions = Counter("assay_model_evictions", "Models freed for others.", ("model",), registry=own)
        own.register(_Now(engine))
        between = lru_cache(lambda model: self._between.labels(_label(model)))  # it is asked for each token
        record.on_token = lambda model, seconds: between(model).observe(seconds)
        self._ends = (record.listen(self._reported), engine.listen(self._noticed))

    def close(self) -> None:
        for end in self._ends:
            end()

    def _reported(self, entry: WireEntry) -> None:
        """Fold an entry in when it has ended. A model's name is the client's until it is generated with."""
        if not entry.state.over:
            return
        model = _label(entry.model)
        outcome = "ok" if entry.state is WireState.DONE else entry.state.value
        self._requests.labels(entry.protocol, model, outcome, str(entry.status or "")).inc()
        if not model:
            return
        self._prompt.labels(model).inc(entry.prompt_tokens)
        self._cached.labels(model).inc(entry.cached_tokens)
        self._hits.labels(model).inc(bool(entry.cached_tokens))
        self._completion.labels(model).inc(entry.completion_tokens)
        self._whole.labels(model).observe(entry.duration_s)
        if entry.ttft_s is not None:
            self._first.labels(model).observe(entry.ttft_s)

    def _noticed(self, notice: Notice) -> None:
        counter = {
            NoticeKind.MODEL_READY: self._loads,
            NoticeKind.MODEL_FAILED: self._failed,
            NoticeKind.MODEL_UNLOADED: self._evictions if notice.evicted else self._unloads,
        }.get(notice.kind)
        if counter is not None and notice.model:
            counter.labels(_label(notice.model)).inc()


class _Now(Collector):
    """What the engine is at when it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        status = self._engine.status()
        yield GaugeMetricFamily("assay_up", "Whether the engine works.", float(status.alive))
        queue = GaugeMetricFamily("assay_queue_requests", "Requests, of all faces.", labels=("state",))
        for state, count in (("running", status.running), ("waiting", status.waiting)):
            queue.add_metric((state,), count)
        yield queue
        memory = GaugeMetricFamily("assay_memory_bytes", "Memory as MLX counts it.", labels=("kind",))
        for kind, size in _memory(status).items():
            memory.add_metric((kind,), size)
        yield memory
        held = GaugeMetricFamily("assay_model_memory_bytes", "What a model takes.", labels=("model", "state"))
        requests = GaugeMetricFamily("assay_model_requests", "A model's requests.", labels=("model", "state"))
        for model in status.models:
            name = _label(model.id)
            held.add_metric((name, model.state.value), model.memory_bytes)
            requests.add_metric((name, "running"), model.running)
            requests.add_metric((name, "waiting"), model.waiting)
        yield held
        yield requests


def _label(model: str) -> str:
    """A model's id as it is printed: a folder's name may steer the terminal of whoever looks at the figures."""
    return escaped(model, newlines=True)


def _memory(status: EngineStatus) -> dict[str, int]:
    return {
        "active": status.active_memory,
        "kept": status.kept_memory,
        "cache": status.cache_memory,
        "peak": status.peak_memory,
        "budget": status.memory_budget,
        "kept_on_disk": status.kept_on_disk,
    }
