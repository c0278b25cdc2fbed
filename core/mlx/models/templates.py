"""Chat templates, rendered where they can be ended. They come from model folders and are programs.

Jinja's sandbox keeps a template from files and from Python's insides. It keeps none from running for ever, and what
runs in C (a power of large numbers, a string repeated a thousand million times, the hash of a nested tuple) stops every
thread of its process. So templates run in processes of their own, under limits of time, memory and text.
"""

from __future__ import annotations

import atexit
import contextlib
import marshal
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import jinja2
import markupsafe
import psutil
from jinja2.exceptions import TemplateError
from transformers.utils import chat_template_utils

from core.mlx.models import template_worker
from core.mlx.models.template_worker import ANSWER, LONG, MEMORY, REFUSED, REQUEST

T = TypeVar("T")

SECONDS = 2.0
"""Processor time of one rendering. A thousand turns take some hundredths of a second."""
PATIENCE_S = 10.0
"""Time by the clock, which runs on while a busy machine does something else."""
MEMORY_BYTES = 256 * 1024 * 1024
MEMORY_EACH = 16
"""What a rendering may hold, beside so many bytes for each byte of the conversation."""
CHARACTERS = 1024 * 1024
CHARACTERS_EACH = 16
"""What a template may write, beside so many characters for each byte of the conversation."""

PROCESSES = 4
"""Templates that are rendered at once: one that does not end holds up no other model's."""
KEPT = 1
"""Processes that wait for the next; each takes about 15 MB."""
LARGE = 4 * 1024 * 1024
"""Bytes of a conversation, or of its text, after which a process is not used again: it would keep their memory."""

