"""The screen of keys explains the short words."""

from __future__ import annotations

from tui.golden.verdicts import SIGNS
from tui.screens.keys import keys_content


def test_what_is_short_elsewhere_is_explained() -> None:
    text = keys_content().plain
    for short in ("TTFT  Time to the first token", "evicts  Fits once other models are unloaded", "≠  ", "ctx  "):
        assert short in text
    assert all(f" {sign}  A golden prompt: " in text for sign in SIGNS.values())
