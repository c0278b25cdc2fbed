"""GGUF files of the llama family: what is written as llama.cpp writes it comes back as the model that it was."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models import llama
from tokenizers import Tokenizer

from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.engine import Engine
from core.errors import InvalidRequest, LoadFailed
from core.importing import import_gguf, models_folder
from core.mlx.models.gguf import NAMES
from core.settings import Settings
from tests import ROOT
from tests.tiny.texts import make_text_model

Write = Callable[..., Path]
NEEDED = (
    "llama.block_count",
    "llama.attention.head_count",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.context_length",
)


def interleaved(array: mx.array, heads: int) -> mx.array:
    """Rows as llama.cpp keeps them: the two halves of each head, turn about."""
    rows = array.shape[0]
    return array.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_text_model("llama", tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def tensors(original: Path) -> dict[str, mx.array]:
    """The weights by llama.cpp's names, its rows interleaved."""
    config = json.loads((original / "config.json").read_text())
    names = {theirs: ours for ours, theirs in NAMES.items()}
    found: dict[str, mx.array] = {}
    for name, array in mx.load(str(original / "model.safetensors")).items():
        module, _, leaf = name.rpartition(".")
        layer = module.removeprefix("model.layers.").split(".")[0] if module.startswith("model.layers.") else None
        ours = names[module if layer is None else module.removeprefix(f"model.layers.{layer}.")]
        if ours in ("attn_q", "attn_k"):
            heads = config["num_attention_heads"] if ours == "attn_q" else config["num_key_value_heads"]
            array = interleaved(array, heads)
        if ours in ("token_embd", "output"):  # a row for <|never|>, the tokenizer's last
            array = mx.concatenate([array, mx.zeros((1, array.shape[1]), array.dtype)])
        found[f"{ours}.{leaf}" if layer is None else f"blk.{layer}.{ours}.{leaf}"] = array
    return found


@pytest.fixture(scope="module")
def metadata(original: Path) -> dict[str, Any]:
    """What llama.cpp writes of it; the tokenizer is the pocket model's, byte-level BPE."""
    config = json.loads((original / "config.json").read_text())
    model = json.loads((original / "tokenizer.json").read_text())
    vocabulary = dict(model["model"]["vocab"]) | {token["content"]: token["id"] for token in model["added_tokens"]}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    kinds = {token["content"]: 3 if token["special"] else 4 for token in model["added_tokens"]}  # control, user-defined
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["model"]["merges"]]

    def number(value: int) -> mx.array:
        return mx.array(value, mx.uint32)

    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.embedding_length": number(config["hidden_size"]),
        "llama.feed_forward_length": number(config["intermediate_size"]),
        "llama.block_count": number(config["num_hidden_layers"]),
        "llama.attention.head_count": number(config["num_attention_heads"]),
        "llama.attention.head_count_kv": number(config["num_key_value_heads"]),
        "llama.attention.layer_norm_rms_epsilon": mx.array(config["rms_norm_eps"], mx.float32),
        "llama.rope.freq_base": mx.array(config.get("rope_theta", 10_000.0), mx.float32),
        "llama.context_length": number(config.get("max_position_embeddings", 4096)),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": mx.array([kinds.get(token, 1) for token in tokens], mx.int32),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": number(tokens.index("<|never|>")),
        "tokenizer.chat_template": (original / "chat_template.jinja").read_text(),
    }


@pytest.fixture
def write(tmp_path: Path, tensors: dict[str, mx.array], metadata: dict[str, Any]) -> Write:
    """write(without=..., less=..., more=..., **metadata): a GGUF file without a field or tensor, or with others."""

    def write(without: str = "", less: str = "", more: dict[str, mx.array] | None = None, **changes: Any) -> Path:
        file = tmp_path / "tiny.F32.gguf"
        about = {name: value for name, value in (metadata | changes).items() if name != without}
        arrays = {name: array for name, array in (tensors | (more or {})).items() if name != less}
        mx.save_gguf(str(file), arrays, about)
        return file

    return write


def answer(engine: Engine, model: str) -> tuple[int, str]:
    """How many tokens, and their digest."""
    sampling = Sampling(temperature=0.0, max_tokens=16)
    turns = (Message.text(Role.USER, "Hello there, count from 1 to 12!"),)
    result = engine.generate(GenerationRequest(model, turns, thinking=False, sampling=sampling)).result()
    assert result.finished is not None
    assert result.finished.witness is not None
    return result.finished.usage.completion_tokens, result.finished.witness.completion_sha256


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_an_imported_model_answers_as_the_original(write: Write, original: Path, tmp_path: Path, empty: Path) -> None:
    settings = Settings(model_folders=[original.parent], hf_cache=empty, data_dir=tmp_path / "data")
    made = import_gguf(write(), settings.own_models, "came-in")
    assert made == tmp_path / "data" / "models" / "came-in"
    theirs, ours = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (original, made))
    text = "Hello,  world 1234 <think><|im_end|>\n\tüber ' don't 日本"
    assert ours.encode(text, add_special_tokens=False).ids == theirs.encode(text, add_special_tokens=False).ids
    with Engine(settings) as engine:
        info = engine.catalog.get("came-in")
        assert (info.problem, info.family, info.tools) == (None, "llama", True)
        expected = answer(engine, original.name)
        assert expected[0] == 16
        assert answer(engine, "came-in") == expected