_LOOK_S = 0.02
"""How often a process at work is looked at: Linux holds it to its memory by itself, macOS does not."""
_AT_ONCE_S = 0.05
_MOMENT_S = 0.001
"""How long `aside` waits for what is quick, and then between two steps of the others."""
_ENVIRONMENT = ("TZ", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What a process is told of the environment, in which keys may stand: the time zone and where libraries lie."""


Stopped = dict[tuple[str, str], str]
"""What was wanted of which template that reached a limit, and its words."""
_stopped: ContextVar[Stopped | None] = ContextVar("stopped", default=None)


class TemplateStopped(Exception):
    """A template reached a limit; the words say which, to follow "was stopped: it"."""


class _Process:
    """One template worker. Not safe for threads."""

    def __init__(self) -> None:
        places = {str(Path(str(library.__file__)).parents[1]) for library in (jinja2, markupsafe)}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", template_worker.__file__, *sorted(places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: bytes, memory: int, most: int) -> tuple[bytes, str]:
        """The answer's kind and words. Raises TemplateStopped; the process is of no use after that."""
        give_up = time.monotonic() + PATIENCE_S
        left = memoryview(REQUEST.pack(len(request), SECONDS, memory, most) + request)
        try:
            while left:
                self._wait(self._to, select.POLLOUT, give_up, memory)
                with contextlib.suppress(BlockingIOError):
                    left = left[os.write(self._to, left) :]
            kind, length = ANSWER.unpack(self._read(ANSWER.size, give_up, memory))
            return kind, self._read(length, give_up, memory).decode("utf-8", "surrogatepass")
        except (BrokenPipeError, EOFError):
            raise TemplateStopped(self._cause()) from None

    def kill(self) -> None:
        """End it, whatever it is at. Any thread may do that; who waits for its answer gets TemplateStopped."""
        self._process.kill()

    def end(self) -> None:
        """End it, and let its pipes go."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self, length: int, give_up: float, memory: int) -> bytes:
        pieces: list[bytes] = []
        while length:
            self._wait(self._from, select.POLLIN, give_up, memory)
            piece = os.read(self._from, min(length, 1024 * 1024))
            if not piece:
                raise EOFError
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _wait(self, pipe: int, event: int, give_up: float, memory: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(_LOOK_S * 1000):
            if time.monotonic() > give_up:
                raise TemplateStopped(f"did not end within {PATIENCE_S:g} s")
            with contextlib.suppress(psutil.Error):
                if psutil.Process(self._process.pid).memory_info().rss > memory + MEMORY_BYTES // 4:
                    raise TemplateStopped(_too_much(memory))

    def _cause(self) -> str:
        """Why it has ended by itself."""
        ended = self._process.wait()
        if ended == -signal.SIGPROF:
            return f"did not end within {SECONDS:g} s"
        return f"ended the process in which it ran (exit code {ended})"


class Renderers:
    """The processes, started when they are wanted. Safe for threads, which wait for each other beyond PROCESSES."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(PROCESSES)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()

    def start(self) -> None:
        """Have one ready: Python takes a tenth of a second to start."""
        with self._lock:
            if not self._all:
                self._idle.append(self._started())

    def ask(self, wanted: str, source: str, variables: dict[str, Any]) -> str:
        """A template rendered ("text"), or what is written in it ("literals").

        Raises TemplateError with the words of a template that refuses, TemplateStopped for one that reached a limit.
        """
        stopped = _stopped.get()
        if stopped is not None and (wanted, source) in stopped:
            raise TemplateStopped(stopped[wanted, source])
        try:
            return self._asked(wanted, source, variables)
        except TemplateStopped as error:
            if stopped is not None:
                stopped[wanted, source] = str(error)
            raise

    def _asked(self, wanted: str, source: str, variables: dict[str, Any]) -> str:
        request = marshal.dumps((wanted, source, variables))
        memory = MEMORY_BYTES + MEMORY_EACH * len(request)
        with self._places:
            process = self._take()
            keep = False
            try:
                kind, words = process.ask(request, memory, CHARACTERS + CHARACTERS_EACH * len(request))
                keep = kind != MEMORY and len(request) + len(words) < LARGE
            finally:
                self._give_back(process, keep)
        if kind == MEMORY:
            raise TemplateStopped(_too_much(memory))
        if kind == LONG:
            raise TemplateStopped(f"wrote more than {CHARACTERS + CHARACTERS_EACH * len(request):,} characters")
        if kind == REFUSED:
            raise TemplateError(words)
        return words

    def close(self) -> None:
        """End all of them; those who wait for an answer get TemplateStopped. The next `ask` starts a new one."""
        with self._lock:
            idle, busy = self._idle, self._all.difference(self._idle)
            self._all, self._idle = set(), []
        for process in busy:
            process.kill()  # who waits for it ends it
        for process in idle:
            process.end()

    def _started(self) -> _Process:
        made = _Process()
        self._all.add(made)
        return made

    def _take(self) -> _Process:
        with self._lock:
            while self._idle:
                if (process := self._idle.pop()).alive:
                    return process
                self._all.discard(process)
                process.end()
            return self._started()

    def _give_back(self, process: _Process, keep: bool) -> None:
        with self._lock:
            keep = keep and len(self._idle) < KEPT and process in self._all
            if keep:
                self._idle.append(process)
            else:
                self._all.discard(process)
        if not keep:
            process.end()


renderers = Renderers()
atexit.register(renderers.close)

_compile = chat_template_utils._compile_jinja_template


class _Elsewhere:
    """A template as transformers holds one, but for the place where it is rendered."""

    def __init__(self, source: str) -> None:
        self._source = source

    def render(self, **variables: Any) -> str:
        return renderers.ask("text", self._source, variables)

    @cached_property
    def environment(self) -> Any:
        """For those who parse a template, which does not run it."""
        return _compile("").environment


def install() -> None:
    """Have transformers render every chat template in a process of its own."""
    chat_template_utils._compile_jinja_template = _Elsewhere


def literals(source: str) -> str:
    """What a template writes of itself, and the strings in it, a line for each. Raises as `Renderers.ask` does."""
    return renderers.ask("literals", source, {})


def on_trial(stopped: Stopped, work: Callable[[], T]) -> T:
    """Run `work`, which tries templates out; one that is among the `stopped`, or comes to be, is not tried again."""
    token = _stopped.set(stopped)
    try:
        return work()
    finally:
        _stopped.reset(token)


def aside(work: Callable[[], T]) -> Generator[None, None, T]:
    """Run `work` on a thread of its own and yield until it is done. It must hold nothing that MLX has made.

    Something quick is waited for. Raises what `work` raises.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="assay-aside", daemon=True).start()
    wait((future,), _AT_ONCE_S)
    while not future.done():
        yield
        wait((future,), _MOMENT_S)
    return future.result()


def finished(steps: Generator[Any, None, T]) -> T:
    """What `steps` return, all of them taken at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def _too_much(memory: int) -> str:
    return f"took more than {memory / 1e6:,.0f} MB of memory"
