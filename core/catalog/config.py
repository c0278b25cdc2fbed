"""Readings of config.json that more than one question needs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.catalog.bounds import read_file

CHOSEN_EXPERTS = (
    *("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts", "moe_top_k", "moe_k"),
    "experts_per_token",
)
"""The fields that say how many experts work on a token."""
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config")


def read_json(file: Path) -> dict[str, Any] | None:
    """A JSON object from a file, or None when there is no such file.

    Raises ValueError, with a sentence, when the file is there and is no JSON object, no regular file or too
    long (`core.catalog.bounds`).
    """
    try:
        value = json.loads(read_file(file).decode("utf-8-sig"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file.name} is broken: {error}") from error
    except ValueError as error:  # Python reads no longer integers, and would name a function of its own
        digits = sys.get_int_max_str_digits()
        raise ValueError(f"{file.name} is broken: it holds a number of more than {digits:,} digits") from error
    except OSError as error:
        raise ValueError(f"{file.name} cannot be read: {error.strerror or error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} is broken: it holds a {type(value).__name__}, not an object")
    return value


def model_type(config: Mapping[str, Any]) -> str:
    """config.json's model_type, or "" where it has none."""
    value = config.get("model_type")
    return value if isinstance(value, str) else ""


def architectures(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names that the checkpoint was saved from."""
    value = config.get("architectures") or ()
    return (value,) if isinstance(value, str) else tuple(name for name in value if isinstance(name, str))


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a config: its text_config where it has one, else the whole.

    A nested part inherits what only the top level says.
    """
    for name in _TEXT_PARTS:
        part = config.get(name)
        if isinstance(part, dict) and part:
            inner = text_part(part)
            return {**{key: value for key, value in config.items() if not isinstance(value, dict)}, **inner}
    return config


def number(config: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that holds a positive, finite number, as an integer."""
    for name in names:
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if math.isfinite(value) and 0 < value < 2**62:
            return int(value)
    return None