def test_where_imports_go(tmp_path: Path) -> None:
    assert models_folder(Settings(data_dir=tmp_path)) == tmp_path / "models"
    assert models_folder(Settings(data_dir=tmp_path, model_folders=[tmp_path / "mine", tmp_path])) == tmp_path / "mine"


def test_llama_3s_positions_are_told_in_the_configuration(write: Write, original: Path, tmp_path: Path) -> None:
    config = json.loads((original / "config.json").read_text())
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    args = llama.ModelArgs.from_dict(config)
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    factors = []
    for index in range(width // 2):
        wavelength = 2 * math.pi * args.rope_theta ** (2 * index / width)
        smooth = min(max((8192 / wavelength - 1) / 3, 0), 1)
        factors.append(1 / ((1 - smooth) / 8 + smooth))
    if max(factors) == 1:  # positions of this width turn too fast to be stretched at all
        factors[-1] = 1.0
    made = import_gguf(write(more={"rope_freqs.weight": mx.array(factors)}), tmp_path / "models")
    told = json.loads((made / "config.json").read_text())["rope_scaling"]
    assert told["rope_type"] == scaling["rope_type"]
    assert told["factor"] == pytest.approx(max(factors), abs=0.01)
    with pytest.raises(InvalidRequest, match="stretches its positions in a way that is not known here"):
        import_gguf(write(more={"rope_freqs.weight": mx.array([3.0] * (width // 2))}), tmp_path / "models", "other")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"general.architecture": "qwen2"}, "a model of the family 'qwen2'; only llama files"),
        ({"split.count": mx.array(3, mx.uint16)}, "one of 3 parts. Join them first"),
        ({"llama.expert_count": mx.array(8, mx.uint32)}, "a mixture of experts"),
        ({"llama.rope.scaling.type": "yarn"}, r"stretches its positions \(yarn\)"),
        ({"tokenizer.ggml.pre": "made-up"}, r"cuts text into tokens in a way that is not known here \(gpt2, made-up\)"),
        ({"tokenizer.ggml.model": "bert"}, r"not known here \(bert, qwen2\)"),
        *(({"without": name}, f"lacks {name}, without which") for name in NEEDED),
        ({"llama.attention.head_count": "many"}, "says that llama.attention.head_count is many, where a number"),
        ({"llama.attention.head_count": mx.array(0, mx.uint32)}, "head_count is 0, where a number above 0 belongs"),
        ({"llama.attention.head_count_kv": mx.array([2, 2], mx.uint32)}, r"head_count_kv is \[2, 2\], where a number"),
        ({"llama.attention.head_count_kv": mx.array(3, mx.uint32)}, "4 heads share 3 of keys and values"),
        (
            {"llama.attention.head_count": mx.array(8, mx.uint32)},
            "has model.layers.0.self_attn.k_proj.weight as 32 x 64",
        ),
        (
            {"llama.feed_forward_length": mx.array(2**31, mx.uint32)},
            "feed_forward_length is 2147483648, where a number",
        ),
        ({"llama.block_count": mx.array(1, mx.uint32)}, "says that it has 1 layers .* and holds tensors of 2"),
        ({"llama.block_count": mx.array(2_000_000_000, mx.uint32)}, "2000000000 layers .* and holds tensors of 2"),
        (
            {"less": "blk.1.attn_norm.weight"},
            "lacks model.layers.1.input_layernorm.weight, where its metadata means 64",
        ),
        ({"less": "output_norm.weight"}, "lacks model.norm.weight, without which it is no model"),
        ({"more": {"blk.0.ffn_up.weight": mx.zeros((4, 64))}}, "has model.layers.0.mlp.up_proj.weight as 4 x 64"),
        ({"more": {"blk.0.attn_q.bias": mx.zeros((4,))}}, "has a tensor blk.0.attn_q.bias, of which nothing is known"),
        ({"more": {"blk.0.output.weight": mx.zeros((4, 4))}}, "has a tensor model.layers.0.lm_head.weight, of which"),
        ({"more": {"rope_freqs.weight": mx.ones((3,))}}, "has 3 rope_freqs for heads of"),
        (
            {"tokenizer.ggml.eos_token_id": mx.array(99_999, mx.uint32)},
            "says that its eos_token_id is 99999; its tokens",
        ),
    ],
)
def test_what_cannot_be_imported_is_said_and_nothing_is_left(
    write: Write, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        import_gguf(write(**changes), tmp_path / "models")
    assert [*(tmp_path / "models").iterdir()] == []


def test_files_that_are_none_and_names_that_are_taken(write: Write, tmp_path: Path) -> None:
    models = tmp_path / "models"
    with pytest.raises(InvalidRequest, match="absent.gguf cannot be used: No such file"):
        import_gguf(tmp_path / "absent.gguf", models)
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(InvalidRequest, match="text.gguf is no GGUF file"):
        import_gguf(tmp_path / "text.gguf", models)
    file = write()
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:2000])
    with pytest.raises(InvalidRequest, match=r"cut\.gguf ends inside its header \(2,000 bytes\)"):
        import_gguf(tmp_path / "cut.gguf", models)
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InvalidRequest, match=r"MLX cannot read the weights of cut\.gguf: .*Download it again"):
        import_gguf(tmp_path / "cut.gguf", models)
    for name in ("../out", "a/b", ".hidden", ""):
        with pytest.raises(InvalidRequest, match=r"is no name for a folder\. Choose one with --name"):
            import_gguf(file, models, name)
    import_gguf(file, models, "here")
    with pytest.raises(InvalidRequest, match=r"here is there already\. Give the model another name"):
        import_gguf(file, models, "here")
    assert [path.name for path in models.iterdir()] == ["here"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("My Model (final).GGUF", "My-Model-final"),
        ("plain name-1.2+b_c.gguf", "plain name-1.2+b_c"),
        ("[4bit] Ü日本.gguf", "4bit-Ü日本"),
    ],
)
def test_a_name_is_made_of_the_files(write: Write, tmp_path: Path, file: str, name: str) -> None:
    assert import_gguf(write().rename(tmp_path / file), tmp_path / "models").name == name


def test_a_file_without_any_letter_asks_for_a_name(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Choose one with --name"):
        import_gguf(write().rename(tmp_path / "(-).gguf"), tmp_path / "models")


def test_what_a_library_raises_on_a_damaged_file_is_a_sentence(write: Write, tmp_path: Path) -> None:
    file = write(without="tokenizer.ggml.merges", **{"tokenizer.ggml.tokens": mx.arange(1537)})
    with pytest.raises(LoadFailed, match=r"tiny\.F32\.gguf could not be imported: \w+: "):
        import_gguf(file, tmp_path / "models")
    assert [*(tmp_path / "models").iterdir()] == []


IMPORT = """
import sys
from pathlib import Path
import core.mlx.models.gguf as gguf
def wait(file, folder):
    (folder / "half").write_text("done")
    print("at work", flush=True)
    sys.stdin.read()
gguf.convert = wait
from tui.cli.main import main
sys.argv = ["assay", "models", "import", sys.argv[1], "--to", sys.argv[2]]
main()
"""


def test_an_import_that_is_ended_leaves_nothing(write: Write, tmp_path: Path) -> None:
    models = tmp_path / "models"
    with at_work(write(), models) as run:
        assert len([*models.iterdir()]) == 1
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 128 + signal.SIGTERM
    assert [*models.iterdir()] == []


def test_what_a_killed_import_left_goes_at_the_next_and_a_living_ones_draft_stays(write: Write, tmp_path: Path) -> None:
    models, file = tmp_path / "models", write()
    with at_work(file, models) as killed, at_work(file, models):
        killed.kill()
        killed.wait(60)
        assert len([*models.iterdir()]) == 2
        assert import_gguf(file, models, "new").is_dir()
        drafts = [path for path in models.iterdir() if path.name != "new"]
        assert [[entry.name for entry in draft.iterdir()] for draft in drafts] == [["half"]]


@contextmanager
def at_work(file: Path, models: Path) -> Iterator[subprocess.Popen[str]]:
    """An import in a process of its own, in the middle of writing."""
    command = [sys.executable, "-c", IMPORT, str(file), str(models)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "at work\n"
            yield run
        finally:
            run.kill()


def test_models_of_ones_own_are_found_without_a_setting(write: Write, tmp_path: Path, empty: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", hf_cache=empty)
    catalog = Catalog(settings)
    import_gguf(write(), models_folder(settings))
    assert "tiny.F32" in [info.id for info in catalog.list()]


def test_every_tensor_of_a_llama_has_a_name(original: Path) -> None:
    args = llama.ModelArgs.from_dict(json.loads((original / "config.json").read_text()))
    leaves = {name.rpartition(".")[0] for name, _ in tree_flatten(llama.Model(args).parameters())}
    parts = {name.split(".", 3)[-1] if name.startswith("model.layers.") else name for name in leaves}
    assert parts <= {*NAMES.values()}
