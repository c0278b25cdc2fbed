"""Folders as people have them, through the libraries: brackets, byte-order marks, what macOS leaves, odd configs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.engine import Engine
from core.mlx.models.folder_view import readable
from core.settings import Settings
from tests.tiny.texts import make_text_model

ODD = ("plain", "a [b] {c}", "mac", "marked", "their-field", "their-template")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One model under several names, each in a folder that is odd in its own way."""
    root = tmp_path_factory.mktemp("odd")
    models = root / "models"
    plain = make_text_model("qwen3", models / "plain", bits=4)
    for name in ODD[1:]:
        shutil.copytree(plain, models / name)
    for file in [*(models / "mac").iterdir()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
    for file in (models / "marked").glob("*.json"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    config = json.loads((plain / "config.json").read_text())
    config["quantization_config"] = config.pop("quantization")
    (models / "their-field" / "config.json").write_text(json.dumps(config))
    template = models / "their-template" / "chat_template.jinja"
    (models / "their-template" / "chat_template.json").write_text(json.dumps({"chat_template": template.read_text()}))
    template.unlink()
    (root / "cache").mkdir()
    settings = Settings(model_folders=[models], hf_cache=root / "cache", data_dir=root / "data")
    with Engine(settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def expected(engine: Engine) -> list[int]:
    return answer(engine, "plain")


def answer(engine: Engine, model: str) -> list[int]:
    sampling = Sampling(temperature=0.0, max_tokens=12, logprobs=0)
    turns = (Message.text(Role.SYSTEM, "Be brief."), Message.text(Role.USER, "Hello!"))
    result = engine.generate(GenerationRequest(model, turns, sampling=sampling)).result()
    return [token.token_id for token in result.logprobs]


@pytest.mark.parametrize("model", ODD[1:])
def test_an_odd_folder_answers_as_a_plain_one(engine: Engine, expected: list[int], model: str) -> None:
    assert engine.catalog.get(model).problem is None
    assert len(expected) == 12
    assert answer(engine, model) == expected
    engine.unload(model).result()


def test_a_folder_against_which_nothing_stands_is_read_where_it_is(catalog: Catalog) -> None:
    info = catalog.get("pocket/qwen3")
    with readable(info) as folder:
        assert folder == info.path


def test_a_view_holds_links_and_is_gone_afterwards(engine: Engine) -> None:
    info = engine.catalog.get("marked")
    with readable(info) as folder:
        view: Path = folder
        assert os.readlink(folder / "model.safetensors") == str(info.path / "model.safetensors")
        assert not (folder / "config.json").is_symlink()
        assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen3"
    assert not view.exists()
    assert (info.path / "config.json").read_bytes().startswith(b"\xef\xbb\xbf")
