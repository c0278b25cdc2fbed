"""Request bodies read: their size in values told before any is made, parsed and checked off the event loop.

A body of 30 MB can hold ten million values, and the parser of JSON lets nobody else run while it makes them. So the
brackets and commas are counted first, by numpy, which lets others run; what is parsed after that is a matter of
milliseconds, whatever it is.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from core.errors import InvalidRequest
from server.invalid import invalid_body, shown

MAX_VALUES = 100_000
"""Values of a body: members, items, lists and objects. A thousand turns with tools have some 20,000."""
MAX_DEPTH = 100
"""Lists and objects in one another. JSON schemas take two for each level of theirs."""
MAX_DIGITS = 300
"""Of a whole number: more are beyond every number that a computer counts with."""

LARGE = 64 * 1024
"""Bytes from which a body is read on a thread of its own; a smaller one takes a millisecond or two."""
THREADS = 1
"""Bodies that are read at once: each holds several times its bytes meanwhile, and two are not read faster than one."""

_PIECE = 1 << 16
"""Bytes that are counted at once."""
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1
_BEGINS = np.zeros(256, np.bool_)
_BEGINS[[ord(","), ord("["), ord("{")]] = True
_UTF_16_OR_32 = re.compile(rb"\xff\xfe|\xfe\xff|\x00.|.\x00", re.DOTALL)
_HALVES = (b"\\ud", b"\\uD")
"""How an escaped half of a surrogate pair begins."""

Model = TypeVar("Model", bound=BaseModel)
Result = TypeVar("Result")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def read_body(pieces: list[bytes], model: type[Model]) -> Model:
    """A body as its schema has it. Raises InvalidRequest, with the field's path as `param`, and as `read_json` does."""
    try:
        return model.model_validate(read_json(pieces))
    except ValidationError as error:
        raise invalid_body(error.errors(include_url=False)) from None


def read_json(pieces: list[bytes]) -> Any:
    """JSON by the letter (RFC 8259), within the limits above. Halves of surrogate pairs become "?".

    The list is emptied: the bytes are not kept beside what is made of them. Raises InvalidRequest that says where it
    is no JSON, or what there is too much of.
    """
    data = b"".join(pieces)
    pieces.clear()
    if not data:
        raise InvalidRequest("The request body is missing: send a JSON object.")
    text = _decoded(data)
    count_values(data)
    halves = any(half in data for half in _HALVES)
    del data
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not JSON: {_fault(error)}") from None
    return _mended(value) if halves else value


def _decoded(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise InvalidRequest("The request body begins with a byte order mark, which JSON has not. Send it without.")
    if _UTF_16_OR_32.match(data):
        raise InvalidRequest("The request body looks like UTF-16 or UTF-32; JSON is sent as UTF-8.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The request body is not UTF-8: byte {data[error.start]:#04x} at place {error.start} belongs to no "
            "character. JSON is sent as UTF-8."
        ) from None


def count_values(data: bytes) -> int:
    """How many values JSON holds. Raises InvalidRequest for too many of them, and for some that lie too deep."""
    values, depth = 1, 0
    inside, escaped = False, False
    for start in range(0, len(data), _PIECE):
        piece = np.frombuffer(data, np.uint8, min(_PIECE, len(data) - start), start)
        quotes = piece == _QUOTE
        slashes = piece == _BACKSLASH
        if escaped or slashes.any():
            behind, escaped = _escaped(slashes, escaped)
            quotes &= ~behind
        within = np.logical_xor.accumulate(quotes) ^ inside
        inside = bool(within[-1])
        outside = piece[~within]
        values += int(np.count_nonzero(_BEGINS[outside]))
        if outside.size:
            depths = np.cumsum(_STEPS[outside], dtype=np.int32) + depth
            depth = int(depths[-1])
            if int(depths.max()) > MAX_DEPTH:
                raise InvalidRequest(
                    f"The request body is nested too deeply: at most {MAX_DEPTH} lists and objects may stand in one "
                    "another."
                )
        if values > MAX_VALUES:
            raise InvalidRequest(
                f"The request body holds more than {MAX_VALUES:,} values (members, items, lists and objects). Send "
                "fewer messages, parts or fields."
            )
    return values


def _escaped(slashes: np.ndarray[Any, np.dtype[np.bool_]], escaped: bool) -> tuple[Any, bool]:
    """Which bytes stand behind an odd number of backslashes, and whether the byte after them does."""
    places = np.arange(1, slashes.size + 1, dtype=np.int32)
    others = np.maximum.accumulate(np.where(slashes, np.int32(0), places))  # the last before each that is none
    odd = slashes & ((places - others + (others == 0) * escaped) % 2 == 1)
    return np.concatenate(([escaped], odd[:-1])), bool(odd[-1])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidRequest(f"The request body names {shown(twice)} twice in one object. Send it once.")
    return made


def _whole(digits: str) -> int:
    count = len(digits) - digits.startswith("-")
    if count > MAX_DIGITS:
        raise InvalidRequest(
            f"The request body holds a whole number of {count:,} digits; at most {MAX_DIGITS} are read."
        )
    return int(digits)


def _fraction(digits: str) -> float:
    number = float(digits) if len(digits) <= 3 * MAX_DIGITS else math.inf
    if math.isinf(number):
        raise InvalidRequest(f"The request body holds the number {shown(digits)}, which is too large or too long.")
    return number


def _constant(name: str) -> Any:
    raise InvalidRequest(f"The request body holds {name}, which JSON has not. Leave the field out, or send a number.")


def _fault(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Invalid control character"):
        code = ord(error.doc[error.pos])
        return (
            f"the control character U+{code:04X} at character {error.pos} must be written as an escape, \\u{code:04x}."
        )
    return f"{error.msg.removesuffix(' at')} at character {error.pos}."


def _mended(value: Any) -> Any:
    """A value without halves of surrogate pairs, which JSON may hold as escapes and which are no text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "assay-bodies")


async def off_loop(size: int, work: Callable[[], Result]) -> Result:
    """What `work` makes of a body of `size` bytes, done where nobody waits for it."""
    if size < LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_readers(), work)


class JsonRoute(APIRoute):
    """A route whose handler gets the body as its schema has it, read here and not by FastAPI, on the event loop."""

    def get_route_handler(self) -> Handler:
        """FastAPI's hook for requests of another class."""
        handle = super().get_route_handler()
        field = self.body_field
        if field is None:
            return handle
        model: type[BaseModel] = field.field_info.annotation  # type: ignore[assignment]

        async def read(request: Request) -> Response:
            pieces = [piece async for piece in request.stream()]
            body = await off_loop(sum(map(len, pieces)), lambda: read_body(pieces, model))
            return await handle(_Read(request, body))

        return read


class _Read(Request):
    """A request whose body has been read: what FastAPI asks for then is there."""

    def __init__(self, request: Request, value: BaseModel) -> None:
        super().__init__(request.scope, request.receive)
        self._value = value

    async def body(self) -> bytes:
        return b"{}"

    async def json(self) -> Any:
        return self._value
