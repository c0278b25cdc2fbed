"""Where things of different heights stand, reckoned anew only where something has changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.chat.column import Column

CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.lists(st.integers(1, 9), max_size=4)),
        st.tuples(st.just("cut"), st.integers(0, 12)),
        st.tuples(st.just("set"), st.integers(0, 12), st.integers(1, 9)),
        st.tuples(st.just("look"), st.integers(-3, 60)),
    ),
    max_size=30,
)


@given(CHANGES)
def test_positions_are_those_of_a_list_of_heights(changes: list[tuple[str, object]]) -> None:
    column, heights = Column(), list[int]()
    for change in changes:
        match change:
            case ("extend", list(more)):
                column.extend(more)
                heights += more
            case ("cut", int(length)):
                column.cut(length)
                del heights[length:]
            case ("set", int(index), int(height)) if index < len(heights):
                column.set(index, height)
                heights[index] = height
            case ("look", int(position)) if heights:
                rows = [index for index, height in enumerate(heights) for _ in range(height)]
                assert column.at(position) == rows[max(0, min(position, len(rows) - 1))]
        assert len(column) == len(heights)
    assert column.height == sum(heights)
    assert [column.top(index) for index in range(len(heights) + 1)] == [
        sum(heights[:n]) for n in range(len(heights) + 1)
    ]


def test_what_lies_between_two_lines() -> None:
    column = Column()
    assert column.between(0, 10) == range(0)
    column.extend([3, 2, 4])
    assert column.between(0, 3) == range(1)
    assert column.between(2, 6) == range(3)
    assert column.between(5, 99) == range(2, 3)


def test_what_was_set_is_known_until_it_is_estimated_again() -> None:
    column = Column()
    column.extend([3, 2])
    column.set(1, 7)
    assert [column.is_exact(0), column.is_exact(1)] == [False, True]
    column.set(1, 4, exact=False)
    assert (column.is_exact(1), column.height_of(1), column.height) == (False, 4, 7)
