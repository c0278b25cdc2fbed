"""What pydantic finds wrong with a table, as a sentence."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from core.golden.nearest import did_you_mean


def sentence(root: type[BaseModel], path: tuple[str | int, ...], fault: Mapping[str, Any]) -> str:
    """What pydantic found, in a sentence: an unknown key with the nearest known one, or a value and what is allowed."""
    key = ".".join(str(step) for step in path if isinstance(step, str)) or "the file"
    if fault["type"] == "extra_forbidden":
        return f'There is no key "{path[-1]}" here{did_you_mean(str(path[-1]), _keys(root, path))}.'
    if fault["type"] == "missing":
        return f'"{path[-1]}" is missing.'
    allowed = fault["msg"].removeprefix("Value error, ")
    return f"{key} cannot be {fault['input']!r}: {allowed[0].lower()}{allowed[1:]}."


def _keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys that the table around the last step of `path` may hold."""
    for step in path[:-1]:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        if step in fields:
            model = _model_in(fields[str(step)].annotation) or model
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
