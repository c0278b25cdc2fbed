"""Tokens spelled: byte-level BPE and SentencePiece, whatever their decoders drop, and tokenizers of other kinds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlx_lm import tokenizer_utils

from core.calls.events import GenerationResult, TokenLogprob
from core.mlx.decoding.output import OutputParser
from core.mlx.models.formats import Markers
from core.mlx.models.spelling import find_spelling
from core.pocket import MODELS_DIR

SPACE = "\u2581"
REPLACED = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
BYTES = [REPLACED, {"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
DECODERS: dict[str, dict[str, Any]] = {
    "stripping": {"type": "Sequence", "decoders": [*BYTES, STRIP]},
    "keeping": {"type": "Sequence", "decoders": BYTES},
    "metaspace": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False},
    "of no known kind": {
        "type": "Sequence",
        "decoders": [*BYTES, {"type": "Strip", "content": "~", "start": 1, "stop": 0}],
    },
    "word pieces": {"type": "WordPiece", "prefix": "##", "cleanup": True},
}
LETTERS = [chr(code) for code in range(33, 127)]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By their decoders: SentencePiece with a token for each byte, and the pocket model's of byte-level BPE."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), SPACE, *LETTERS, f"{SPACE}a", "##b", "the"]
    model = {
        "type": "BPE",
        "vocab": {piece: number for number, piece in enumerate(pieces)},
        "merges": [f"{SPACE} a"],
        "unk_token": "<unk>",
        "byte_fallback": True,
        "fuse_unk": True,
    }
    normalizer = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    made: dict[str, Any] = {"byte level": tokenizer_utils.load(MODELS_DIR / "qwen3")}
    for name, decoder in DECODERS.items():
        folder = tmp_path_factory.mktemp("tokenizer")
        whole = {"version": "1.0", "added_tokens": [], "normalizer": normalizer, "model": model, "decoder": decoder}
        (folder / "tokenizer.json").write_text(json.dumps(whole))
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        made[name] = tokenizer_utils.load(folder)
    return made


def shown(tokenizer: Any, tokens: list[int]) -> GenerationResult:
    """An answer of these tokens, by the way of a row."""
    spell, detokenizer = find_spelling(tokenizer._tokenizer), tokenizer.detokenizer
    parser, result = OutputParser(Markers()), GenerationResult()
    events = []
    for token in tokens:
        detokenizer.add_token(token)
        raw = spell(token)
        scored = TokenLogprob(token, raw.decode("utf-8", "replace"), -1.0, raw=raw)
        events += parser.push(detokenizer.last_segment, scored)
    detokenizer.finalize()
    events += parser.push(detokenizer.last_segment.rstrip("\ufffd"))
    for event in events + parser.finish():
        result.add(event)
    return result


@pytest.mark.parametrize("name", ["byte level", *DECODERS])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("a b\nü日🙂~#."), min_size=1, max_size=12))
def test_tokens_join_to_the_text(tokenizers: dict[str, Any], name: str, text: str) -> None:
    tokenizer = tokenizers[name]
    result = shown(tokenizer, tokenizer.encode(text, add_special_tokens=False))
    assert "".join(one.text for one in result.logprobs) == result.text
    assert b"".join(one.raw or b"" for one in result.logprobs) == result.text.encode()


@pytest.mark.parametrize("name", ["byte level", "stripping", "keeping", "of no known kind"])
def test_each_token_has_its_own_bytes_and_its_space(tokenizers: dict[str, Any], name: str) -> None:
    tokenizer = tokenizers[name]
    tokens = tokenizer.encode("x ü 🙂", add_special_tokens=False)
    result = shown(tokenizer, tokens)
    assert result.text == "x ü 🙂"
    assert [one.token_id for one in result.logprobs] == tokens
    raw = [one.raw for one in result.logprobs]
    assert raw[-4:] == [b"\xf0", b"\x9f", b"\x99", b"\x82"]
    assert b"\xc3" in raw
    assert [one.text for one in result.logprobs][-4:] == ["", "", "", "🙂"]


def test_a_number_beyond_the_vocabulary_is_spelled_as_it_is_decoded(tokenizers: dict[str, Any]) -> None:
    for tokenizer in tokenizers.values():
        assert (
            find_spelling(tokenizer._tokenizer)(len(tokenizer) + 5) == tokenizer.decode([len(tokenizer) + 5]).encode()
        )
