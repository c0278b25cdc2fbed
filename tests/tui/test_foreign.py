"""Text that others wrote reaches the screen as it is, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from tui.foreign import one_line, plain, shorten, shorten_path


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "bad path [/tmp/x]", "[sys:X=1]", "[@click=app.quit]go[/]"])
def test_brackets_are_shown_as_they_are(text: str) -> None:
    assert plain(text).plain == text
    assert plain(text).spans == []


def test_control_characters_are_taken_out() -> None:
    assert plain("a\x1b]52;c;eA==\x07b\x9bc\u202ed").plain == "a]52;c;eA==bcd"


def test_a_styled_text_has_one_style_from_end_to_end() -> None:
    assert plain("[x]", "bold").is_same(Content.styled("[x]", "bold"))


@given(st.text(), st.integers(0, 40))
def test_a_shortened_text_fits_and_has_no_line_breaks(text: str, width: int) -> None:
    short = shorten(text, width)
    assert cell_len(short) <= width
    assert "\n" not in short


def test_wide_characters_count_as_the_two_cells_that_they_take() -> None:
    assert shorten("中文模型-通义千问-7B", 11) == "中文…问-7B"
    assert shorten("中文", 4) == "中文"
    assert shorten("中文模", 4) == "中…"
    assert shorten_path("模型/通义", 9) == "模型/通义"
    assert shorten_path("模型/通义", 8) == "通义"


def test_both_ends_of_a_long_name_stay() -> None:
    assert shorten("gemma-3-27b-it-4bit-DWQ", 11) == "gemma…t-DWQ"


def test_a_name_that_is_too_long_loses_its_account_first() -> None:
    assert shorten_path("mlx-community/Qwen3-0.6B-4bit", 29) == "mlx-community/Qwen3-0.6B-4bit"
    assert shorten_path("mlx-community/Qwen3-0.6B-4bit", 28) == "Qwen3-0.6B-4bit"
    assert shorten_path("mlx-community/Qwen3-0.6B-4bit", 9) == "Qwen…4bit"


def test_one_line_joins_what_was_on_several() -> None:
    assert one_line(" a\n\tb\x00 c ") == "a b c"
