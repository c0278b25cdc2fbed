"""Embedding models with random weights, small enough to be made by a test: real architectures, no meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

TEXT = "the a cat dog sat on mat ship harbour sea left at dawn cold bread oven warm loaf runs over red car"
WORDS = TEXT.split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]

BERT = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 32,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": len(SPECIAL) + len(WORDS),
}
QWEN3 = {
    "architectures": ["Qwen3Model"],
    "model_type": "qwen3",
    "head_dim": 16,
    "hidden_size": 48,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "vocab_size": len(SPECIAL) + len(WORDS),
}


RERANKERS: dict[str, dict[str, object]] = {
    "bert": {**BERT, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}},
    "xlm-roberta": {
        **BERT,
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaForSequenceClassification"],
        "pad_token_id": 0,
        "type_vocab_size": 1,
    },
    "modernbert": {
        **BERT,
        "model_type": "modernbert",
        "architectures": ["ModernBertForSequenceClassification"],
        "pad_token_id": 0,
    },
}


def make_reranker(folder: Path, config: Mapping[str, object]) -> Path:
    """A folder with a classifier of pairs of texts that has one label."""
    from mlx_vlm.reranker_loader import SEQUENCE_CLASSIFIER_MODEL_REMAPPING
    from mlx_vlm.utils import get_model_and_args

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    kind = str(config["model_type"])
    changed = {**config, "model_type": SEQUENCE_CLASSIFIER_MODEL_REMAPPING.get(kind, kind), "num_labels": 1}
    module, _ = get_model_and_args(changed)
    mx.random.seed(1)
    model = module.SequenceClassificationModel(module.ModelConfig.from_dict(changed))
    drawn = {
        name: mx.random.normal(value.shape) * 0.3 if value.ndim > 1 else value
        for name, value in tree_flatten(model.parameters())
    }
    mx.save_safetensors(str(folder / "model.safetensors"), drawn, {"format": "mlx"})
    write_tokenizer(folder, int(str(config["max_position_embeddings"])), segments=config["model_type"] == "bert")
    return folder


def make_embedder(folder: Path, config: dict[str, object], pooling: str | None = None, seed: int = 0) -> Path:
    """A model folder as sentence-transformers lays one out; `pooling` is written to 1_Pooling/config.json."""
    from mlx_vlm.embedding_loader import EMBEDDING_MODEL_REMAPPING
    from mlx_vlm.utils import get_model_and_args

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modules.json").write_text("[]")
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": pooling}))
    kind = str(config["model_type"])
    module, _ = get_model_and_args({**config, "model_type": EMBEDDING_MODEL_REMAPPING.get(kind, kind)})
    mx.random.seed(seed)
    model = module.Model(module.ModelConfig.from_dict(config))
    weights = dict(tree_flatten(model.parameters()))
    # Fresh layers are near the identity, and every text would mean nearly the same.
    drawn = {name: mx.random.normal(value.shape) * 0.3 for name, value in weights.items() if value.ndim > 1}
    weights = {name: drawn.get(name, value) for name, value in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    write_tokenizer(folder, int(str(config["max_position_embeddings"])))
    return folder


def write_tokenizer(folder: Path, length: int, segments: bool = False) -> None:
    """Words to numbers, with [CLS] before and [SEP] after; with `segments`, it says which of two texts is which."""
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length, **names}
    if segments:
        config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
