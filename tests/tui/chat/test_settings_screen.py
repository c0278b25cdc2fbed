"""What is typed into the settings, read or refused with a sentence."""

from __future__ import annotations

import pytest

from core.calls.requests import Tool
from tui.chat.settings_screen import BadSetting, read_number, read_tools, write_tools


def test_an_empty_field_leaves_the_models_default() -> None:
    assert read_number("Temperature", "  ", float, 0, 2) is None


def test_numbers_are_read() -> None:
    assert read_number("Temperature", " 0.7 ", float, 0, 2) == 0.7
    assert read_number("Seed", "42", int, 0, 100) == 42


@pytest.mark.parametrize("text", ["warm", "1.5", "-1", "101", "nan"])
def test_other_values_are_refused_with_the_field_and_the_reason(text: str) -> None:
    with pytest.raises(BadSetting, match=r"^Seed is "):
        read_number("Seed", text, int, 0, 100)


def test_not_a_number_is_no_temperature() -> None:
    with pytest.raises(BadSetting, match="between 0 and 2"):
        read_number("Temperature", "nan", float, 0, 2)


def test_tools_are_read_bare_and_wrapped_and_written_back() -> None:
    weather = Tool("get_weather", "Weather", {"type": "object", "properties": {"location": {"type": "string"}}})
    bare = write_tools((weather,))
    assert read_tools(bare) == (weather,)
    assert read_tools('[{"type": "function", "function": ' + bare[1:-1] + "}]") == (weather,)
    assert read_tools("") == ()
    assert write_tools(()) == ""


@pytest.mark.parametrize("text", ["{", "[1]", '[{"description": "no name"}]', '[{"name": "x", "parameters": 3}]'])
def test_tools_that_cannot_be_sent_are_refused(text: str) -> None:
    with pytest.raises(BadSetting):
        read_tools(text)
