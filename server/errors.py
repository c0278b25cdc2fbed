"""Every failure as an HTTP answer: status, the error body of each protocol, and whether a client should try again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.responses import Response

from core.errors import (
    ContextOverflow,
    EngineClosed,
    EngineError,
    GenerationFailed,
    InvalidImage,
    InvalidRequest,
    LoadFailed,
    ModelBroken,
    ModelNotFound,
    ModelUnloaded,
    OutOfMemory,
    QueueFull,
    RequestCancelled,
    UnsupportedInput,
)
from server.body import to_json


class Protocol(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True)
class ApiError:
    """An error, ready to be encoded for either protocol.

    `code` is OpenAI's `code`; the `type` of both protocols follows from `status`. `repeats` says that the same
    request would fail again: both official clients repeat 409, 429 and 5xx unless they are told not to.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    repeats: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    anthropic_message: str | None = None
    """Where clients of that protocol know a certain wording."""


SWITCHED_OFF = ApiError(503, "The server was switched off before the answer was whole.", "server_closing")
"""What a request hears whose engine could not be asked to end it."""

_KINDS: dict[type[EngineError], tuple[int, bool]] = {
    ModelNotFound: (404, True),
    ModelBroken: (400, True),
    LoadFailed: (500, True),
    UnsupportedInput: (400, True),
    InvalidRequest: (400, True),
    InvalidImage: (400, True),
    ContextOverflow: (400, True),
    QueueFull: (429, False),
    OutOfMemory: (503, True),
    GenerationFailed: (500, False),
    ModelUnloaded: (503, True),
    RequestCancelled: (499, True),
    EngineClosed: (503, True),
}
"""Kind -> (status, whether the same request would fail again)."""

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def from_engine(error: EngineError) -> ApiError:
    """The HTTP answer for a failure of the engine; kinds without an entry are a 500."""
    status, repeats = next((_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS), (500, True))
    param = error.param if isinstance(error, InvalidRequest) else None
    headers: dict[str, str] = {}
    wording = None
    if isinstance(error, ModelNotFound):
        param = "model"
    if isinstance(error, QueueFull):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, ContextOverflow):
        param = error.param or "messages"
        wording = f"prompt is too long: {error.prompt_tokens} tokens > {error.context_length} maximum"
    return ApiError(status, error.message, error.code, param, repeats, headers, wording)


def from_exception(error: Exception) -> ApiError:
    """The HTTP answer for any exception; what is not an EngineError is a fault of ours, whose text stays in the log."""
    if isinstance(error, EngineError):
        return from_engine(error)
    return ApiError(500, "An unexpected error happened in the server; its log has the details.", "internal_error")


def error_body(error: ApiError, protocol: Protocol, request_id: str) -> dict[str, Any]:
    """The error object, in a response's body or in a stream."""
    status = _status(error, protocol)
    if protocol is Protocol.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
        message = error.anthropic_message or error.message
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def error_response(error: ApiError, protocol: Protocol, request_id: str) -> Response:
    headers = dict(error.headers)
    status = _status(error, protocol)
    if error.repeats and (status >= 500 or status in (408, 409, 429)):
        headers["x-should-retry"] = "false"
    return Response(to_json(error_body(error, protocol, request_id)), status, headers, "application/json")


def _status(error: ApiError, protocol: Protocol) -> int:
    # Anthropic's word for a full queue is 529, overloaded; its 429 speaks of a customer's own rate.
    return 529 if error.status == 429 and protocol is Protocol.ANTHROPIC else error.status
