"""Waiting so that ctrl+c is heard: a signal that another thread was given does not end a wait without a limit."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import TypeVar

from core.calls.events import GenerationResult
from core.calls.generation import Generation

LOOK_S = 0.2

T = TypeVar("T")


def result_of(future: Future[T]) -> T:
    """Wait for the engine's answer. Raises what it raises."""
    while not future.done():
        wait([future], LOOK_S)
    return future.result()


def answer_of(generation: Generation) -> GenerationResult:
    """Wait for an answer. Raises the error that ended it."""
    while not generation.wait(LOOK_S):
        pass
    return generation.result()
