"""What the rows of a model may do together is found by trying."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from mlx_lm import load

from core.mlx.decoding import batch_support
from core.mlx.decoding.batch_support import Batching, find_batching, known_batching
from tests.tiny.text_shapes import VOCABULARY
from tests.tiny.texts import make_text_model


def outcome(trial: Generator[float, None, Batching]) -> Batching:
    while True:
        try:
            next(trial)
        except StopIteration as end:
            found: Batching = end.value
            return found


def at_once(found: Batching) -> Generator[float, None, Batching]:
    yield from ()
    return found


def known(*arguments: Any) -> Batching:
    return outcome(known_batching(*arguments))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("qwen3_next", Batching.ALWAYS),
        ("gpt_oss", Batching.ALWAYS),
        ("nemotron_h", Batching.DECODE),  # reads padding into its state
        ("rwkv7", Batching.DECODE),
        ("gemma2", Batching.NEVER),  # takes rows for heads
        ("llama4", Batching.NEVER),  # chunks cannot be merged
    ],
)
def test_each_model_is_asked_what_its_rows_may_share(name: str, found: Batching, tmp_path: Path) -> None:
    model = load(str(make_text_model(name, tmp_path / name)))[0]
    assert outcome(find_batching(model, VOCABULARY)) is found


def test_what_was_found_is_known_the_next_time_unless_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(str(make_text_model("qwen3_next", tmp_path / "qwen3_next")))[0]
    memory = tmp_path / "cache" / "batching"
    assert known(model, VOCABULARY, "these files", memory) is Batching.ALWAYS
    monkeypatch.setattr(batch_support, "find_batching", lambda *_: at_once(Batching.NEVER))
    assert known(model, VOCABULARY, "these files", memory) is Batching.ALWAYS
    assert known(model, VOCABULARY, "other files", memory) is Batching.NEVER
    monkeypatch.setattr(batch_support, "TOLERANCE", 0.1)
    assert known(model, VOCABULARY, "these files", memory) is Batching.NEVER


def test_what_may_pass_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [Batching.NEVER, Batching.DECODE, Batching.ALWAYS]
    monkeypatch.setattr(batch_support, "find_batching", lambda *_: at_once(outcomes.pop(0)))
    memory = tmp_path / "batching"
    found = [known(None, 10, "files", memory) for _ in range(4)]
    assert found == [Batching.NEVER, Batching.DECODE, Batching.ALWAYS, Batching.ALWAYS]


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"\xff\xfe"), lambda path: path.mkdir()])
def test_a_memory_that_cannot_be_read_costs_a_trial_and_nothing_else(
    spoil: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_support, "find_batching", lambda *_: at_once(Batching.ALWAYS))
    spoil(memory := tmp_path / "batching")
    assert known(None, 10, "files", memory) is Batching.ALWAYS


def test_the_memory_keeps_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def try_it(*_: Any) -> Generator[float, None, Batching]:
        tried.append(1)
        return at_once(Batching.ALWAYS)

    monkeypatch.setattr(batch_support, "find_batching", try_it)
    monkeypatch.setattr(batch_support, "REMEMBERED", 2)
    memory = tmp_path / "batching"
    for name in ("a", "b", "c", "c", "b", "a"):
        known(None, 10, name, memory)
    assert len(tried) == 4
    assert len(memory.read_text().splitlines()) == 2


def test_a_trial_yields_after_each_pass_and_between_layers_that_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(str(make_text_model("qwen3_next", tmp_path / "qwen3_next")))[0]
    passes = 2 * len(batch_support.LENGTHS) + 3
    monkeypatch.setattr(batch_support, "PIECE_S", 60.0)
    assert list(find_batching(model, VOCABULARY)) == [1.0] * passes
    monkeypatch.setattr(batch_support, "PIECE_S", 0.0)
    assert len(list(find_batching(model, VOCABULARY))) == passes * (1 + len(model.layers))
