"""The marks before a model's name on the Hub."""

from __future__ import annotations

PART, OLDER, HERE, GATED, CODE = "◔", "↻", "✓", "§", "λ"
MARKS = {
    HERE: "A model of the Hub is on this disk",
    OLDER: "Another revision of it is on this disk",
    PART: "A part of it is on this disk: its download has not ended",
    GATED: "Its licence has to be accepted before a download",
    CODE: "It has code of its own, which runs where settings allow it",
}
