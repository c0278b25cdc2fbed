"""How many tokens a rendered prompt has, whatever its length, and whether a model's window holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.calls.requests import GenerationRequest
from core.errors import ContextOverflow, InvalidRequest
from core.mlx.models.lexicon import Lexicon
from core.mlx.models.too_long import count_by_pieces, maximum, tokens_beyond
from core.mlx.prompt.chat_template import Prompt

WHOLE = 262_144
"""Characters up to which a text is tokenized as for an answer."""
VAST = 2_000_000
"""Characters from which nobody wants to know by how much a text is too long, and counting takes a processor long."""


def refuse_vast(request: GenerationRequest, lexicon: Lexicon) -> None:
    """Raise ContextOverflow for a request for an answer whose text is VAST and hopeless, after a little of it."""
    if request.characters <= VAST:
        return

    def encode(piece: str) -> Sequence[int]:
        tokens: Sequence[int] = lexicon.tokenizer.encode(
            piece.encode("utf-8", "replace").decode(), add_special_tokens=False
        )
        return tokens

    texts = [request.prompt or "", *(message.plain_text for message in request.messages)]
    counted = tokens_beyond(texts, lexicon.context_length, encode)
    if counted is not None:
        raise overflow(lexicon.info.id, f"more than {counted}", counted, lexicon.context_length)


def count_tokens(prompt: Prompt, tokenizer: Any, still: Callable[[], None]) -> int:
    """The tokens of a prompt, those of its images left out, as `tokenizer` (mlx-lm's) makes them for an answer.

    `still` is called between two pieces of a long one; what it raises ends the counting. Raises InvalidRequest for an
    empty prompt.
    """
    text, special, backend = prompt.text, prompt.add_special_tokens, getattr(tokenizer, "backend_tokenizer", None)
    if len(text) <= WHOLE or backend is None:
        counted = len(tokenizer.encode(text, add_special_tokens=special))
    else:

        def encode(piece: str) -> Any:
            still()
            return backend.encode(piece, add_special_tokens=False)

        around = [len(tokenizer.encode("a", add_special_tokens=wanted)) for wanted in (special, False)]
        counted = count_by_pieces(text, encode) + around[0] - around[1]
    if not counted:
        raise empty()
    return counted


def empty() -> InvalidRequest:
    """The refusal of a prompt without a token."""
    return InvalidRequest("The prompt is empty: there is nothing to go on from.", "prompt")


def check_fit(lexicon: Lexicon, tokens: int, *, exact: bool = True) -> None:
    """Raise ContextOverflow with both numbers when so many tokens leave no room for an answer; there are more of them
    where the count is not `exact`."""
    window = lexicon.context_length
    if tokens >= window:
        raise overflow(lexicon.info.id, str(tokens) if exact else f"more than {tokens}", tokens, window)


def overflow(model_id: str, tokens: str, counted: int, window: int) -> ContextOverflow:
    """The refusal of a prompt that does not fit; `tokens` says how many it has, in words."""
    return ContextOverflow(
        f"The prompt has {tokens} tokens and {model_id} reads at most {window}, the answer included. "
        f"{maximum(window)} Shorten the prompt, or start a new conversation.",
        counted,
        window,
    )
