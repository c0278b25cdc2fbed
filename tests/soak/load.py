"""The clients: streams in both protocols, whole answers, embeddings, images, counts of tokens, golden prompts."""

from __future__ import annotations

import base64
import io
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from PIL import Image

from core.catalog import Catalog
from core.golden.models import from_server
from core.golden.plan import RunOptions, make_plan
from core.golden.reading import load_suite
from core.golden.results import Status, Verdict
from core.golden.routes.http import HttpRoute
from core.golden.routes.openai import OpenAI
from core.golden.run import GoldenRun
from core.golden.suite import BUILTIN
from core.settings import Settings
from tests.server.serving import chat
from tests.soak.place import EMBEDS, TEXT, Place, Size
from tests.soak.tally import Answer, End, Tally

WORDS = ("cat", "dog", "mat", "red", "small", "stone", "bridge", "tree", "sat", "ran", "on", "the", "every", "while")
OPENAI, ANTHROPIC, COUNT = "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"
PATIENCE_S = 90.0


def client(place: Place, timeout_s: float = PATIENCE_S) -> httpx.Client:
    """A client with the key. Its connections are its own: one that is kept could be closed as a request is sent."""
    return httpx.Client(
        base_url=place.url,
        headers={"x-api-key": place.key},
        timeout=timeout_s,
        limits=httpx.Limits(max_keepalive_connections=0),
        verify=False,  # certificates take a while to read, and nobody shows one
        trust_env=False,
    )


def words(count: int) -> str:
    """A text that nobody sent before."""
    return " ".join(random.choices(WORDS, k=count))


