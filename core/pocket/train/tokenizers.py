"""Byte-level BPE tokenizers for the pocket models, built the same way on every machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How text is cut before merging: Qwen2's published pattern (tokenizer.json of Qwen/Qwen2-0.5B), one digit a token."""

SPLIT_NAMES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)| ?\p{Ll}[\p{L}\p{M}]*|\p{L}[\p{L}\p{M}]*|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The same, but a capitalised word never takes the space before it: ` Tokyo`, `"Tokyo"` and `Tokyo` share their tokens,
so that copying a name is copying tokens."""


def train_bpe(
    texts: Iterable[str],
    vocab_size: int,
    special: list[str],
    markers: list[str],
    min_frequency: int = 2,
    split: str = SPLIT,
) -> Tokenizer:
    """Learn a byte-level BPE of exactly `vocab_size` tokens, fewer if the texts run out of merges.

    `special` tokens are left out of decoded text; `markers` (such as <think>) are single tokens that stay in it. Both
    count towards `vocab_size` and take the last ids. Deterministic for the same texts in the same order.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(special) - len(markers),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=min_frequency,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in markers])
    return tokenizer


def save_tokenizer(
    tokenizer: Tokenizer, folder: Path, *, eos: str, pad: str, special: list[str], chat_template: str, max_length: int
) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja as transformers 5 reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": eos,
        "pad_token": pad,
        "extra_special_tokens": [token for token in special if token not in (eos, pad)],
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
