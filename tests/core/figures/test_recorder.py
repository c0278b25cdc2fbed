"""Figures of real answers: taken on the way, written to a real file, never at the cost of a request."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.engine import Engine
from core.figures.figure import Use
from core.figures.store import Figures, Kept, read_figures
from core.settings import Settings
from tests.pictures import png

TEXT, VISION = "pocket/qwen3", "pocket/qwen2-vl"
LONG = " ".join(f"word{number}" for number in range(120))


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"data_dir": tmp_path / "data"})


@pytest.fixture
def engine(own: Settings, catalog: Catalog) -> Iterator[Engine]:
    with Engine(own, Catalog(own)) as engine:
        yield engine


def request(
    model: str = TEXT, text: str = "Write a long story.", tokens: int = 24, **more: object
) -> GenerationRequest:
    turns = (Message.text(Role.USER, text, *more.pop("images", ())),)  # type: ignore[misc]
    sampling = Sampling(temperature=0.0, max_tokens=tokens)
    return GenerationRequest(model, turns, sampling=sampling, ignore_eos=True, **more)  # type: ignore[arg-type]


def ask(engine: Engine, *args: object, **more: object) -> GenerationResult:
    return engine.generate(request(*args, **more)).result()  # type: ignore[arg-type]


def written(engine: Engine) -> list[Kept]:
    """What is on the disk once the engine has closed."""
    engine.close()
    return read_figures(engine.settings.figures_file)


def test_a_load_and_an_answer_leave_their_figures(engine: Engine) -> None:
    result = ask(engine, source="chat")
    status = engine.status()
    load, answer = written(engine)
    assert (load.figure.use, load.figure.model) == (Use.LOAD, TEXT)
    assert load.figure.load_s is not None
    assert 0 < load.figure.load_s <= status.models[0].load_s
    figure, end = answer.figure, result.finished
    assert end is not None
    assert (figure.use, figure.source, figure.rows) == (Use.TEXT, "chat", 1)
    assert (figure.machine, figure.precision) == (status.machine, status.models[0].precision)
    assert (figure.prompt_tokens, figure.completion_tokens) == (end.usage.prompt_tokens, end.usage.completion_tokens)
    assert figure.decode_tps == end.timing.decode_tps
    assert figure.prefill_tps is None, "a short prompt has no rate"
    assert figure.peak is not None
    assert end.footprint is not None
    assert figure.peak == status.models[0].memory_bytes + end.footprint.memory
    assert end.footprint.memory > 0
    assert answer.versions.mlx
    assert answer.versions.mlx_lm
    assert answer.shape.weights == pytest.approx(status.models[0].memory_bytes, rel=0.01)
    assert answer.shape.token_bytes == answer.shape.weights


def test_a_prompt_that_was_cached_says_nothing_of_reading(engine: Engine) -> None:
    ask(engine, TEXT, LONG)
    again = ask(engine, TEXT, LONG)
    assert again.finished is not None
    assert again.finished.usage.cached_tokens > 100
    _, first, second = (one.figure for one in written(engine))
    assert first.prefill_tps is not None
    assert first.ttft_s is not None
    assert (second.prefill_tps, second.ttft_s) == (None, None)
    assert second.decode_tps is not None


def test_rows_side_by_side_are_told_apart_from_answers_alone(engine: Engine) -> None:
    ask(engine)
    asked = [request(TEXT, f"{number} {LONG}", 32) for number in range(4)]
    for generation in engine.generate_all(asked):
        generation.result()
    rows = [one.figure for one in written(engine)][2:]
    assert [one.rows for one in rows] == [4, 4, 4, 4]
    assert all(one.prefill_tps is None and one.decode_tps for one in rows)


def test_two_models_at_once_say_nothing_of_either(engine: Engine) -> None:
    for model in (TEXT, VISION):
        engine.load(model).result()
    for generation in engine.generate_all([request(model, "Write a long story.", 200) for model in (TEXT, VISION)]):
        generation.result()
    assert [one.figure.use for one in written(engine)] == [Use.LOAD, Use.LOAD]


def test_an_image_is_a_use_of_its_own(engine: Engine) -> None:
    ask(engine, VISION, "What is this?", images=(png("red"),))
    _, answer = written(engine)
    assert answer.figure.use is Use.IMAGE
    assert answer.shape.kind == "vision"
    assert answer.shape.active < answer.shape.parameters


def test_a_model_that_writes_nothing_leaves_its_load(tiny_settings: Settings, tmp_path: Path) -> None:
    own = tiny_settings.model_copy(update={"data_dir": tmp_path / "data"})
    with Engine(own, Catalog(own)) as engine:
        for model in ("tiny/bert", "tiny/whisper"):
            engine.load(model).result()
    assert [(one.figure.model, one.figure.use) for one in read_figures(own.figures_file)] == [
        ("tiny/bert", Use.LOAD),
        ("tiny/whisper", Use.LOAD),
    ]


def test_no_request_fails_on_account_of_a_figure(own: Settings, caplog: pytest.LogCaptureFixture) -> None:
    own.figures_file.mkdir(parents=True)
    with Engine(own, Catalog(own)) as engine:
        assert ask(engine).finished is not None
    assert "figures are not kept" in caplog.text


def test_who_wants_none_has_none(own: Settings) -> None:
    none = own.model_copy(update={"keep_figures": False})
    with Engine(none, Catalog(none)) as engine:
        assert engine.figures is None
        ask(engine)
    assert not none.figures_file.exists()


def test_a_file_that_is_locked_holds_up_nobody(engine: Engine) -> None:
    ask(engine)
    assert engine.figures is not None
    engine.figures.close(10.0)
    before = engine.figures.written
    other = sqlite3.connect(engine.settings.figures_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert ask(engine).finished is not None
    assert engine.figures.written == before
    other.execute("ROLLBACK")
    other.close()
    engine.figures.close(10.0)
    assert engine.figures.written == before + 1


def test_figures_are_written_on_a_thread_of_their_own(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    add = Figures.add
    monkeypatch.setattr(
        Figures, "add", lambda self, kept: (threads.append(threading.current_thread().name), add(self, kept))[1]
    )
    ask(engine)
    assert written(engine)
    assert set(threads) == {"assay-figures"}
