"""What goes wrong, one thing after the other: clients that leave, floods, hostile requests, faults of the server."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from tests.server.serving import chat
from tests.soak.load import ANTHROPIC, COUNT, OPENAI, ask, client, told, words
from tests.soak.place import BAD, LONG, TEXT, Gone, Place
from tests.soak.tally import Answer, Tally

CONNECTIONS = 150
MORE = 20
"""Requests of a flood beyond the places in the queue, of which some are answered meanwhile."""
JSON = {"content-type": "application/json"}


def _bodies() -> list[tuple[str, bytes, dict[str, str]]]:
    """What nobody should send: each gets an error of its own."""
    good = chat(TEXT, "Hi")
    deep = b'{"model": "x", "messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    many = json.dumps(good | {"messages": [{"role": "user", "content": "a"}] * 50_000}).encode()
    fields = json.dumps(good | {f"field{number}": number for number in range(50_000)}).encode()
    return [
        (OPENAI, b"{", JSON),
        (OPENAI, b"\xff\xfe{}", JSON),
        (OPENAI, deep, JSON),
        (OPENAI, many, JSON),
        (OPENAI, fields, JSON),
        (OPENAI, json.dumps(good | {"model": "m" * 2_000_000}).encode(), JSON),
        (OPENAI, json.dumps(good | {"max_tokens": "many"}).encode(), JSON),
        (OPENAI, b'{"model": "x", "messages": [], "seed": ' + b"9" * 5_000 + b"}", JSON),
        (OPENAI, json.dumps(good).encode(), {"content-type": "text/plain"}),
        (OPENAI, json.dumps(good).encode(), JSON | {"content-encoding": "gzip"}),
        (ANTHROPIC, json.dumps({"model": TEXT, "messages": "none"}).encode(), JSON),
        (COUNT, json.dumps({"model": "../../etc/passwd", "messages": []}).encode(), JSON),
        ("/v1/embeddings", json.dumps({"model": TEXT, "input": [[1, 2]]}).encode(), JSON),
        ("/v1/audio/transcriptions", b"--x\r\n", {"content-type": "multipart/form-data; boundary=x"}),
    ]


class Faults:
    """Has each of them in turn until it is told to stop."""

    def __init__(self, place: Place, tally: Tally, pause_s: float) -> None:
        self._place = place
        self._tally = tally
        self._pause_s = pause_s
        self._stop, self._go, self._round = threading.Event(), threading.Event(), threading.Event()
        self._resting = threading.Event()
        self._bodies = _bodies()
        self._died_in = 0
        self._thread = threading.Thread(target=self._run)
        self.each: tuple[Callable[[], None], ...] = (
            *(self.drop, self.flood_connections, self.raises, self.hostile_bodies, self.unload, self.slow_load),
            *(self.pin, self.hold, self.flood_requests, self.toggle, self.die),
        )
        if place.size is LONG:  # seconds of a processor, and a test of its own has it
            self.each += (self.template,)

    def start(self) -> None:
        """Begin."""
        self._go.set()
        self._thread.start()

    def rest(self) -> None:
        """Let the one at hand end, and have no other. Blocks."""
        self._go.clear()
        self._resting.wait(120)

    def go_on(self) -> None:
        """Have faults again."""
        self._resting.clear()
        self._go.set()

    def stop(self) -> None:
        """End. Blocks."""
        self._stop.set()
        self._go.set()
        self._thread.join(120)

    def wait(self, timeout_s: float) -> bool:
        """Wait until each has come once."""
        return self._round.wait(timeout_s)

    def _run(self) -> None:
        order = list(self.each)
        while not self._stop.is_set():
            for fault in order:
                if not self._go.is_set():
                    self._resting.set()
                    self._go.wait()
                if self._stop.is_set():
                    return
                began = time.monotonic()
                try:
                    fault()
                except Gone:
                    self._place.broken.append(f"The server was gone when it was to have the fault {fault.__name__}.")
                except httpx.HTTPError as error:
                    if not self._place.away(time.monotonic() - 5, time.monotonic()):
                        self._place.broken.append(f"{fault.__name__}: {type(error).__name__}: {error}")
                self._place.took(fault.__name__, began)
                self._stop.wait(random.uniform(0.5, 1.5) * self._pause_s)
            self._round.set()
            random.shuffle(order)

    # -- clients ----------------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Clients that leave: before the answer, at its first words, in its middle."""
        self._place.mark("drop")
        for lines in (0, 1, 5):
            body = chat(
                random.choice(self._place.size.chats), words(self._place.size.words), max_tokens=200, stream=True
            )
            with client(self._place) as http:
                answer = ask(http, random.choice((OPENAI, ANTHROPIC)), body, lines)
            if answer is None:
                self._tally.drop("leaving")
        with client(self._place, 0.2) as http, suppress(httpx.HTTPError):
            http.post(OPENAI, json=chat(random.choice(self._place.size.chats), words(20), max_tokens=400))
        self._tally.drop("leaving")

    def flood_connections(self) -> None:
        """Connections that say half of something, or nothing."""
        self._place.mark("flood_connections")
        address = urlsplit(self._place.url)
        opened: list[socket.socket] = []
        for number in range(CONNECTIONS):
            with suppress(OSError):
                one = socket.create_connection((address.hostname, address.port), timeout=2)
                opened.append(one)
                one.sendall(
                    (b"", b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc", b"\x16\x03\x01\r\n\r\n")[number % 3]
                )
        self._stop.wait(min(self._pause_s, 1.0))
        for one in opened:
            one.close()

    def flood_requests(self) -> None:
        """More requests at once than the queue holds."""
        self._place.mark("flood_requests")

        def one(_: int) -> None:
            began = time.monotonic()
            with client(self._place) as http:
                answer = ask(http, random.choice((OPENAI, ANTHROPIC)), chat(TEXT, words(5), max_tokens=4))
            assert answer is not None
            self._tally.add("flood", began, answer)

        requests = self._place.size.queue + MORE
        with ThreadPoolExecutor(requests) as pool:
            list(pool.map(one, range(requests)))

    def hostile_bodies(self) -> None:
        """Bodies that mean nothing, or too much."""
        self._place.mark("hostile_bodies")
        for path, content, headers in self._bodies:
            began = time.monotonic()
            with client(self._place) as http:
                try:
                    response = http.post(path, content=content, headers=headers)
                    answer = Answer(response.status_code, "" if response.is_success else told(response.content))
                except httpx.HTTPError as error:
                    answer = Answer(0, f"{type(error).__name__}: {error}"[:100], cut=True)
            self._tally.add("hostile", began, answer)

    def template(self) -> None:
        """A chat template that never ends."""
        self._place.mark("template")
        began = time.monotonic()
        with client(self._place) as http:
            answer = ask(http, OPENAI, chat(BAD, "Hi"))
        assert answer is not None
        self._tally.add("template", began, answer)

    # -- the server's own -------------------------------------------------------------------------------------------

    def raises(self) -> None:
        """An exception in a step."""
        self._place.fault("raise")

    def hold(self) -> None:
        """A step that takes long."""
        self._place.fault("hold 0.5")

    def slow_load(self) -> None:
        """A model that takes long to load."""
        self._place.fault("load 1.0")
        self._place.fault(f"unload {random.choice(self._place.size.chats)}")

    def unload(self) -> None:
        """A model that goes while it answers."""
        self._place.fault(f"unload {random.choice(self._place.size.chats)}")

    def pin(self) -> None:
        """A model that no other may take the room of, for a while."""
        model = random.choice(self._place.size.chats)
        self._place.fault(f"pin {model}")
        self._stop.wait(self._pause_s)
        self._place.fault(f"unpin {model}")

    def toggle(self) -> None:
        """The API off and on again."""
        self._place.fault("toggle")

    def die(self) -> None:
        """The engine's end; once for each server, since the third in ten minutes is the server's."""
        if self._died_in != self._place.lives:
            self._died_in = self._place.lives
            self._place.fault("die")
