"""What events add up to."""

from __future__ import annotations

import pytest

from core.calls.events import ToolCall


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ('{"location": "Tokyo", "days": 12}', {"location": "Tokyo", "days": 12}),
        ('{"location": "Tokyo", "days": 1', {"location": "Tokyo"}),
        ('{"location": "Tokyo", "days": -1.5e', {"location": "Tokyo"}),
        ('{"location": "Tokyo", "days": 12,', {"location": "Tokyo", "days": 12}),
        ('{"location": "Tok', {}),
        ('{"a": {"b": [1, 2], "c": "x', {"a": {"b": [1, 2]}}),
        ('{"a": tru', {}),
        ("{", {}),
        ("", {}),
        ("[1, 2]", {}),
        ("not JSON", {}),
    ],
)
def test_of_arguments_that_break_off_what_is_whole_is_kept(arguments: str, whole: dict[str, object]) -> None:
    assert ToolCall("id", "look", arguments).whole == whole
