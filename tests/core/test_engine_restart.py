"""KV that outlives the engine: the next one prefills only what is new, and answers as if it had read it all."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.media.images import ImageData
from core.mlx import scheduler
from core.mlx.kv.store import FOLDER
from core.pocket import MODELS_DIR
from core.settings import Settings
from core.status import Notice
from tests import pictures
from tests.benchmarks.models import Shape, make_model
from tests.tiny.texts import make_text_model
from tests.tiny.visions import make_vision_model

WINDOWED = Shape("windowed", "gemma3", {"text_config": {"sliding_window": 48}})
OTHERS = ("deepseek_v32", "jamba", "llama4")
"""Layers with several caches each, with states, and with chunks."""
LONG = "the cat walks over the small red house and sees a tree " * 8
SQUARE = pictures.shape("square", (0, 160, 0), (40, 90, 150, 200))
CIRCLE = pictures.shape("circle", (255, 215, 0), (120, 30, 220, 130))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the models that the built-in ones are not enough for."""
    folder = tmp_path_factory.mktemp("models")
    make_model(WINDOWED, folder)
    for name in OTHERS:
        make_text_model(name, folder / name)
    make_vision_model("mllama", folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> Settings:
    (tmp_path / "cache").mkdir()
    return Settings(
        model_folders=[models, tmp_path / "own"],
        hf_cache=tmp_path / "cache",
        data_dir=tmp_path,
        prefill_chunk=32,
        prefill_ms=0,
        cache_on_disk_gb=0.1,
    )


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Engine]:
    """An engine that keeps nothing."""
    folder = tmp_path_factory.mktemp("forgetful")
    (folder / "cache").mkdir()
    settings = Settings(
        model_folders=[models],
        hf_cache=folder / "cache",
        data_dir=folder,
        prefill_chunk=32,
        prefill_ms=0,
        cache_on_disk_gb=0.0,
        cache_budget_gb=0.0,
    )
    with Engine(settings) as engine:
        yield engine


def ask(engine: Engine, model: str, *turns: Message) -> GenerationResult:
    sampling = Sampling(temperature=0.0, max_tokens=12, logprobs=0)
    return engine.generate(GenerationRequest(model, turns, thinking=False, sampling=sampling)).result()


def cached(result: GenerationResult) -> int:
    assert result.finished is not None
    return result.finished.usage.cached_tokens


def kept(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / FOLDER).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("model", "images"),
    [
        ("pocket/qwen3", ()),
        ("pocket/qwen2-vl", (SQUARE,)),
        ("pocket/gemma3", (SQUARE,)),
        ("windowed", ()),
        ("windowed", (SQUARE,)),
        ("mllama", (SQUARE,)),
        *((name, ()) for name in OTHERS),
    ],
)
def test_a_follow_up_after_a_restart_prefills_only_what_is_new(
    settings: Settings, forgetful: Engine, model: str, images: tuple[ImageData, ...]
) -> None:
    first = Message.text(Role.USER, LONG, *images)
    with Engine(settings) as engine:
        opened = ask(engine, model, first)
    turns = (first, Message.text(Role.ASSISTANT, opened.text), Message.text(Role.USER, "and then?"))
    with Engine(settings) as engine:
        reused = ask(engine, model, *turns)
        assert engine.status().kept_on_disk > 0
    fresh = ask(forgetful, model, *turns)
    assert opened.finished is not None
    assert opened.finished.usage.prompt_tokens > 96
    assert cached(reused) >= opened.finished.usage.prompt_tokens - 8
    assert cached(fresh) == 0
    assert [entry.token_id for entry in reused.logprobs] == [entry.token_id for entry in fresh.logprobs]
    for ours, theirs in zip(reused.logprobs, fresh.logprobs, strict=True):
        assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-3)


def test_another_image_is_not_taken_for_the_one_on_disk(settings: Settings) -> None:
    with Engine(settings) as engine:
        ask(engine, "pocket/qwen2-vl", Message.text(Role.USER, LONG, SQUARE))
    with Engine(settings) as engine:
        same = ask(engine, "pocket/qwen2-vl", Message.text(Role.USER, LONG, SQUARE))
    with Engine(settings) as engine:
        other = ask(engine, "pocket/qwen2-vl", Message.text(Role.USER, LONG, CIRCLE))
    assert same.finished is not None
    assert cached(same) == same.finished.usage.prompt_tokens - 1
    assert cached(other) < same.finished.usage.image_tokens


def test_weights_that_have_changed_are_prefilled_afresh(settings: Settings) -> None:
    folder = settings.data_dir / "own" / "qwen3"
    shutil.copytree(MODELS_DIR / "qwen3", folder)
    with Engine(settings) as engine:
        name = next(info.id for info in engine.catalog.list() if info.path == folder)
        ask(engine, name, Message.text(Role.USER, LONG))
    before = kept(settings)
    assert before
    weights = next(folder.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with Engine(settings) as engine:
        assert cached(ask(engine, name, Message.text(Role.USER, LONG))) == 0
    assert kept(settings)
    assert not set(before) & set(kept(settings))


def test_a_broken_file_is_prefilled_afresh(settings: Settings) -> None:
    with Engine(settings) as engine:
        ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))
    (path,) = kept(settings)
    path.write_bytes(path.read_bytes()[:-1000])
    with Engine(settings) as engine:
        assert cached(ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))) == 0
        assert not path.exists()


def test_nothing_is_written_unless_it_is_asked_for(settings: Settings) -> None:
    with Engine(settings.model_copy(update={"cache_on_disk_gb": 0.0})) as engine:
        ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))
    assert not (settings.data_dir / FOLDER).exists()


def test_an_engine_that_rests_writes_what_it_has(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "QUIET_S", 0.0)
    written = threading.Event()
    with Engine(settings) as engine:

        def listen(_: Notice) -> None:
            if engine.status().kept_on_disk:
                written.set()

        engine.listen(listen)
        ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))
        assert written.wait(30)
        assert [path.name[0] == "." for path in kept(settings)] == [False]
        assert cached(ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))) > 0


def test_a_model_that_is_unloaded_and_loaded_again_finds_its_kv(settings: Settings) -> None:
    with Engine(settings) as engine:
        ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))
        engine.unload("pocket/qwen3").result(timeout=60)
        assert engine.status().kept_memory == 0
        assert cached(ask(engine, "pocket/qwen3", Message.text(Role.USER, LONG))) > 0
        assert engine.status().kept_memory > 0


def test_two_engines_on_one_folder_go_on_from_each_other(settings: Settings) -> None:
    with Engine(settings) as one, Engine(settings) as two:
        ask(one, "pocket/qwen3", Message.text(Role.USER, LONG))
        one.unload("pocket/qwen3").result(timeout=60)
        assert cached(ask(two, "pocket/qwen3", Message.text(Role.USER, LONG))) > 0
