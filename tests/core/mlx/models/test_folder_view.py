"""Folders as people have them, through the libraries: brackets, byte-order marks, what macOS leaves, odd configs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool
from core.catalog import Catalog
from core.engine import Engine
from core.mlx.models.folder_view import readable
from core.pocket import POCKET_MODELS
from core.settings import Settings
from tests.tiny.texts import make_text_model

ODD = ("a [b] {c}", "mac", "marked", "their-template", "named-templates", "tools-template")
GROUPED = {"bits": 4, "group_size": 64}
PACKED: dict[str, dict[str, Any]] = {
    "their-field": {"quantization_config": GROUPED},
    "bits-alone": {"quantization_config": {"bits": 4}},
    "null-beside": {"quantization": None, "quantization_config": GROUPED},
    "method-mlx": {"quantization_config": {"quant_method": "mlx"}},
    "method-awq": {"quantization_config": GROUPED | {"quant_method": "awq"}},
    "empty": {"quantization_config": {}},
    "nothing": {},
    "wrong-bits": {"quantization_config": {"bits": 8, "group_size": 32}},
}
"""What configurations say of weights that MLX has packed in groups of 64 parameters of 4 bits."""
PLAIN: dict[str, dict[str, Any]] = {
    "left-over": {"quantization_config": GROUPED},
    "left-awq": {"quantization_config": GROUPED | {"quant_method": "awq"}},
    "left-null": {"quantization": None, "quantization_config": {"bits": 4}},
}
"""What configurations say of weights that are not packed."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One model under several names, each in a folder that is odd in its own way."""
    root = tmp_path_factory.mktemp("odd")
    models = root / "models"
    plain = make_text_model("qwen3", models / "plain", bits=4)
    for name in (*ODD, *PACKED):
        shutil.copytree(plain, models / name)
    for name in (*PLAIN, "not-packed"):
        shutil.copytree(POCKET_MODELS[0].folder.parent / "qwen3", models / name)
    for file in [*(models / "mac").iterdir()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
    for file in (models / "marked").glob("*.json"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    for name, told in (PACKED | PLAIN).items():
        config = json.loads((models / name / "config.json").read_text())
        kept = {key: value for key, value in config.items() if key not in ("quantization", "quantization_config")}
        (models / name / "config.json").write_text(json.dumps(kept | told))
    for name in ("their-template", "named-templates", "tools-template"):
        template = models / name / "chat_template.jinja"
        text = template.read_text()
        template.unlink()
        if name == "tools-template":
            (models / name / "additional_chat_templates").mkdir()
            (models / name / "additional_chat_templates" / "tool_use.jinja").write_text(text)
        else:
            named = [{"name": one, "template": text} for one in ("default", "tool_use")]
            told = {"chat_template": text if name == "their-template" else named}
            (models / name / "chat_template.json").write_text(json.dumps(told))
    (root / "cache").mkdir()
    settings = Settings(model_folders=[models], hf_cache=root / "cache", data_dir=root / "data")
    with Engine(settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def expected(engine: Engine) -> list[int]:
    return answer(engine, "plain")


SHORT = Sampling(temperature=0.0, max_tokens=12, logprobs=0)


def answer(engine: Engine, model: str) -> list[int]:
    turns = (Message.text(Role.SYSTEM, "Be brief."), Message.text(Role.USER, "Hello!"))
    result = engine.generate(GenerationRequest(model, turns, sampling=SHORT)).result()
    return [token.token_id for token in result.logprobs]


@pytest.mark.parametrize("model", [*ODD, *PACKED])
def test_an_odd_folder_answers_as_a_plain_one(engine: Engine, expected: list[int], model: str) -> None:
    info, plain = engine.catalog.get(model), engine.catalog.get("plain")
    assert (info.problem, info.tools, info.thinking) == (None, plain.tools, plain.thinking)
    assert (info.quantisation, info.parameters) == (plain.quantisation, plain.parameters)
    assert len(expected) == 12
    assert answer(engine, model) == expected
    engine.unload(model).result()


@pytest.mark.parametrize("model", PLAIN)
def test_what_is_said_of_weights_that_are_not_packed_is_left_out(engine: Engine, model: str) -> None:
    info, plain = engine.catalog.get(model), engine.catalog.get("not-packed")
    assert (info.problem, info.quantisation, info.parameters) == (None, plain.quantisation, plain.parameters)
    assert answer(engine, model) == answer(engine, "not-packed")
    engine.unload(model).result()


@pytest.mark.parametrize("model", ["named-templates", "tools-template"])
def test_tools_are_offered_by_the_template_for_them(engine: Engine, model: str) -> None:
    def prompt(model: str) -> int:
        tool = Tool("get_weather", "Get the weather", {"type": "object", "properties": {}})
        turns = (Message.text(Role.USER, "Hello!"),)
        result = engine.generate(GenerationRequest(model, turns, tools=(tool,), sampling=SHORT)).result()
        assert result.finished is not None
        return result.finished.usage.prompt_tokens

    assert prompt(model) == prompt("plain")
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
