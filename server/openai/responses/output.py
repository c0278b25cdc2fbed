"""The items of an answer as they grow: which events tell of each, and what it is in the end."""

from __future__ import annotations

import uuid
from typing import Any

from server.openai.responses.items import sealed

Events = list[dict[str, Any]]
"""Events without their sequence numbers."""


class Item:
    """An item at place `index` of the output. `status` is "in_progress" until it is closed."""

    prefix = ""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = f"{self.prefix}_{uuid.uuid4().hex}"
        self.status = "in_progress"
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def body(self) -> dict[str, Any]:
        """The item as it stands."""
        raise NotImplementedError

    def open(self) -> Events:
        """What comes before the first delta."""
        return [self._whole("added")]

    def add(self, text: str, logprobs: list[dict[str, Any]]) -> Events:
        """A piece of it."""
        raise NotImplementedError

    def close(self, status: str) -> Events:
        """What comes after the last delta."""
        self.status = status
        return [self._whole("done")]

    def _whole(self, what: str) -> dict[str, Any]:
        return {"type": f"response.output_item.{what}", "output_index": self.index, "item": self.body()}

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "item_id": self.id, "output_index": self.index, **fields}


class Text(Item):
    """A message of one text."""

    prefix = "msg"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._logprobs: list[dict[str, Any]] = []

    def body(self) -> dict[str, Any]:
        content = [] if self.status == "in_progress" and not self.pieces else [self._part()]
        return {"id": self.id, "type": "message", "status": self.status, "role": "assistant", "content": content}

    def open(self) -> Events:
        return [*super().open(), self._event("content_part.added", content_index=0, part=self._part())]

    def add(self, text: str, logprobs: list[dict[str, Any]]) -> Events:
        self.pieces.append(text)
        self._logprobs += logprobs
        return [self._event("output_text.delta", content_index=0, delta=text, logprobs=logprobs)]

    def close(self, status: str) -> Events:
        done = self._event("output_text.done", content_index=0, text=self.text, logprobs=list(self._logprobs))
        return [
            done,
            self._event("content_part.done", content_index=0, part=self._part()),
            *super().close(status),
        ]

    def _part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": list(self._logprobs)}


class Thinking(Item):
    """What a model thought: as it is, or in the place of a summary. With `sealing`, also as encrypted_content."""

    prefix = "rs"

    def __init__(self, index: int, *, summarised: bool, sealing: bool) -> None:
        super().__init__(index)
        self._summarised = summarised
        self._sealing = sealing
        kind = "summary_text" if summarised else "reasoning_text"
        self._kind = kind
        self._place = {"summary_index": 0} if summarised else {"content_index": 0}
        self._delta = "reasoning_summary_text" if summarised else "reasoning_text"
        self._part_event = "reasoning_summary_part" if summarised else "content_part"

    def body(self) -> dict[str, Any]:
        parts = [self._part()] if self.pieces else []
        shown = {"summary": parts} if self._summarised else {"summary": [], "content": parts}
        secret = {"encrypted_content": sealed(self.text)} if self._sealing and self.status != "in_progress" else {}
        return {"id": self.id, "type": "reasoning", "status": self.status, **shown, **secret}

    def open(self) -> Events:
        return [*super().open(), self._event(f"{self._part_event}.added", part=self._part(), **self._place)]

    def add(self, text: str, logprobs: list[dict[str, Any]]) -> Events:
        self.pieces.append(text)
        return [self._event(f"{self._delta}.delta", delta=text, **self._place)]

    def close(self, status: str) -> Events:
        return [
            self._event(f"{self._delta}.done", text=self.text, **self._place),
            self._event(f"{self._part_event}.done", part=self._part(), **self._place),
            *super().close(status),
        ]

    def _part(self) -> dict[str, Any]:
        return {"type": self._kind, "text": self.text}


class Call(Item):
    """A function's call, number `number` of the answer. `name` is its namespace, "" for none, and its own.

    One without arguments has "{}".
    """

    prefix = "fc"

    def __init__(self, index: int, call_id: str, name: tuple[str, str], number: int) -> None:
        super().__init__(index)
        self.number = number
        self._call_id = call_id
        self._namespace, self._name = name

    def body(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "call_id": self._call_id,
            "name": self._name,
            "arguments": self.text,
            **({"namespace": self._namespace} if self._namespace else {}),
        }

    def add(self, text: str, logprobs: list[dict[str, Any]]) -> Events:
        self.pieces.append(text)
        return [self._event("function_call_arguments.delta", delta=text)]

    def close(self, status: str) -> Events:
        none = self.add("{}", []) if not self.text and status == "completed" else []
        done = self._event("function_call_arguments.done", name=self._name, arguments=self.text)
        return [*none, done, *super().close(status)]