def picture() -> str:
    """A picture that nobody sent before, as a data URI."""
    image = Image.new("RGB", (random.randint(40, 160), random.randint(40, 160)), tuple(random.randbytes(3)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def ask(http: httpx.Client, path: str, body: dict[str, Any], lines: int | None = None) -> Answer | None:
    """Send a body and read what comes; None after as many `lines` as the client had wanted to see."""
    status = 0
    try:
        with http.stream("POST", path, json=body) as response:
            status = response.status_code
            if status != 200 or not body.get("stream"):
                return Answer(status, "" if status == 200 else told(response.read()))
            return _stream(path, response.iter_lines(), lines)
    except httpx.TimeoutException:
        return Answer(status, f"no end within {PATIENCE_S:g} s")
    except httpx.HTTPError as error:
        return Answer(status, "" if status else str(error)[:100], cut=True)


def _stream(path: str, lines: Iterator[str], most: int | None) -> Answer | None:
    """Read a stream to its end: the protocol's own, or an error event."""
    whole = False
    for count, line in enumerate(lines):
        if most is not None and count >= most:
            return None
        if line.startswith("data: ") and '"error"' in line[:40]:
            return Answer(200, told(line.removeprefix("data: ").encode()))
        whole = whole or line in ("data: [DONE]", "event: message_stop")
    return Answer(200, cut=not whole)


def told(body: bytes) -> str:
    """The code and the sentence of an error's body, in either protocol."""
    try:
        error = json.loads(body)["error"]
        return f"{error.get('code') or error['type']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"no error of a protocol: {body[:100]!r}"


def openai_stream(http: httpx.Client, size: Size) -> Answer | None:
    return ask(http, OPENAI, _stream_of(size))


def anthropic_stream(http: httpx.Client, size: Size) -> Answer | None:
    return ask(http, ANTHROPIC, _stream_of(size))


def _stream_of(size: Size) -> dict[str, Any]:
    asked, tokens = words(random.randint(5, size.words)), random.randint(4, size.tokens)
    return chat(random.choice(size.chats), asked, max_tokens=tokens, stream=True)


def whole(http: httpx.Client, size: Size) -> Answer | None:
    path = random.choice((OPENAI, ANTHROPIC))
    return ask(http, path, chat(random.choice(size.chats), words(20), max_tokens=random.randint(4, size.tokens)))


def images(http: httpx.Client, size: Size) -> Answer | None:
    pictures = [picture() for _ in range(random.randint(1, 3))]
    parts = [{"type": "image_url", "image_url": {"url": one}} for one in pictures]
    asked = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}
    stream, model = random.random() < 0.5, random.choice([name for name in size.chats if name != TEXT])
    return ask(http, OPENAI, {"model": model, "messages": [asked], "max_tokens": 8, "stream": stream})


def embeddings(http: httpx.Client, size: Size) -> Answer | None:
    texts = [words(random.randint(3, 40)) for _ in range(random.randint(1, 8))]
    return ask(http, "/v1/embeddings", {"model": EMBEDS, "input": texts})


def count(http: httpx.Client, size: Size) -> Answer | None:
    return ask(http, COUNT, chat(random.choice(size.chats), words(60)))


KINDS: tuple[Callable[[httpx.Client, Size], Answer | None], ...] = (
    *(openai_stream, openai_stream, anthropic_stream, anthropic_stream),
    *(whole, images, embeddings, count),
)
"""Streams are asked for most."""


class Load:
    """Clients that ask until they are told to stop, and rest while they are told to."""

    def __init__(self, place: Place, tally: Tally) -> None:
        self._place = place
        self._tally = tally
        self._stop, self._go = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._chat) for _ in range(place.size.clients)]
        self._threads.append(threading.Thread(target=self._golden))
        self._busy = 0
        self._lock = threading.Lock()
        self.golden: Counter[Verdict] = Counter()
        """What became of golden prompts."""

    def start(self) -> None:
        """Begin to ask."""
        self._go.set()
        for thread in self._threads:
            thread.start()

    def rest(self) -> None:
        """Let what is asked end, and ask nothing more. Blocks."""
        self._go.clear()
        give_up = time.monotonic() + 2 * PATIENCE_S
        while self._busy and time.monotonic() < give_up:
            time.sleep(0.05)

    def go_on(self) -> None:
        """Ask again."""
        self._go.set()

    def stop(self) -> None:
        """End, once what is asked has ended. Blocks."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
            if thread.is_alive():
                self._place.broken.append("A client of the load did not end.")

    def _each(self) -> Iterator[None]:
        while not self._stop.is_set():
            self._go.wait()
            with self._lock:
                self._busy += 1
            try:
                if self._go.is_set() and not self._stop.is_set():
                    yield
            finally:
                with self._lock:
                    self._busy -= 1

    def _chat(self) -> None:
        for _ in self._each():
            kind = random.choice(KINDS)
            began = time.monotonic()
            with client(self._place) as http:
                answer = kind(http, self._place.size)
            assert answer is not None
            if self._tally.add(kind.__name__, began, answer) in (End.FAILED, End.BROKEN):
                self._stop.wait(0.5)  # as a client does that tries again

    def _golden(self) -> None:
        suite = load_suite(BUILTIN)
        infos = {info.id: info for info in Catalog(Settings(data_dir=self._place.folder / "data")).list()}
        choose = from_server(self._place.size.chats, infos, {})
        for _ in self._each():
            began = time.monotonic()
            case = random.choice(suite.cases).id
            plan = make_plan(suite, choose, RunOptions(routes=("openai",), cases=(case,), controls=False, in_flight=1))
            route = HttpRoute(OpenAI(), self._place.url, self._place.key)
            for attempt in GoldenRun(plan, {"openai": route}, None).run().attempts:
                if attempt.status is not Status.SKIPPED:
                    self.golden[attempt.verdict] += 1
                    error = (attempt.error or {}).get("message", "")
                    self._tally.add("golden", began, _of_route(error))
            self._stop.wait(1.0)


def _of_route(error: str) -> Answer:
    """What a golden prompt's route says of an answer."""
    if "ended its stream before" in error:
        return Answer(200, error, cut=True)
    if error.startswith("The server broke off: "):  # an error event, with its words
        return Answer(200, error)
    if re.search("broke off|reach|onnect", error) and "HTTP" not in error:
        return Answer(0, error, cut=True)
    return Answer(429 if "queue holds" in error else 500 if error else 200, error)
