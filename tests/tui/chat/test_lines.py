"""Text laid out into lines, and put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content
from textual.style import Style

from tui.chat.lines import indented, text_lines, text_of, wrapped
from tui.widgets.look import Look

LOOK = Look(Style(), lambda style: style if isinstance(style, Style) else Style())
WORDS = st.text(st.sampled_from("ab c漢-\n"), max_size=120)


@given(WORDS, st.integers(8, 40), st.booleans())
def test_no_line_is_too_wide_and_nothing_is_lost(text: str, width: int, code: bool) -> None:
    lines = list(wrapped(Content(text), width, code))
    assert all(line.cell_length <= width for line, _ in lines)
    whole = "".join(
        (("\n" if number else "") if joint is None else joint) + line.plain
        for number, (line, joint) in enumerate(lines)
    )
    assert whole == text if code else whole.split() == text.split()


@pytest.mark.parametrize("width", [8, 11, 30])
def test_broken_lines_become_whole_again_without_their_indent(width: int) -> None:
    text = "one two three-and-a-half averyverylongwordindeed five"
    bar = LOOK.strip(Content("> "))
    lines = indented(indented(text_lines(Content(text), width, LOOK), bar, bar), LOOK.blank(3), LOOK.blank(3))
    assert text_of(lines) == f"   > {text}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("    x = 1  # a open path", ["    x = 1  # a open", "path"]),
        ('box(1, fill="green", width=2)', ['box(1, fill="green",', "width=2)"]),
        ('draw_a_box(1, fill="green")', ["draw_a_box(1,", 'fill="green")']),
        ('say(1, "it is", "green")', ['say(1, "it is",', '"green")']),
        ("https://example.com/a/b", ["https://example.com/", "a/b"]),
        ("a" * 45, ["a" * 20, "a" * 20, "a" * 5]),
    ],
)
def test_code_is_broken_at_blanks_or_between_words_where_one_is_near(text: str, lines: list[str]) -> None:
    assert [line.plain for line, _ in wrapped(Content(text), 20, code=True)] == lines
