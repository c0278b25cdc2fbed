"""The built-in models: what they are called and where their files lie.

A pocket model is a few megabytes, trained by this project, of an architecture that mlx-lm or mlx-vlm loads unchanged:
with them every part of Assay works and is tested on a machine that is offline and has downloaded nothing. This module
imports nothing heavy: the catalog reads it at start-up.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MODELS_DIR = Path(__file__).parent / "models"


@dataclass(frozen=True)
class PocketModel:
    """A model that ships inside the package."""

    id: str
    folder: Path
    """Holds config.json, model.safetensors and the tokenizer, as `mlx_lm.load` and `mlx_vlm.load` expect them."""
    kind: Literal["text", "vision"]
    tier: Literal["quick", "full"]
    summary: str


POCKET_MODELS: tuple[PocketModel, ...] = (
    PocketModel(
        "pocket/qwen3",
        MODELS_DIR / "qwen3",
        "text",
        "quick",
        "A tiny chat model: calls tools, thinks aloud, knows capitals, translates short sentences.",
    ),
    PocketModel(
        "pocket/qwen2-vl",
        MODELS_DIR / "qwen2-vl",
        "vision",
        "quick",
        "A tiny vision model: names shapes and colours, compares two images, reads short texts.",
    ),
    PocketModel(
        "pocket/gemma3",
        MODELS_DIR / "gemma3",
        "vision",
        "full",
        "The larger of the tiny vision models: the same skills, more of them right.",
    ),
)
