"""A model's card: the README.md of its repository, as Markdown that is safe to show."""

from __future__ import annotations

import re

from core.hub.client import read_bytes
from core.hub.repository import Facts
from core.text_safety import clean

MOST = 300_000
"""Bytes of a card that are read; behind them is nothing that anybody would scroll to."""
_FRONT = re.compile(r"\A---[ \t]*\n.*?\n---[ \t]*(?:\n|\Z)", re.DOTALL)


def read_card(facts: Facts) -> str:
    """The card without its front matter and control characters. Raises HubError, HubNotFound where there is none."""
    return card_text(read_bytes(facts.id, "README.md", facts.commit, 0, MOST - 1))


def card_text(content: bytes) -> str:
    """Markdown out of a README.md: what is no UTF-8 becomes replacement characters."""
    text = clean(content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n"))
    return _FRONT.sub("", text, count=1).strip() + "\n"
