"""Long texts are counted in pieces, as if they were tokenized as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Encoding, Tokenizer

from core.mlx.models.too_long import by_pieces, hopeless
from core.pocket import MODELS_DIR

TOKENIZERS = {name: Tokenizer.from_file(str(MODELS_DIR / name / "tokenizer.json")) for name in ("qwen3", "gemma3")}
RUNS = st.builds(
    lambda text, times: text * times,
    st.text(min_size=1, max_size=12)
    | st.sampled_from(["?", "word ", "\n", "  ", "\U0001f600", "e\u0301", "<|im_end|>"]),
    st.integers(1, 120),
)
TEXTS = st.lists(RUNS, max_size=8).map("".join)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_pieces_have_as_many_tokens_as_the_whole(name: str, text: str) -> None:
    def encode(piece: str) -> Encoding:
        return TOKENIZERS[name].encode(piece, add_special_tokens=False)

    tokens = [token for part, which in by_pieces(text, encode, piece=200, overlap=64) for token in part.ids[which]]
    assert tokens == encode(text).ids


def test_a_text_in_which_pieces_never_agree_is_taken_as_a_whole() -> None:
    class One:
        """A token, however long the text."""

        def __init__(self, text: str) -> None:
            self._length = len(text)

        def __len__(self) -> int:
            return 1

        def token_to_chars(self, number: int, /) -> tuple[int, int]:
            return (0, self._length)

    assert [which for _, which in by_pieces("x" * 1000, One, piece=100, overlap=10)] == [slice(0, 1)]


def test_text_of_twelve_characters_a_token_is_hopeless() -> None:
    assert hopeless(12 * 4096, 4096)
    assert not hopeless(12 * 4096 - 1, 4096)
