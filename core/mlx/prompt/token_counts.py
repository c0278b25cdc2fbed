"""How many tokens a rendered prompt has, whatever its length, and whether a model's window holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.calls.requests import GenerationRequest
from core.errors import ContextOverflow, InvalidRequest
from core.mlx.models.lexicon import Lexicon
from core.mlx.models.too_long import by_pieces, maximum, tokens_beyond
from core.mlx.prompt.chat_template import Prompt

WHOLE = 262_144
"""Characters up to which a text is tokenized as for an answer."""
TOLD = 262_144
"""Tokens up to which those of a prompt are told, whatever the window: each takes a hundred bytes on its way."""
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
    """The tokens of a prompt without images, as `tokenizer` (mlx-lm's) makes them for an answer.

    `still` is called between two pieces of a long one; what it raises ends the counting. Raises InvalidRequest for an
    empty prompt.
    """
    if _is_short(prompt, tokenizer):
        counted = len(_encoded(prompt, tokenizer))
    else:
        special = prompt.add_special_tokens
        around = [len(tokenizer.encode("a", add_special_tokens=wanted)) for wanted in (special, False)]
        counted = _pieces_counted(prompt, tokenizer, still) + around[0] - around[1]
    if not counted:
        raise empty()
    return counted


def tokens_told(prompt: Prompt, lexicon: Lexicon, still: Callable[[], None]) -> Sequence[int]:
    """The tokens of a prompt, to be told to whoever asks for them. Raises ContextOverflow for one with more of them
    than the window holds, and than TOLD. `still` is as in `count_tokens`."""
    tokenizer = lexicon.tokenizer
    if not _is_short(prompt, tokenizer):
        _pieces_counted(prompt, tokenizer, still, lambda counted: check_told(counted, lexicon))
    tokens = _encoded(prompt, tokenizer)
    check_told(len(tokens), lexicon)
    return tokens


def check_told(counted: int, lexicon: Lexicon) -> None:
    """Raise ContextOverflow for so many tokens if they are more than are told."""
    most = max(lexicon.context_length, TOLD)
    if counted > most:
        raise overflow(lexicon.info.id, f"more than {most}", counted, lexicon.context_length)


def _is_short(prompt: Prompt, tokenizer: Any) -> bool:
    return len(prompt.text) <= WHOLE or getattr(tokenizer, "backend_tokenizer", None) is None


def _encoded(prompt: Prompt, tokenizer: Any) -> Sequence[int]:
    tokens: Sequence[int] = tokenizer.encode(prompt.text, add_special_tokens=prompt.add_special_tokens)
    return tokens


def _pieces_counted(
    prompt: Prompt, tokenizer: Any, still: Callable[[], None], so_far: Callable[[int], None] = lambda counted: None
) -> int:
    def encode(piece: str) -> Any:
        still()
        # As a batch of one: only then the library lets other threads run meanwhile.
        return tokenizer.backend_tokenizer.encode_batch([piece], add_special_tokens=False)[0]

    counted = 0
    for _, which in by_pieces(prompt.text, encode):
        counted += which.stop - which.start
        so_far(counted)
    return counted


def empty() -> InvalidRequest:
    """The refusal of a prompt without a token."""
    return InvalidRequest("The prompt is empty: there is nothing to go on from.", "prompt")


def check_fit(lexicon: Lexicon, tokens: int) -> None:
    """Raise ContextOverflow with both numbers when so many tokens leave no room for an answer."""
    window = lexicon.context_length
    if tokens >= window:
        raise overflow(lexicon.info.id, str(tokens), tokens, window)


def overflow(model_id: str, tokens: str, counted: int, window: int) -> ContextOverflow:
    """The refusal of a prompt that does not fit; `tokens` says how many it has, in words."""
    return ContextOverflow(
        f"The prompt has {tokens} tokens and {model_id} reads at most {window}, the answer included. "
        f"{maximum(window)} Shorten the prompt, or start a new conversation.",
        counted,
        window,
    )
