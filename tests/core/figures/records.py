"""Figures as tests want them."""

from __future__ import annotations

from typing import Any

from core.figures.figure import Figure, Use
from core.figures.shape import Shape
from core.figures.store import Kept, Versions

HERE = "a machine, 8 GB"
VERSIONS = Versions("0.1.0", "0.32.4", "0.32.2", "0.7.10")


def shape(token_bytes: int = 1_000_000_000, active: int = 2_000_000_000, **changed: Any) -> Shape:
    told = {"kind": "text", "family": "qwen3", "quantisation": "4bit-g64", "parameters": active, "held": "packed"}
    return Shape(**{**told, "active": active, "token_bytes": token_bytes, "weights": token_bytes, **changed})


def kept(model: str = "a/model", of: Shape | None = None, revision: str = "", **changed: Any) -> Kept:
    """A figure of an answer alone to a short prompt, where nothing else is said."""
    versions = changed.pop("versions", VERSIONS)
    told = {"use": Use.TEXT, "source": "chat", "machine": HERE, "precision": "float16", "at": 1.0, "prompt_tokens": 20}
    return Kept(Figure(model=model, **{**told, **changed}), revision, of or shape(), versions)
