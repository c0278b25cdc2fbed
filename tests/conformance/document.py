"""An OpenAPI document of what the API serves, made of the official clients' own types.

OpenAI and Anthropic publish their protocols as specifications from which their clients' types are generated: so these
are what a client sends and what it reads back, of the versions that are installed here. What the types leave out of the
specifications, bounds above all, is in LIMITS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anthropic.types as claude
import openai.types as gpt
from anthropic.types import message_count_tokens_params, message_create_params
from openai.types import chat, embedding_create_params, responses
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from pydantic import BaseModel, ConfigDict, TypeAdapter

ELSEWHERE = re.compile(
    "Audio|File|Computer|Shell|Mcp|Search|Fetch|Code|TextEditor|Browser|Container|Document|Memory|ImageGeneration|"
    "ApplyPatch|Program|Namespace|Skill|Compaction|Configuration|ResponsePrompt|Server|Redacted|ItemReference|Bash|"
    "AdditionalTools|Moderation|PDF|ToolReference|Conversation|Prediction|ToolChoiceTypes|Grammar"
)
"""Types of what runs only where these models' makers run it: other tests look at how each of those is refused."""

FEW = {"maximum": 3}
LIMITS: Mapping[str, Mapping[str, Any]] = {
    "messages": {"minItems": 1, "maxItems": 4},
    "max_tokens": {"minimum": 1} | FEW,
    "max_completion_tokens": {"minimum": 1} | FEW,
    "max_output_tokens": {"minimum": 1} | FEW,
    "n": {"minimum": 1, "maximum": 2},
    "temperature": {"minimum": 0, "maximum": 1},
    "top_p": {"minimum": 0.01, "maximum": 1},
    "top_logprobs": {"minimum": 0, "maximum": 20},
    "frequency_penalty": {"minimum": -2, "maximum": 2},
    "presence_penalty": {"minimum": -2, "maximum": 2},
}
"""By property, what a server may refuse beyond it; for lengths, what keeps a test quick."""


class OpenAIFault(BaseModel):
    """What OpenAI's clients read of an error; its published form names these four."""

    model_config = ConfigDict(extra="forbid")

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    error: OpenAIFault


@dataclass(frozen=True)
class Operation:
    """What a path takes and answers. `needs` is asked of each body beyond what its type demands."""

    model: str
    body: Any
    answer: Any
    error: Any = OpenAIError
    needs: tuple[str, ...] = ("model",)


TEXT, VECTORS = "pocket/qwen3", "tiny/bert"
POSTS: Mapping[str, Operation] = {
    "/v1/chat/completions": Operation(
        TEXT,
        completion_create_params.CompletionCreateParamsNonStreaming,
        chat.ChatCompletion,
        needs=("model", "max_completion_tokens"),
    ),
    "/v1/responses": Operation(
        TEXT,
        response_create_params.ResponseCreateParamsNonStreaming,
        responses.Response,
        needs=("model", "input", "max_output_tokens"),
    ),
    "/v1/embeddings": Operation(VECTORS, embedding_create_params.EmbeddingCreateParams, gpt.CreateEmbeddingResponse),
    "/v1/messages": Operation(
        TEXT, message_create_params.MessageCreateParamsNonStreaming, claude.Message, claude.ErrorResponse
    ),
    "/v1/messages/count_tokens": Operation(
        TEXT, message_count_tokens_params.MessageCountTokensParams, claude.MessageTokensCount, claude.ErrorResponse
    ),
}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of POSTS: each answers 200 with its type, and 4xx with its protocol's error."""
    parts: dict[str, Any] = {}
    paths = {path: {"post": _operation(path, operation, parts)} for path, operation in POSTS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "What the API serves", "version": "1"},
        "paths": paths,
        "components": {"schemas": parts},
    }


def _operation(path: str, operation: Operation, parts: dict[str, Any]) -> dict[str, Any]:
    body = _schema(path, "validation", operation.body, parts)
    body["required"] = sorted({*body.get("required", ()), *operation.needs})
    body["properties"]["model"] = {"const": operation.model}
    answer, error = (_schema(path, "serialization", kind, parts) for kind in (operation.answer, operation.error))
    return {
        "operationId": path,
        "requestBody": {"required": True, **_content(body)},
        "responses": {
            "200": {"description": "answer", **_content(answer)},
            "4XX": {"description": "error", **_content(error)},
        },
    }


def _content(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _schema(
    path: str, mode: Literal["validation", "serialization"], kind: Any, parts: dict[str, Any]
) -> dict[str, Any]:
    """JSON Schema of a type; what it refers to goes to `parts`, under names of its own."""
    prefix = f"{re.sub('[^a-z]', '_', path)}_{kind.__name__}_"
    schema = TypeAdapter(kind).json_schema(ref_template=f"#/components/schemas/{prefix}{{model}}", mode=mode)
    if mode == "validation":
        schema = _served(schema, prefix)
    parts |= {prefix + name: part for name, part in schema.pop("$defs", {}).items()}
    return dict(schema)


def _served(node: Any, prefix: str) -> Any:
    """A body's schema without alternatives from ELSEWHERE, and with LIMITS."""
    if isinstance(node, list):
        return [_served(item, prefix) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _served(value, prefix) for key, value in node.items() if key != "discriminator"}
    for key in ("anyOf", "oneOf"):
        if key in made:
            made[key] = [one for one in made[key] if not ELSEWHERE.search(one.get("$ref", "").rpartition(prefix)[2])]
    properties = made.get("properties")
    if isinstance(properties, dict):
        made["properties"] = {
            name: _limited(value, LIMITS.get(name, {}))
            for name, value in properties.items()
            if name in made.get("required", ()) or _is_served(value, prefix)
        }
    return made


def _is_served(schema: Mapping[str, Any], prefix: str) -> bool:
    """Whether something but null is left of an optional property."""
    if ELSEWHERE.search(schema.get("$ref", "").rpartition(prefix)[2]):
        return False
    left = schema.get("anyOf", schema.get("oneOf"))
    return left is None or any(one.get("type") != "null" for one in left)


def _limited(schema: dict[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """A property of numbers or lists within limits, and without null where it has any."""
    if not limits:
        return schema
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") in ("integer", "number", "array")]
    return {**kinds[0], **limits} if kinds else schema
