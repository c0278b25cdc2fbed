"""From a folder's files to a ModelInfo: kinds, counts, labels, capabilities, problems."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.catalog import ModelInfo, ModelKind
from core.catalog.config import text_part
from core.catalog.describe import context_length, describe, look
from core.catalog.kinds import judge
from core.catalog.places import Found

# The fields of real checkpoints' config.json that matter here.
QWEN3_06B = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 1024,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 3072,
    "max_position_embeddings": 40960,
    "vocab_size": 151936,
    "quantization": {"group_size": 64, "bits": 4},
}
QWEN2_VL_2B = {
    "architectures": ["Qwen2VLForConditionalGeneration"],
    "model_type": "qwen2_vl",
    "hidden_size": 1536,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "intermediate_size": 8960,
    "max_position_embeddings": 32768,
    "vocab_size": 151936,
    "vision_start_token_id": 151652,
    "image_token_id": 151655,
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "patch_size": 14},
}
GEMMA3_27B = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "image_token_index": 262144,
    "mm_tokens_per_image": 256,
    "text_config": {
        "head_dim": 128,
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "model_type": "gemma3_text",
        "num_attention_heads": 32,
        "num_hidden_layers": 62,
        "num_key_value_heads": 16,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "vision_config": {
        "hidden_size": 1152,
        "image_size": 896,
        "intermediate_size": 4304,
        "model_type": "siglip_vision_model",
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "patch_size": 14,
    },
}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("text", QWEN3_06B),
        ("vision", QWEN2_VL_2B),
        ("vision", GEMMA3_27B),
        ("text", {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"]}),
        ("text", {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}),
        ("text", {"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"]}),
        ("text", {"model_type": "kimi_k2", "architectures": ["DeepseekV3ForCausalLM"]}),
        ("text", {"model_type": "llama4", "text_config": {"model_type": "llama4_text"}}),
        ("vision", {"model_type": "llama4", "text_config": {"model_type": "llama4_text"}, "vision_config": {"x": 1}}),
        ("vision", {"model_type": "qwen3_5", "vision_config": {"depth": 2}, "text_config": {}}),
        ("text", {"model_type": "qwen3_5", "text_config": {"hidden_size": 8}}),
        ("vision", {"model_type": "mistral3", "vision_config": {"depth": 2}, "image_token_index": 10}),
        ("vision", {"model_type": "llava_qwen2", "mm_vision_tower": "mobileclip"}),
        ("vision", {"model_type": "molmo", "architectures": ["MolmoForCausalLM"]}),
        ("vision", {"model_type": "phi3_v", "img_processor": {"name": "clip"}}),
        ("vision", {"model_type": "florence2", "vision_config": {"x": 1}}),
        ("vision", {"model_type": "smolvlm", "vision_config": {"x": 1}}),
        ("embeddings", {"model_type": "bert", "architectures": ["BertModel"]}),
        ("embeddings", {"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]}),
        ("embeddings", {"model_type": "gemma3_text", "architectures": ["Gemma3TextModel"]}),
        ("embeddings", {"model_type": "modernbert", "architectures": ["ModernBertForMaskedLM"]}),
        ("audio", {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}),
        ("audio", {"n_mels": 128, "n_audio_ctx": 1500}),
        ("audio", {"istftnet": {}, "plbert": {}}),
        ("audio", {"target": "nemo.collections.asr.models.EncDecRNNTBPEModel"}),
        ("reranker", {"model_type": "xlm-roberta", "architectures": ["XLMRobertaForSequenceClassification"]}),
        (
            "reranker",
            {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {"0": "x"}},
        ),
        ("unknown", {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "num_labels": 2}),
        ("unknown", {"model_type": "bert", "architectures": ["BertForTokenClassification"]}),
        ("unknown", {"model_type": "t5", "architectures": ["T5ForSequenceClassification"]}),
        ("unknown", {"model_type": "rfdetr", "vision_config": {"x": 1}}),
        ("unknown", {"model_type": "vit"}),
        ("unknown", {"model_type": "base"}),
        ("unknown", {"model_type": "cache"}),
        ("unknown", {"model_type": "../mlx_lm/models/llama"}),
        ("unknown", {"model_type": 7}),
        ("unknown", {}),
    ],
)
def test_kind_comes_from_the_config(kind, config):
    verdict = judge(config)
    assert verdict.kind == kind
    assert (verdict.problem is None) == (kind != "unknown")


def test_a_generator_beside_sentence_transformers_files_is_an_embedding_model():
    assert judge(QWEN3_06B).kind is ModelKind.TEXT
    assert judge(QWEN3_06B, sentence_transformer=True).kind is ModelKind.EMBEDDINGS


def test_every_text_architecture_of_mlx_lm_is_known():
    from core.catalog.libraries import package_folder

    models = package_folder("mlx_lm") / "models"
    shared = {"__init__", "activations", "base", "bitlinear_layers", "cache", "gated_delta", "mla", "pipeline"}
    shared |= {"rope_utils", "ssm", "switch_layers"}
    unknown = {file.stem for file in models.glob("*.py") if judge({"model_type": file.stem}).kind is ModelKind.UNKNOWN}
    assert unknown == shared


def test_weights_that_nothing_here_can_unpack_are_a_problem():
    config = {key: value for key, value in QWEN3_06B.items() if key != "quantization"}
    config["quantization_config"] = {"quant_method": "bitsandbytes"}
    assert "bitsandbytes" in judge(config).problem


def scaled(length: int, kind: str, factor: float, original: int, field: str = "rope_scaling") -> dict:
    rope = {"rope_type": kind, "factor": factor, "original_max_position_embeddings": original}
    return {"max_position_embeddings": length, field: rope}


@pytest.mark.parametrize(
    ("length", "config"),
    [
        (40960, QWEN3_06B),
        (131072, GEMMA3_27B),
        (131072, scaled(131072, "llama3", 8.0, 8192)),
        (131072, scaled(32768, "yarn", 4.0, 32768)),
        (131072, scaled(131072, "yarn", 32.0, 4096, "rope_parameters")),
        (1024, {"model_type": "gpt2", "n_positions": 1024}),
        (8192, {"text_config": {"max_position_embeddings": 8192}, "max_position_embeddings": 99}),
        (None, {"model_type": "unheard_of"}),
        (None, {"max_position_embeddings": "many"}),
        (None, {"max_position_embeddings": True}),
        (None, {"max_position_embeddings": float("inf")}),
    ],
)
def test_context_length(length, config):
    assert context_length(config) == length


def test_a_nested_text_part_inherits_from_the_top():
    part = text_part({"model_type": "x", "vocab_size": 9, "text_config": {"hidden_size": 8}, "vision_config": {}})
    assert (part["hidden_size"], part["vocab_size"]) == (8, 9)


def info_of(folder: Path, **found: object) -> ModelInfo:
    return describe(Found("m", folder, "folder", **found), look(folder))


def packed(module: str, rows: int, columns: int, bits: int = 4, group: int = 64) -> dict[str, np.ndarray]:
    """The three tensors that MLX stores for a quantised linear layer of rows x columns."""
    return {
        f"{module}.weight": np.zeros((rows, columns * bits // 32), np.uint32),
        f"{module}.scales": np.zeros((rows, columns // group), np.float16),
        f"{module}.biases": np.zeros((rows, columns // group), np.float16),
    }


def test_a_whole_model(build, tmp_path):
    info = info_of(build(tmp_path / "m"))
    assert info.problem is None
    assert (info.kind, info.family, info.quantisation) == (ModelKind.TEXT, "qwen3", "fp16")
    assert info.parameters == 64 * 128 + 256 * 128
    assert info.context_length == 40960
    assert (info.images, info.tools, info.thinking, info.needs_code) == (False, True, True, False)
    assert info.memory is not None
    assert info.memory.weights == info.parameters * 2


def test_shards_are_counted_together(build, tmp_path):
    one, three = info_of(build(tmp_path / "a")), info_of(build(tmp_path / "b", shards=2))
    assert three.problem is None
    assert three.parameters == one.parameters


@pytest.mark.parametrize(("bits", "group"), [(2, 64), (3, 64), (4, 32), (4, 64), (5, 64), (6, 64), (8, 32), (8, 128)])
def test_packed_weights_are_unpacked_to_count_them(build, tmp_path, bits, group):
    config = {"model_type": "qwen3", "quantization": {"bits": bits, "group_size": group}}
    tensors = packed("model.layers.0.mlp.up_proj", 64, 256, bits, group) | {"model.norm.weight": np.ones(256, "f2")}
    info = info_of(build(tmp_path / "m", config, tensors))
    assert info.parameters == 64 * 256 + 256
    assert info.quantisation == f"{bits}bit-g{group}"


def test_modules_may_have_their_own_bits_named_or_not(build, tmp_path):
    own = {"bits": 8, "group_size": 32}
    config = {"model_type": "qwen3", "quantization": {"bits": 4, "group_size": 64, "lm_head": own}}
    tensors = packed("lm_head", 64, 256, 8, 32) | packed("a", 64, 256, 4) | packed("unnamed", 64, 256, 6)
    info = info_of(build(tmp_path / "m", config, tensors))
    assert info.parameters == 3 * 64 * 256
    assert info.quantisation == "4bit-g64 mixed"


@pytest.mark.parametrize("mode", ["mxfp4", "mxfp8", "nvfp4"])
def test_microscaled_formats_keep_their_names(build, tmp_path, mode):
    bits, group = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}[mode]
    config = {"model_type": "qwen3", "quantization": {"bits": bits, "group_size": group, "mode": mode}}
    tensors = {
        "a.weight": np.zeros((64, 128 * bits // 32), np.uint32),
        "a.scales": np.zeros((64, 128 // group), np.uint8),
    }
    info = info_of(build(tmp_path / "m", config, tensors))
    assert (info.quantisation, info.parameters) == (mode, 64 * 128)


def test_gpt_oss_expert_blocks_count_two_a_byte(build, tmp_path):
    config = {"model_type": "gpt_oss", "quantization_config": {"quant_method": "mxfp4"}}
    tensors = {
        "e.gate_up_proj_blocks": np.zeros((2, 8, 4, 16), "u1"),
        "e.gate_up_proj_scales": np.zeros((2, 8, 4), "u1"),
    }
    info = info_of(build(tmp_path / "m", config, tensors))
    assert (info.quantisation, info.parameters) == ("mxfp4", 2 * 2 * 8 * 4 * 16)


@pytest.mark.parametrize(("dtype", "label"), [("f2", "fp16"), ("f4", "fp32")])
def test_plain_weights_are_labelled_by_type(build, tmp_path, dtype, label):
    tensors = {"model.embed_tokens.weight": np.zeros((8, 8), dtype), "model.norm.weight": np.zeros(8, "f4")}
    assert info_of(build(tmp_path / "m", tensors=tensors)).quantisation == label


def test_a_vision_config_over_weights_without_a_tower_is_a_text_model(build, tmp_path):
    config = {**GEMMA3_27B, "model_type": "gemma3"}
    language = {"language_model.model.embed_tokens.weight": np.zeros((8, 8), "f2")}
    assert info_of(build(tmp_path / "a", config, language)).kind is ModelKind.TEXT
    seeing = {**language, "vision_tower.encoder.layers.0.weight": np.zeros((8, 8), "f2")}
    info = info_of(build(tmp_path / "b", config, seeing))
    assert (info.kind, info.images) == (ModelKind.VISION, True)


@pytest.mark.parametrize(
    ("template", "tools", "thinking"),
    [
        ("{{ messages }}", False, False),
        ("Use your tools well. {{ messages }}", False, False),
        ("{%- if tools is not none %}{{ tools }}{% endif %}", True, False),
        ("{% for t in tools %}{% endfor %}<think>", True, True),
        ("{{ '<|channel|>analysis' }}", False, True),
        (None, False, False),
    ],
)
def test_tools_and_thinking_are_read_off_the_template(build, tmp_path, template, tools, thinking):
    info = info_of(build(tmp_path / "m", template=template))
    assert (info.tools, info.thinking) == (tools, thinking)


@pytest.mark.parametrize(
    "files",
    [
        {"chat_template.jinja": "{{ tools }}<think>"},
        {"chat_template.json": json.dumps({"chat_template": "{{ tools }}<think>"})},
        {
            "tokenizer_config.json": json.dumps(
                {"chat_template": [{"name": "tool_use", "template": "{{ tools }}<think>"}]}
            )
        },
        {"additional_chat_templates/tool_use.jinja": "{{ tools }}<think>"},
    ],
)
def test_templates_are_found_wherever_they_lie(build, tmp_path, files):
    info = info_of(build(tmp_path / "m", template=None, files=files))
    assert (info.tools, info.thinking) == (True, True)


def test_a_missing_shard_is_named(build, tmp_path):
    folder = build(tmp_path / "m", shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    info = info_of(folder)
    assert info.problem == "incomplete: missing shard model-00002-of-00002.safetensors"
    assert info.kind is ModelKind.TEXT
    assert not info.foreign


def test_a_missing_shard_is_named_without_an_index_too(build, tmp_path):
    folder = build(tmp_path / "m", tensors={})
    save_file({"a": np.zeros(4)}, folder / "model-00002-of-00003.safetensors")
    assert info_of(folder).problem == "incomplete: missing shard model-00001-of-00003.safetensors and 1 more"


def test_a_link_to_a_blob_that_is_gone_is_a_missing_shard(catalog, build, add_to_cache, tmp_path):
    snapshot = add_to_cache("org/m", build(tmp_path / "m", shards=2))
    (snapshot / "model-00001-of-00002.safetensors").resolve().unlink()
    assert catalog.get("org/m").problem == "incomplete: missing shard model-00001-of-00002.safetensors"


def test_a_single_file_whose_blob_is_gone_is_missing(catalog, build, add_to_cache, tmp_path):
    snapshot = add_to_cache("org/m", build(tmp_path / "m"))
    (snapshot / "model.safetensors").resolve().unlink()
    assert catalog.get("org/m").problem == "incomplete: missing model.safetensors"
    assert not catalog.get("org/m").unfinished


def test_a_download_that_stopped_is_incomplete(catalog, build, add_to_cache, cache_dir, tmp_path):
    snapshot = add_to_cache("org/m", build(tmp_path / "m", tensors={}))
    (snapshot.parent.parent / "blobs" / "0123.abcd.incomplete").write_bytes(b"half")
    info = catalog.get("org/m")
    assert info.problem == "incomplete: 1 file half downloaded; download the model again"
    assert info.unfinished
    assert info in catalog.list()
    early = cache_dir / "models--org--early"
    (early / "blobs").mkdir(parents=True)
    (early / "blobs" / "77.incomplete").write_bytes(b"half")
    begun = {info.id: info for info in catalog.refresh()}["org/early"]
    assert "its download has not ended" in begun.problem
    assert begun.unfinished


@pytest.mark.parametrize(
    ("cut", "problem"),
    [
        (lambda data: data[: len(data) // 2], r"incomplete: model.safetensors has [\d,]+ of [\d,]+ bytes"),
        (lambda data: data[:100], r"incomplete: model.safetensors ends inside its header"),
        (lambda data: data[:4], r"incomplete: model.safetensors ends inside its header \(4 bytes\)"),
        (lambda data: b"", r"incomplete: model.safetensors ends inside its header \(0 bytes\)"),
        (lambda data: data + b"x", r"1 bytes too many"),
        (lambda data: data[:8] + b"}" + data[9:], r"is no safetensors file"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", r"Git LFS pointer"),
    ],
)
def test_truncated_and_corrupt_weights_are_a_problem(build, tmp_path, cut, problem):
    folder = build(tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(cut(weights.read_bytes()))
    assert re.search(problem, info_of(folder).problem)


@pytest.mark.parametrize(
    "header", [b"[]", b'{"a": 1}', b'{"a": {"dtype": "F32"}}', b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[]}}']
)
def test_a_header_of_another_shape_is_broken(build, tmp_path, header):
    folder = build(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "broken header" in info_of(folder).problem


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model_type": ', "\x00\x01", "[" * 100_000])
def test_a_broken_config_is_a_problem_and_no_crash(build, tmp_path, content):
    info = info_of(build(tmp_path / "m", files={"config.json": content}))
    assert info.problem is not None
    assert "config.json is broken" in info.problem


def test_a_config_of_strange_types_is_no_crash(build, tmp_path):
    strange = {"model_type": "qwen3", "architectures": "Qwen3ForCausalLM", "quantization": [4], "rope_scaling": 3}
    strange |= {"hidden_size": "big", "num_hidden_layers": -1, "text_config": 5, "layer_types": {}}
    info = info_of(build(tmp_path / "m", strange))
    assert info.kind is ModelKind.TEXT
    assert info.problem is None


def test_a_config_and_no_weights_is_hidden_in_the_cache(catalog, build, add_to_cache, tmp_path):
    add_to_cache("org/tokenizer-only", build(tmp_path / "m", tensors={}))
    info = catalog.get("org/tokenizer-only")
    assert info.foreign
    assert info.problem == "incomplete: only its configuration is on disk, no weights (*.safetensors)"


def test_no_tokenizer_is_incomplete(build, tmp_path):
    folder = build(tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    assert info_of(folder).problem == "incomplete: no tokenizer (tokenizer.json or tokenizer.model)"


def test_text_weights_under_a_name_that_mlx_lm_does_not_read(build, tmp_path):
    folder = build(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    assert "model*.safetensors" in info_of(folder).problem


def test_a_models_own_code_is_refused_until_it_is_allowed(build, tmp_path):
    folder = build(
        tmp_path / "m", {"model_type": "qwen3", "model_file": "mine.py"}, files={"mine.py": "raise SystemExit"}
    )
    refused = info_of(folder)
    assert refused.needs_code
    assert 'add "m" to allow_code' in refused.problem
    assert "mine.py" in refused.problem
    allowed = describe(Found("m", folder, "folder"), look(folder), allow_code=frozenset({"m"}))
    assert allowed.needs_code
    assert allowed.problem is None


def test_auto_map_counts_only_where_it_would_be_followed(build, tmp_path):
    mapped = json.dumps({"auto_map": {"AutoTokenizer": ["tokenization_x.XTokenizer", None]}})
    native = build(tmp_path / "a", files={"tokenizer_config.json": mapped})
    assert not info_of(native).needs_code
    own = build(tmp_path / "b", files={"tokenizer_config.json": mapped, "tokenizer.model": "x"})
    (own / "tokenizer.json").unlink()
    assert info_of(own).needs_code
    trusting = {"model_type": "molmo", "auto_map": {"AutoProcessor": "preprocessing_molmo.MolmoProcessor"}}
    assert info_of(build(tmp_path / "c", trusting, {"vision.weight": np.zeros(4)})).needs_code
    careful = {**QWEN2_VL_2B, "auto_map": {"AutoProcessor": "x.Y"}}
    assert not info_of(build(tmp_path / "d", careful, {"visual.weight": np.zeros(4)})).needs_code


def test_a_number_that_python_does_not_read_is_told_in_our_words(build, tmp_path):
    info = info_of(build(tmp_path / "m", files={"config.json": '{"vocab_size": ' + "1" * 100_000 + "}"}))
    assert (
        info.problem == "config.json is broken: it holds a number of more than 4,300 digits; download the model again"
    )
