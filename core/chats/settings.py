"""What goes with every request of a chat, and its spelling as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.calls.requests import Tool, tool_to_json

DEFAULT_MAX_TOKENS = 1024


@dataclass(frozen=True)
class ChatSettings:
    """What is sent beside the messages. None leaves the choice to the model's own defaults."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    thinking: bool | None = None
    tools: tuple[Tool, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every setting as a JSON value."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"tools": [tool_to_json(tool) for tool in self.tools]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ChatSettings:
        """What `to_json` wrote, keys of a later version aside. Raises KeyError or TypeError for others."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        return cls(**known | {"tools": tuple(Tool(**tool) for tool in value["tools"])})
