"""What HTTP costs: the same requests over the API, asked by a client in a process of its own, and in process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.calls.events import TextDelta
from server.lifecycle import ApiServer
from tests.benchmarks.lab import Lab, finished, request, user
from tests.benchmarks.shapes import Plan, Shape

Figures = dict[str, float]
STREAMS = 8


class Client:
    """Asks over HTTP; see http_client.py."""

    def __init__(self, url: str, key: str) -> None:
        self._address = {"url": url, "key": key}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.http_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, shape: Shape, texts: list[str], tokens: int) -> dict[str, Any]:
        """Ask all at once. Raises AssertionError where an answer has not all its tokens."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        bodies = [
            {
                "model": shape.name,
                "messages": [{"role": "user", "content": text}],
                "max_tokens": tokens,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            for text in texts
        ]
        print(json.dumps(self._address | {"bodies": bodies}), file=self._process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert told["tokens"] == tokens * len(texts), told
        return told

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


@contextmanager
def _client(lab: Lab) -> Iterator[Client]:
    """The lab's engine behind the API, and a client of it."""
    server = ApiServer(lab.engine, lab.engine.settings)
    url = server.start(0)
    client = Client(url, server.key or "")
    try:
        yield client
    finally:
        client.close()
        server.stop()


def http_one(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Tokens a second of one stream: over HTTP against in process."""
    return _throughput(lab, shape, plan, 1)


def http_eight(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """The same of eight streams at once."""
    return _throughput(lab, shape, plan, STREAMS)


def _throughput(lab: Lab, shape: Shape, plan: Plan, streams: int) -> Figures:
    """The value is the median of the rounds' ratios; the ways take turns to begin, the first is for warmth."""
    tokenizer = lab.tokenizer(shape)
    lab.load(shape)
    taken: list[tuple[float, float]] = []
    with _client(lab) as client:

        def over_http(texts: list[str]) -> float:
            return float(client.ask(shape, texts, plan.tokens)["seconds"])

        def in_process(texts: list[str]) -> float:
            began = time.perf_counter()
            generations = [lab.engine.generate(request(shape, user(text), plan.tokens)) for text in texts]
            for generation in generations:
                finished(generation)
            return time.perf_counter() - began

        for number in range(-1, plan.rounds):
            ways = (over_http, in_process) if number % 2 else (in_process, over_http)
            spent = {way: way([lab.text(tokenizer, plan.prompt) for _ in range(streams)]) for way in ways}
            if number >= 0:
                taken.append((spent[over_http], spent[in_process]))
    ratios = [inside / outside for outside, inside in taken]
    return {
        "value": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "http_tps": plan.tokens * streams / statistics.median(outside for outside, _ in taken),
        "engine_tps": plan.tokens * streams / statistics.median(inside for _, inside in taken),
    }


def http_ttft_ms(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Milliseconds by which the first token comes later over HTTP, at the median: sent and seen by the client."""
    tokenizer = lab.tokenizer(shape)
    lab.load(shape)
    outside: list[float] = []
    inside: list[float] = []
    with _client(lab) as client:
        for number in range(-2, plan.rounds):
            told = client.ask(shape, [lab.text(tokenizer, plan.prompt)], plan.tokens)["first"][0]
            began = time.perf_counter()
            generation = lab.engine.generate(request(shape, user(lab.text(tokenizer, plan.prompt)), plan.tokens))
            first = next((event for event in generation if isinstance(event, TextDelta)), None)
            waited = time.perf_counter() - began
            generation.wait()
            if number >= 0 and told:  # random weights may say nothing but halves of characters
                outside.append(told * 1e3)
            if number >= 0 and first is not None:
                inside.append(waited * 1e3)
    return {
        "value": statistics.median(outside) - statistics.median(inside),
        "http_ms": statistics.median(outside),
        "engine_ms": statistics.median(inside),
    }


MEASURES = {"http_one": http_one, "http_eight": http_eight, "http_ttft_ms": http_ttft_ms}
