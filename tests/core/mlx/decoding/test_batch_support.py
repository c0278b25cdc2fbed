"""What the rows of a model may do together is found by trying."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlx_lm import load

from core.mlx.decoding.batch_support import Batching, find_batching
from tests.tiny.text_shapes import VOCABULARY
from tests.tiny.texts import make_text_model


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("qwen3_next", Batching.ALWAYS),
        ("gpt_oss", Batching.ALWAYS),
        ("nemotron_h", Batching.DECODE),  # reads padding into its state
        ("rwkv7", Batching.DECODE),
        ("gemma2", Batching.NEVER),  # takes rows for heads
        ("llama4", Batching.NEVER),  # chunks cannot be merged
    ],
)
def test_each_model_is_asked_what_its_rows_may_share(name: str, found: Batching, tmp_path: Path) -> None:
    model = load(str(make_text_model(name, tmp_path / name)))[0]
    assert find_batching(model, VOCABULARY) is found
