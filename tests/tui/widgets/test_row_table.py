"""Tables fit the width that they have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from tui.models.columns import COLUMNS as MODELS
from tui.widgets.row_table import GAP, Column, fitted, row_content
from tui.wire.pane import COLUMNS as WIRE


@given(st.integers(30, 250))
def test_columns_never_take_more_than_the_width(width: int) -> None:
    for columns in (MODELS, WIRE):
        shown = fitted(columns, width)
        taken = sum(cells for _, cells in shown) + GAP * (len(shown) - 1)
        assert taken <= max(width, 48)
        if width >= 48:
            assert taken == width


def test_wider_tables_show_more() -> None:
    counts = [len(fitted(MODELS, width)) for width in range(30, 200)]
    assert counts == sorted(counts)
    assert counts[-1] == len(MODELS)


def test_cells_are_padded_cut_and_aligned() -> None:
    row = row_content([(Content("ab"), 4, False), (Content("7"), 3, True), (Content("too long"), 4, False)])
    assert row.plain == "ab      7  too…"


def test_a_roomy_column_takes_the_place_of_the_short_one() -> None:
    columns = [Column("a", "ctx", 3, roomy=Column("a", "context", 7, 50)), Column("b", "b")]
    assert [column.label for column, _ in fitted(columns, 49)] == ["ctx", "b"]
    assert [column.label for column, _ in fitted(columns, 50)] == ["context", "b"]


def test_names_take_no_more_than_they_need() -> None:
    columns = [Column("a", "a"), Column("b", "b", 5)]
    assert [cells for _, cells in fitted(columns, 200, widest=30)] == [30, 5]
    assert [cells for _, cells in fitted(columns, 20, widest=30)] == [13, 5]


def test_the_flexible_column_takes_what_is_left() -> None:
    columns = [Column("a", "a", 5), Column("b", "b")]
    assert fitted(columns, 40)[1][1] == 40 - 5 - GAP
