"""KV on disk: it comes back as it was, for the same model alone, and nothing broken is ever taken for whole."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models.cache import ArraysCache, KVCache, RotatingKVCache
from mlx_vlm.models.cache import KVCache as VisionKVCache

from core.catalog import ModelInfo, ModelKind
from core.mlx.kv import disk as kv_disk
from core.mlx.kv import file_format, prefix_cache
from core.mlx.kv.disk import KvDisk
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.models.vision_decoder import RopeOffset, Unused


@pytest.fixture(autouse=True)
def short_prefixes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_cache, "MIN_SHARED", 1)


@pytest.fixture
def info(tmp_path: Path) -> ModelInfo:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(200_000))
    return ModelInfo("some/model", folder, "folder", ModelKind.TEXT, "qwen3")


def held(tmp_path: Path, info: ModelInfo, budget: int = 10**8, in_memory: int = 10**9) -> PrefixCache:
    """A prefix cache over the test's folder, as an engine that has just loaded the model has it."""
    disk = KvDisk(tmp_path / "kv", budget)
    disk.open(info)
    return PrefixCache(in_memory, disk)


def kv(length: int, value: float = 1.0) -> list[Any]:
    cache = KVCache()
    cache.update_and_fetch(mx.full((1, 2, length, 4), value), mx.full((1, 2, length, 4), -value))
    return [cache]


def drain(steps: Iterator[None]) -> int:
    return sum(1 for _ in steps)


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "kv").rglob("*") if path.is_file())


def test_what_an_unloaded_model_leaves_is_found_by_the_next_engine(tmp_path: Path, info: ModelInfo) -> None:
    first = held(tmp_path, info)
    first.store(info.id, [1, 2, 3, 4], kv(4, 3.0))
    first.forget(info.id)
    assert len(first) == 0
    second = held(tmp_path, info)
    drain(second.recall(info.id, [1, 2, 3, 9]))
    cache, shared = second.fetch(info.id, [1, 2, 3, 9])
    assert shared == 3
    assert cache is not None
    assert np.array_equal(np.array(cache[0].keys_and_values()[0]), np.full((1, 2, 3, 4), 3.0))


def test_every_kind_of_layer_comes_back_as_it_was(tmp_path: Path) -> None:
    window = RotatingKVCache(8, keep=2)
    for start in range(0, 24, 4):
        keys = mx.random.normal((1, 2, 4, 4), key=mx.random.key(start))
        window.update_and_fetch(keys, keys + 1)
    for _ in range(3):
        window.update_and_fetch(mx.ones((1, 2, 1, 4)), mx.ones((1, 2, 1, 4)))
    state = ArraysCache(3)
    state[0] = mx.arange(6, dtype=mx.float32).reshape(1, 2, 3).astype(mx.bfloat16)
    state[2] = mx.array([[True, False]])
    vision = VisionKVCache()
    vision.update_and_fetch(mx.ones((1, 2, 5, 4), mx.float16), mx.zeros((1, 2, 5, 4), mx.float16))
    crossing = RopeOffset(beside={"states": mx.ones((1, 2, 3), mx.bfloat16)})
    layers = [window, state, vision, KVCache(), RopeOffset(mx.array([-7], mx.int32)), Unused(), crossing]
    path = tmp_path / "layers.safetensors"
    with path.open("wb") as file:
        drain(file_format.write_steps(file, "me", np.arange(3), layers, False))
    steps = file_format.read_steps(path, "me")
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            restored = finished.value
            break
    assert [type(layer) for layer in restored] == [type(layer) for layer in layers]
    assert restored[0].max_size == 8
    assert restored[0].keep == 2
    assert restored[0].offset == window.offset
    assert restored[1].cache[1] is None
    assert restored[1].cache[0].dtype == mx.bfloat16
    assert restored[2].offset == 5
    assert restored[3].empty()
    assert restored[4].values.item() == -7
    assert restored[4].beside is None
    assert mx.array_equal(restored[6].beside["states"], crossing.beside["states"])  # type: ignore[index]
    for ours, theirs in ((restored[0].keys, window.keys), (restored[1][0], state[0]), (restored[1][2], state[2])):
        assert mx.array_equal(ours, theirs)
    more = mx.full((1, 2, 1, 4), 5.0)
    for again, before in zip(
        restored[0].update_and_fetch(more, more), window.update_and_fetch(more, more), strict=True
    ):
        assert mx.array_equal(again, before)


