"""Audio models with random weights, small enough to be made by a test: they make noise and hear nothing."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel, Split

WHISPER = {
    "model_type": "whisper",
    "n_mels": 16,
    "n_audio_ctx": 1500,
    "n_audio_state": 16,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_text_ctx": 24,
    "n_text_state": 16,
    "n_text_head": 2,
    "n_text_layer": 1,
}
SOPRANO = {
    "model_type": "soprano",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
    "vocab_size": 4,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "sample_rate": 32000,
}


def make_whisper(folder: Path) -> Path:
    """An English-only Whisper of one layer, in float16 as they come."""
    from mlx_audio.stt.models.whisper.whisper import Model, ModelDimensions

    folder.mkdir(parents=True)
    specials = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"]
    specials += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    specials += [f"<|{place * 0.02:.2f}|>" for place in range(1501)]
    letters = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: place for place, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(specials)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "WhisperTokenizer", **end}))
    (folder / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    features = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": WHISPER["n_mels"]}
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    config = {**WHISPER, "n_vocab": len(letters) + len(specials)}
    return _save(folder, config, Model(ModelDimensions.from_dict(config)), mx.float16)


def make_soprano(folder: Path) -> Path:
    """A Soprano of one layer that answers each line with the same two tokens, which are 4096 samples at 32 kHz."""
    from mlx_audio.tts.models.soprano.soprano import Model, ModelConfig

    folder.mkdir(parents=True)
    words = ["[STOP]", "[TEXT]", "[START]", "[UNK]"]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex(r"\[[A-Z]+\]|."), "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[STOP]", "eos_token": "[STOP]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
    model = Model(ModelConfig.from_dict({**SOPRANO, "model_path": str(folder)}))
    language = model.language_model
    size = SOPRANO["hidden_size"]
    language.embed_tokens.weight = mx.eye(len(words), size)
    language.layers[0].self_attn.o_proj.weight *= 0
    language.layers[0].mlp.down_proj.weight *= 0
    follows = {2: 3, 3: 1, 1: 0}  # [START] -> [UNK] -> [TEXT] -> [STOP]
    logits = [[9.0 if follows.get(column) == row else 0.0 for column in range(size)] for row in range(len(words))]
    language.lm_head.weight = mx.array(logits)
    return _save(folder, SOPRANO, model, mx.float16)


def _save(folder: Path, config: dict[str, Any], model: Any, dtype: mx.Dtype) -> Path:
    mx.random.seed(0)
    weights = dict(tree_flatten(model.parameters()))
    weights = {name: (value * 0.5).astype(dtype) for name, value in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def tone(seconds: float, rate: int = 16_000, hertz: float = 440.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A quiet sine, float32."""
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def wav(samples: np.ndarray[Any, Any], rate: int = 16_000) -> bytes:
    """A WAV file: shape (n,) for one channel, (n, channels) for more."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def silent_mp3(seconds: float) -> bytes:
    """MPEG-1 layer III frames of 1152 samples at 44.1 kHz, 128 kbit/s, mono, with nothing in them."""
    frame = bytes([0xFF, 0xFB, 0x90, 0xC4]) + bytes(413)
    return frame * max(1, round(seconds * 44_100 / 1152))
