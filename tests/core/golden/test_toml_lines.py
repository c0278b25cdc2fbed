"""Lines of keys in TOML."""

from __future__ import annotations

import pytest

from core.golden.toml_lines import TomlLines

TEXT = '''\
# format = 9
format = 1
[defaults]
"max_tokens" = 3
[tiers.quick]
vision = [
  "a", # [ no bracket
  "b]",
]
text = """
format = 3
"""
[[case]]
id = "red"
expect.full = { all = ["x"],
                ny = 3 }
[[case]]
id = 'blue'
  [case.controls]
  swap = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("format",), 2),
        (("defaults",), 3),
        (("defaults", "max_tokens"), 4),
        (("tiers", "quick", "vision", 1), 6),
        (("tiers", "quick", "text"), 10),
        (("case", 0, "id"), 14),
        (("case", 0, "expect", "full", "ny"), 16),
        (("case", 1, "id"), 18),
        (("case", 1, "controls", "swap"), 20),
        (("case", 1, "nothing"), 17),
        (("nothing",), None),
    ],
)
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int | None) -> None:
    assert TomlLines(TEXT).line(path) == line
