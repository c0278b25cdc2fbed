"""What ranks tell each other as bytes. Handles stay at home: a follower makes twins, which nobody reads."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from core.calls.audio import Speech, Transcription
from core.calls.embedding import Embedding
from core.calls.generation import Generation
from core.errors import EngineError, InvalidRequest


class Refusable(Protocol):
    """What is sent from rank 0 to the others: a plain value that can answer who waits for it when it cannot travel."""

    def refuse(self, error: EngineError) -> None: ...


Sent = TypeVar("Sent", bound=Refusable)

_Name = tuple[str, int, Any]
"""A handle's kind, the number of its object, and its request as long as the followers do not know it."""


class Sender:
    """Rank 0's side."""

    def __init__(self) -> None:
        self._told: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def pack(self, commands: Sequence[Sent]) -> tuple[bytes, list[Sent]]:
        """The bytes of those commands that can travel, b"" for none, and these commands; the others are refused."""
        packed: list[bytes] = []
        travelling: list[Sent] = []
        for command in commands:
            pickler = _Pickler(self._told)
            try:
                data = pickler.bytes_of(command)
                _Checker(data).load()  # what a follower could not read would part it from the others
            except Exception as error:  # pickle and the values' own classes raise what they like
                command.refuse(
                    InvalidRequest(
                        "The request holds a value that cannot be sent to the other machines "
                        f"({type(error).__name__}: {error}). Use plain JSON values."
                    )
                )
                continue
            self._told.update(pickler.named)
            packed.append(data)
            travelling.append(command)
        return pickle.dumps(packed) if packed else b"", travelling


class Receiver:
    """A follower's side: the twins of the handles that are still worked on."""

    def __init__(self) -> None:
        self._twins: dict[int, Any] = {}

    def unpack(self, data: bytes) -> list[Any]:
        """The commands that `Sender.pack` made bytes of. Raises UnpicklingError for anything but plain values."""
        self._twins = {number: twin for number, twin in self._twins.items() if not twin.done}
        return [_Unpickler(one, self._twins).load() for one in read_value(data)]


def write_value(value: Any) -> bytes:
    """A value without handles as bytes. Raises what pickle raises."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def read_value(data: bytes) -> Any:
    """What `write_value` made bytes of. Raises UnpicklingError for anything but plain values."""
    return _Checker(data).load()


class _Pickler(pickle.Pickler):
    def __init__(self, told: WeakValueDictionary[int, Any]) -> None:
        self._buffer = io.BytesIO()
        super().__init__(self._buffer, pickle.HIGHEST_PROTOCOL)
        self._told = told
        self.named: dict[int, Any] = {}

    def bytes_of(self, value: Any) -> bytes:
        self.dump(value)
        return self._buffer.getvalue()

    def persistent_id(self, value: Any) -> _Name | None:
        if isinstance(value, Future):
            return "Future", 0, None
        if not isinstance(value, Generation | Embedding | Speech | Transcription):
            return None
        number = id(value)
        self.named[number] = value
        return type(value).__name__, number, None if self._told.get(number) is value else value.request


class _Checker(pickle.Unpickler):
    """Reads what ranks send each other and nothing else: the ring's sockets do not know who is at the other end."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))

    def persistent_load(self, name: _Name) -> Any:
        return None

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "core" and "." not in name:
            found = super().find_class(module, name)
            plain = isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum))
            if plain and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


class _Unpickler(_Checker):
    def __init__(self, data: bytes, twins: dict[int, Any]) -> None:
        super().__init__(data)
        self._twins = twins

    def persistent_load(self, name: _Name) -> Any:
        kind, number, request = name
        if kind == "Future":
            return Future()
        if request is not None:
            self._twins[number] = _twin(kind, request)
        return self._twins.get(number, _OVER)


class _Over:
    """Stands for a handle whose twin has ended."""

    done = True


_OVER = _Over()


def _twin(kind: str, request: Any) -> Any:
    if kind == "Embedding":
        return Embedding(request)
    handles: dict[str, Any] = {"Generation": Generation, "Speech": Speech, "Transcription": Transcription}
    return handles[kind](request, _nobody)


def _nobody(work: Any) -> None:
    """A twin is cancelled by rank 0's command, never by a reader."""
