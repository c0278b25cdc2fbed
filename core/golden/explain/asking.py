"""A kept answer made ready to be scored: the question as it was asked, with its images, and the answer's tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.calls.events import GenerationResult, ToolCall
from core.calls.requests import GenerationRequest, Message
from core.calls.scoring import Score, ScoreRequest
from core.calls.witness import message_sha256
from core.catalog import ModelInfo
from core.errors import EngineError
from core.golden.conversation import following
from core.golden.nearest import did_you_mean
from core.golden.plan import Planned
from core.golden.results import Attempt, Status
from core.golden.run import request_for
from core.golden.suite import Control, Suite
from core.media.images import read_image
from core.tiers import Tier

Ask = Callable[[ScoreRequest], Score]
"""Has an engine score an answer, and waits for it. Raises EngineError."""


class CannotExplain(EngineError):
    """What is kept of an answer does not say enough, or its question is not asked so any more."""

    code = "cannot_explain"


@dataclass(frozen=True)
class Trace:
    """A kept answer and the question as it was asked. `tokens` are the ids that the model wrote, its end token
    included; None where the record does not tell them, so that they are made of its text."""

    attempt: Attempt
    request: GenerationRequest
    tokens: tuple[int, ...] | None

    @property
    def answer(self) -> str | tuple[int, ...]:
        """What is scored."""
        return self.attempt.answer if self.tokens is None else self.tokens

    @property
    def label(self) -> str:
        """`full, pocket/gemma3, openai, repeat 1`."""
        one = self.attempt
        repeat = f"repeat {one.repeat}" if one.repeat else ""
        return ", ".join(filter(None, (one.tier, self.request.model, one.route, one.control or "", repeat)))


def trace(suite: Suite, attempt: Attempt, find: Callable[[str], ModelInfo]) -> Trace:
    """An attempt as something to be scored; `find` knows the models on disk.

    Raises CannotExplain, what `find` raises, and InvalidImage when an image has vanished.
    """
    if attempt.status is not Status.OK:
        raise CannotExplain(f"{attempt.id} did not come about ({attempt.why}): there is no answer to explain.")
    cases = {case.id: case for case in suite.cases}
    case = cases.get(attempt.case)
    if case is None:
        raise CannotExplain(f"The suite {suite.path} has no case {attempt.case}{did_you_mean(attempt.case, cases)}.")
    if case.ask_sha != attempt.ask_sha:
        raise CannotExplain(
            f"{attempt.case} is asked otherwise now than when {attempt.id} answered it, so that its answer has "
            "nothing to stand after. Run the case anew, or name the suite as it was with --suite."
        )
    tokens = tuple(attempt.witness.get("completion", ())) if attempt.witness else ()
    if not tokens and (attempt.reasoning or attempt.tool_calls):
        raise CannotExplain(
            f"The record of {attempt.id} holds thinking or calls and not the ids of its tokens, as one of a foreign "
            "server or an older version: its text says too little. Run the case anew, through an engine of ours."
        )
    if not tokens and not attempt.answer:
        raise CannotExplain(f"The answer of {attempt.id} is empty: there is nothing to score.")
    control = Control(attempt.control) if attempt.control else None
    model = find(attempt.model_id)
    seed = attempt.sent.get("seed") or 0
    asked = Planned(0, case, Tier(attempt.tier), attempt.route, attempt.repeat, seed, model, control)
    return Trace(attempt, request_for(asked, _messages(asked, attempt)), tokens or None)


def _messages(asked: Planned, attempt: Attempt) -> tuple[Message, ...]:
    """What was sent, with the answers that came before the last one."""
    messages = asked.messages(*(read_image(image.path) for image in asked.images))
    for turn, earlier in zip(asked.case.turns, attempt.turns, strict=False):
        said = GenerationResult(text=earlier["answer"], tool_calls=[_call(call) for call in earlier["tool_calls"]])
        images = [read_image(image.path) for image in asked.images_of(turn)]
        messages = (*messages, *following(turn, said, images))
    if [message_sha256(one) for one in messages] != list(attempt.sent.get("messages", ())):
        raise CannotExplain(
            f"What was sent before the answer {attempt.id} cannot be made of its record, which keeps earlier answers "
            "as they are judged. Explain a case of one turn."
        )
    return messages


def _call(call: Mapping[str, Any]) -> ToolCall:
    arguments = call["arguments"]
    return ToolCall("", call["name"], arguments if isinstance(arguments, str) else json.dumps(arguments))
