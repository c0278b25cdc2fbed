"""Where other prompts will branch off from this one: where a cache cannot be rolled back, snapshots are kept there."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from core.calls.requests import GenerationRequest, Message, Role
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import aside
from core.mlx.prompt.chat_template import rendering
from core.mlx.prompt.inputs import Inputs, next_turn_tail

WORTH_A_COPY = 64
"""Tokens of a system prompt below which it is prefilled again."""


def snapshot_points(
    request: GenerationRequest, inputs: Inputs, loaded: LoadedWeights, known: int
) -> Generator[None, None, list[int]]:
    """Numbers of tokens, ascending, of which the first `known` are kept already; yields as `prepare_inputs` does.

    One is where the next turn branches off: the last token is fed for its logits, and an answer seldom comes back token
    by token as it was generated. The other is where other conversations do that have the system prompt and the tools.
    """
    tail = yield from next_turn_tail(request, inputs, loaded)
    turn = inputs.length - max(tail, 1)
    opening = (yield from _opening(request, inputs, loaded)) if known < WORTH_A_COPY else 0
    return [opening, turn] if WORTH_A_COPY <= opening < turn else [turn]


def _opening(request: GenerationRequest, inputs: Inputs, loaded: LoadedWeights) -> Generator[None, None, int]:
    """How many of the prompt's first tokens come of its system prompt and its tools."""
    system = tuple(message for message in request.messages if message.role is Role.SYSTEM)
    if request.prompt is not None or not (system or inputs.prompt.tools):
        return 0
    asked = next((message.plain_text for message in request.messages if message.role is Role.USER), "")
    other = Message.text(Role.USER, "y" if asked.startswith("x") else "x")
    opening = yield from aside(rendering(replace(request, messages=(*system, other)), loaded))
    tokens = loaded.tokenizer.encode(opening.text, add_special_tokens=inputs.prompt.add_special_tokens)
    pairs = enumerate(zip(tokens, inputs.tokens, strict=False))
    return next((index for index, (ours, theirs) in pairs if ours != theirs), 0)
