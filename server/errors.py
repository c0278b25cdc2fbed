"""Every failure as an HTTP answer: status, the error body of each protocol, and whether a client should try again."""

from __future__ import annotations

import logging
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
    ResponsesError,
    UnsupportedInput,
)
from core.text_safety import clean
from server.body import to_json

log = logging.getLogger(__name__)

MAX_MESSAGE = 4_000
"""Characters of an error's sentence."""


class Protocol(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"

    @property
    def id_header(self) -> str:
        """The header in which an answer names its request."""
        return "request-id" if self is Protocol.ANTHROPIC else "x-request-id"


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
    details: str = ""
    """What the person at the machine may read, and no client: it can hold paths and a library's insides."""


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

_INTERNAL: dict[type[EngineError], str] = {
    GenerationFailed: "The model failed on this request.",
    LoadFailed: "The model could not be loaded.",
    ResponsesError: "The responses that are kept here cannot be read or written.",
}
"""Kinds whose words come out of libraries, and what clients are told instead."""

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def from_engine(error: EngineError, request_id: str) -> ApiError:
    """The HTTP answer for a failure of the engine; kinds without an entry are a 500.

    What a library said is logged under `request_id`, which the client is told instead.
    """
    status, repeats = next((_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS), (500, True))
    param = error.param if isinstance(error, InvalidRequest) else None
    headers: dict[str, str] = {}
    wording = None
    message, details = error.message, ""
    if type(error) in _INTERNAL:
        message, details = f"{_INTERNAL[type(error)]} Assay's log has the details under {request_id}.", error.message
        log.error("%s: %s", request_id, details)
    if isinstance(error, ModelNotFound):
        param = "model"
    if isinstance(error, QueueFull):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, ContextOverflow):
        param = error.param or "messages"
        wording = f"prompt is too long: {error.prompt_tokens} tokens > {error.context_length} maximum"
    return ApiError(status, message, error.code, param, repeats, headers, wording, details)


def from_exception(error: Exception, request_id: str) -> ApiError:
    """The HTTP answer for any exception; what is not an EngineError is a fault of ours, whose text stays in the log."""
    if isinstance(error, EngineError):
        return from_engine(error, request_id)
    unexpected = "An unexpected error happened in the server; its log has the details."
    return ApiError(500, unexpected, "internal_error", details=f"{type(error).__name__}: {error}")


def error_body(error: ApiError, protocol: Protocol, request_id: str) -> dict[str, Any]:
    """The error object, in a response's body or in a stream."""
    status = _status(error, protocol)
    if protocol is Protocol.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
        message = _short(error.anthropic_message or error.message)
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    param = error.param and clean(error.param[:MAX_MESSAGE])
    return {"error": {"message": _short(error.message), "type": kind, "param": param, "code": error.code}}


def _short(message: str) -> str:
    """A message that can be shown, whatever a client had it repeat, and a model's template or name holds."""
    message = clean(message)
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 1]}…"


def error_response(error: ApiError, protocol: Protocol, request_id: str) -> Response:
    headers = dict(error.headers)
    status = _status(error, protocol)
    if error.repeats and (status >= 500 or status in (408, 409, 429)):
        headers["x-should-retry"] = "false"
    return Response(to_json(error_body(error, protocol, request_id)), status, headers, "application/json")


def _status(error: ApiError, protocol: Protocol) -> int:
    # Anthropic's word for a full queue is 529, overloaded; its 429 speaks of a customer's own rate.
    return 529 if error.status == 429 and protocol is Protocol.ANTHROPIC else error.status
