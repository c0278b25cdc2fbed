"""The queue of one model: who is admitted, who waits for what, and what they are told."""

from __future__ import annotations

import time
from collections.abc import Callable

import mlx.core as mx
import pytest

from core.calls.clock import Clock
from core.calls.events import Queued
from core.calls.generation import Generation
from core.errors import EngineClosed, GenerationFailed, OutOfMemory
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.queue import ASK_AGAIN, AdmissionQueue, Waiting
from core.mlx.decoding.reader import RequestReader
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from tests.core.mlx.decoding.conftest import generation

Read = Callable[[str], PrefillTask]


def make(weights: LoadedWeights, reader: RequestReader, store: KvStore, most_rows: int = 2) -> AdmissionQueue:
    return AdmissionQueue(weights, reader, store, most_rows, lambda error: GenerationFailed(repr(error)))


@pytest.fixture
def queue(weights: LoadedWeights, reader: RequestReader, store: KvStore) -> AdmissionQueue:
    return make(weights, reader, store)


def add(queue: AdmissionQueue, *texts: str, running: int = 0) -> list[Generation]:
    handles = [generation(text) for text in texts]
    for handle in handles:
        queue.add(handle, Clock(time.monotonic()), running)
    return handles


def places(handle: Generation) -> list[int]:
    return [event.position for event in handle.drain() if isinstance(event, Queued)]


def test_the_first_are_admitted_as_far_as_there_are_rows(queue: AdmissionQueue) -> None:
    handles = add(queue, "a", "b", "c", "d")
    tasks = queue.admit([], [])
    assert [task.row.generation for task in tasks] == handles[:2]
    assert [handle.admitted for handle in handles] == [True, True, False, False]
    assert queue.admit([], tasks) == []
    assert [task.row.generation for task in queue.admit([], tasks[1:])] == handles[2:3]
    assert len(queue) == 1
    assert places(handles[3]) == [4, 2, 1]


def test_who_is_taken_out_lets_the_others_move_up(queue: AdmissionQueue) -> None:
    handles = add(queue, "a", "b", "c", running=2)
    found = queue.remove(handles[1])
    assert isinstance(found, Waiting)
    assert found.generation is handles[1]
    assert queue.remove(handles[1]) is None
    assert [places(handle) for handle in handles] == [[1], [2], [3, 2]]


def test_a_request_that_cannot_be_read_ends_alone(
    queue: AdmissionQueue, reader: RequestReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = add(queue, "bad", "good")
    read = reader.read

    def picky(handle: Generation, clock: Clock) -> PrefillTask:
        if handle is bad:
            raise RuntimeError("no such template")
        return read(handle, clock)

    monkeypatch.setattr(reader, "read", picky)
    assert [task.row.generation for task in queue.admit([], [])] == [good]
    assert "no such template" in str(bad.error)


def test_memory_is_asked_for_again_when_a_row_has_ended_or_after_some_steps(
    weights: LoadedWeights, reader: RequestReader, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [read("a"), read("b")]
    tight = KvStore(PrefixCache(0), ImageEmbeddings(0), mx.get_active_memory())
    queue = make(weights, reader, tight, most_rows=8)
    add(queue, "c")
    asked = []
    left_beside = KvStore.left_beside
    monkeypatch.setattr(KvStore, "left_beside", lambda self, need: asked.append(need) or left_beside(self, need))
    for _ in range(ASK_AGAIN + 1):
        assert queue.admit([], running) == []
    assert len(asked) == 1
    assert queue.admit([], running) == []
    assert len(asked) == 2
    assert queue.admit([], running[1:]) == []
    assert len(asked) == 3


def test_what_no_row_can_make_room_for_is_refused(weights: LoadedWeights, reader: RequestReader) -> None:
    queue = make(weights, reader, KvStore(PrefixCache(0), ImageEmbeddings(0), mx.get_active_memory()))
    (handle,) = add(queue, "a")
    assert queue.admit([], []) == []
    assert isinstance(handle.error, OutOfMemory)
    assert len(queue) == 0


def test_closing_ends_everyone_with_the_reason(queue: AdmissionQueue) -> None:
    handles = add(queue, "a", "b")
    queue.fail(EngineClosed("over"))
    assert [str(handle.error) for handle in handles] == ["over", "over"]
    assert len(queue) == 0
