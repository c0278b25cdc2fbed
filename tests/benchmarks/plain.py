"""The bare libraries as people have them: in a process of their own, with the BLAS that MLX's wheel carries."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.benchmarks.lab import BareText, BareVision, Speed

TIMEOUT_S = 600.0
"""Seconds for a load or a run: the reference BLAS reads a long prompt slowly."""


class Plain:
    """One bare model in another process. `close` ends it."""

    def __init__(self, kind: type[BareText] | type[BareVision], path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, kind, path), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    def speed(self, method: str, *arguments: Any) -> Speed:
        """The speed of one call of the model's method, which returns how many tokens it made."""
        self._ours.send((method, arguments))
        speed: Speed = self._answer()
        return speed

    def _answer(self) -> Any:
        if not self._ours.poll(TIMEOUT_S):
            raise TimeoutError(f"the bare library has not answered for {TIMEOUT_S:g} s")
        try:
            answer = self._ours.recv()
        except EOFError as error:
            self._process.join(10)
            raise RuntimeError(f"the bare library's process ended with {self._process.exitcode}") from error
        if isinstance(answer, _Failure):
            raise RuntimeError(f"the bare library's process raised {answer.what}")
        return answer

    def close(self) -> None:
        self._ours.close()  # the other side reads to the end of the pipe, and leaves
        self._process.join(10)
        self._process.kill()


@dataclass(frozen=True)
class _Failure:
    """What was raised on the other side."""

    what: str


def _serve(connection: Connection, kind: Callable[[Path], Any], path: Path) -> None:
    from transformers.utils import logging

    from tests.benchmarks.lab import speed

    logging.set_verbosity_error()
    try:
        model = kind(path)
        connection.send(None)
        while True:
            method, arguments = connection.recv()
            connection.send(speed(lambda: getattr(model, method)(*arguments)))  # noqa: B023
    except EOFError:
        return
    except Exception as error:  # as text: not every exception can be pickled
        connection.send(_Failure(f"{type(error).__name__}: {error}"))