def test_only_the_owner_may_look(tmp_path: Path, info: ModelInfo) -> None:
    (tmp_path / "kv").mkdir(mode=0o755)
    cache = held(tmp_path, info)
    cache.store(info.id, [1, 2, 3, 4], kv(4))
    cache.forget(info.id)
    (kept,) = files(tmp_path)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert kept.parent.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["cut", "grown", "flipped", "empty", "text", "renamed", "nonsense"])
def test_a_broken_file_is_removed_with_a_word_in_the_log(
    tmp_path: Path, info: ModelInfo, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = held(tmp_path, info)
    first.store(info.id, [1, 2, 3, 4], kv(4))
    first.forget(info.id)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    match harm:
        case "cut":
            path.write_bytes(data[:-40])
        case "grown":
            path.write_bytes(data + b"more")
        case "flipped":
            data[-100] ^= 1
            path.write_bytes(data)
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("Dear diary")
        case "renamed":
            path.rename(path.with_name("0" * 32 + ".safetensors"))
        case "nonsense":
            path.write_bytes(bytes(data).replace(b"KVCache", b"Dickens"))
    second = held(tmp_path, info)
    with caplog.at_level(logging.WARNING):
        drain(second.recall(info.id, [1, 2, 3, 4, 5]))
    assert second.fetch(info.id, [1, 2, 3, 4, 5]) == (None, 0)
    assert files(tmp_path) == []
    assert "removing" in caplog.text


def test_a_class_from_elsewhere_is_never_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "evil.safetensors"
    with path.open("wb") as file:
        drain(file_format.write_steps(file, "me", np.arange(3), kv(3), True))
    head = file_format.read_head(path, "me")
    head.layers[0][0] = "subprocess"
    with pytest.raises(LookupError):
        file_format._restored(head.layers[0], {})


@pytest.mark.parametrize("change", ["touched", "edited", "config", "library"])
def test_a_model_that_has_changed_finds_nothing_and_the_old_goes(
    tmp_path: Path, info: ModelInfo, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = held(tmp_path, info)
    first.store(info.id, [1, 2, 3, 4], kv(4))
    first.forget(info.id)
    weights = info.path / "model.safetensors"
    before = weights.stat()
    match change:
        case "touched":
            os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        case "edited":
            weights.write_bytes(b"\1" * 200_000)
            os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "config":
            (info.path / "config.json").write_text('{"rope_theta": 1}')
        case "library":
            monkeypatch.setattr("core.catalog.file_identity.version", lambda name: "99")
    second = held(tmp_path, info)
    drain(second.recall(info.id, [1, 2, 3, 4, 5]))
    assert second.fetch(info.id, [1, 2, 3, 4, 5]) == (None, 0)
    assert files(tmp_path) == []


def test_another_model_finds_nothing(tmp_path: Path, info: ModelInfo) -> None:
    first = held(tmp_path, info)
    first.store(info.id, [1, 2, 3, 4], kv(4))
    first.forget(info.id)
    other = ModelInfo("some-model", info.path, "folder", ModelKind.TEXT, "qwen3")
    second = held(tmp_path, other)
    drain(second.recall(other.id, [1, 2, 3, 4, 5]))
    assert len(second) == 0
    assert len(files(tmp_path)) == 1


def test_the_budget_holds_and_the_least_recent_goes_first(tmp_path: Path, info: ModelInfo) -> None:
    one = sum(layer.nbytes for layer in kv(2000)) + 8 * 2000
    budget = 2 * one + one // 2 + kv_disk.HEADER_BYTES
    cache = held(tmp_path, info, budget)
    for start in (1, 2, 3, 4):
        cache.store(info.id, [start] * 2000, kv(2000))
    cache.fetch(info.id, [1] * 2001)
    cache.forget(info.id)
    assert cache.disk is not None
    assert sum(path.stat().st_size for path in files(tmp_path)) == cache.disk.nbytes <= budget
    later = held(tmp_path, info, budget)
    found = []
    for start in (1, 2, 3, 4):
        drain(later.recall(info.id, [start] * 2001))
        found.append(later.fetch(info.id, [start] * 2001)[1])
    assert found == [2000, 0, 0, 2000]


def test_a_smaller_budget_takes_effect_at_the_next_start(tmp_path: Path, info: ModelInfo) -> None:
    cache = held(tmp_path, info)
    cache.store(info.id, [1] * 2000, kv(2000))
    cache.forget(info.id)
    KvDisk(tmp_path / "kv", 1000)
    assert files(tmp_path) == []


def test_what_is_written_in_pieces_can_be_given_up(
    tmp_path: Path, info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_format, "PIECE", 1000)
    cache = held(tmp_path, info)
    cache.store(info.id, list(range(1, 101)), kv(100))
    assert cache.unsaved
    cache.save_piece()
    (draft,) = files(tmp_path)
    assert draft.name.startswith(".")
    cache.shrink(0)
    assert files(tmp_path) == []
    assert not cache.unsaved


def test_pieces_add_up_and_a_longer_prompt_replaces_its_beginning(
    tmp_path: Path, info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_format, "PIECE", 1000)
    cache = held(tmp_path, info)
    for length in (100, 200):
        cache.store(info.id, list(range(1, length + 1)), kv(length))
        pieces = 0
        while cache.unsaved:
            cache.save_piece()
            pieces += 1
        assert pieces > 5
    (kept,) = files(tmp_path)
    assert not kept.name.startswith(".")
    later = held(tmp_path, info)
    assert drain(later.recall(info.id, [*range(1, 201), 7])) > 5
    assert later.fetch(info.id, [*range(1, 201), 7])[1] == 200


def test_the_disk_is_not_read_for_what_memory_has(tmp_path: Path, info: ModelInfo) -> None:
    first = held(tmp_path, info)
    first.store(info.id, [1, 2, 3, 4], kv(4, 1.0))
    first.forget(info.id)
    second = held(tmp_path, info)
    second.store(info.id, [1, 2, 3, 4], kv(4, 2.0))
    drain(second.recall(info.id, [1, 2, 3, 4, 5]))
    cache, _ = second.fetch(info.id, [1, 2, 3, 4, 5])
    assert cache is not None
    assert cache[0].keys[0, 0, 0, 0].item() == 2.0


def test_drafts_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path: Path, info: ModelInfo) -> None:
    cache = held(tmp_path, info)
    cache.store(info.id, [1, 2, 3, 4], kv(4))
    cache.forget(info.id)
    folder = files(tmp_path)[0].parent
    (folder / ".dead.safetensors.abc").write_bytes(b"half")
    living = folder / ".living.safetensors.abc"
    with living.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        KvDisk(tmp_path / "kv", 10**8)
        assert [path.name[:5] for path in files(tmp_path) if path.name.startswith(".")] == [".livi"]


def test_a_writer_that_is_killed_leaves_nothing_behind(tmp_path: Path, info: ModelInfo) -> None:
    program = f"""
import sys, time
from pathlib import Path
from core.catalog import ModelInfo, ModelKind
from core.mlx.kv import file_format
from tests.core.mlx.kv.test_disk import held, kv
file_format.PIECE = 1000
info = ModelInfo({info.id!r}, Path({str(info.path)!r}), "folder", ModelKind.TEXT, "qwen3")
cache = held(Path({str(tmp_path)!r}), info)
cache.store({info.id!r}, list(range(1, 101)), kv(100))
cache.save_piece()
print("half", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        held(tmp_path, info)
        assert [path.name[0] for path in files(tmp_path)] == ["."]
        child.kill()
    again = held(tmp_path, info)
    assert files(tmp_path) == []
    drain(again.recall(info.id, list(range(1, 102))))
    assert len(again) == 0


def test_a_folder_that_cannot_be_written_costs_one_line(
    tmp_path: Path, info: ModelInfo, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kv").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        cache = held(tmp_path, info)
        for start in (1, 2):
            cache.store(info.id, [start] * 4, kv(4))
        cache.save_piece()
        cache.forget(info.id)
        drain(cache.recall(info.id, [1, 1, 1, 1, 1]))
    assert len(caplog.records) == 1
    assert "KV is not kept on disk" in caplog.text


def test_a_full_disk_costs_one_line(
    tmp_path: Path, info: ModelInfo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    cache = held(tmp_path, info)
    for start in (1, 2):
        cache.store(info.id, [start] * 4, kv(4))
    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        cache.forget(info.id)
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
    assert files(tmp_path) == []


def test_two_engines_share_the_folder(tmp_path: Path, info: ModelInfo) -> None:
    one, two = held(tmp_path, info), held(tmp_path, info)
    one.store(info.id, [1, 2, 3, 4], kv(4))
    two.store(info.id, [1, 2, 3, 4], kv(4))
    two.store(info.id, [5, 6, 7], kv(3))
    two.forget(info.id)
    drain(one.recall(info.id, [5, 6, 7, 8]))
    assert one.fetch(info.id, [5, 6, 7, 8])[1] == 3
    for path in files(tmp_path):
        path.unlink()
    drain(two.recall(info.id, [1, 2, 3, 4, 5]))
    assert two.fetch(info.id, [1, 2, 3, 4, 5]) == (None, 0)
    one.forget(info.id)
    drain(two.recall(info.id, [1, 2, 3, 4, 5]))
    assert two.fetch(info.id, [1, 2, 3, 4, 5])[1] == 4
