"""Texts and images put in order by a model that writes: whether it would say yes or no, as Qwen3-Reranker and
Qwen3-VL-Reranker are made to be asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from core.calls.embedding_audio_checks import reranking_models
from core.calls.events import Finished, FinishReason, Timing, Usage
from core.calls.requests import GenerationRequest, ImagePart, Message, Part, Role, TextPart
from core.calls.scoring import Score, ScoreRequest
from core.catalog import ModelInfo, ModelKind
from core.engine import Engine
from core.errors import UnsupportedInput
from core.media.images import ImageData
from server.follow import while_connected
from server.models import DEFAULT, find_other_model
from server.openai.embeddings import answered
from server.wire import WireCall

FAMILIES = {ModelKind.TEXT: "qwen3", ModelKind.VISION: "qwen3_vl"}
"""The rerankers of these families are models like others of them, and nothing but their names tells them apart."""
ANSWERS = ("yes", "no")
INSTRUCTIONS = {
    ModelKind.TEXT: "Given a web search query, retrieve relevant passages that answer the query",
    ModelKind.VISION: "Given a search query, retrieve relevant candidates that answer the query.",
}
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
TOGETHER = 8
"""Texts that are asked about at once."""
FARTHEST = 700.0
"""By how much no may be likelier: more is no number of Python's."""


@dataclass(frozen=True)
class Item:
    """What is asked about, or asked for: a text, an image, or both."""

    text: str = ""
    image: ImageData | None = None

    def parts(self) -> Iterator[Part]:
        """It as parts of a turn, the image first."""
        if self.image is not None:
            yield ImagePart(self.image)
        if self.text:
            yield TextPart(self.text)


def judging_model(request: Request, name: str) -> ModelInfo | None:
    """The model of that name if it is to be asked for a yes or a no, else None. Raises as `find_other_model` does."""
    engine: Engine = request.app.state.engine
    if name == DEFAULT:
        return None
    info = find_other_model(engine, request.app.state.settings, name, (), "reranker")
    return info if FAMILIES.get(info.kind) == info.family else None


async def judged(
    request: Request, info: ModelInfo, query: Item, documents: Sequence[Item], instruction: str | None
) -> tuple[list[float], int]:
    """How likely the model says yes of each document, rather than no, 0 to 1, and how many tokens it read.

    Ended when the client leaves. Raises UnsupportedInput for a model to which yes or no is more than one token, and
    what the engine raises.
    """
    engine: Engine = request.app.state.engine
    call: WireCall = request.state.call
    pending: set[Future[Any]] = set()

    def stop() -> None:
        for future in list(pending):
            future.cancel()

    async def ask() -> tuple[list[float], int]:
        for answer in ANSWERS:
            told = await _kept(engine.tokenize(GenerationRequest(info.id, prompt=answer)), pending)
            if len(told.tokens) != 1:
                there = ", ".join(model.id for model in reranking_models(engine.catalog)[:3]) or "Qwen3-Reranker"
                raise UnsupportedInput(
                    f"{info.id} puts no texts in order: {answer!r} is {len(told.tokens)} tokens to it, and one "
                    f"to a model that is made for that. Use a reranker or an embeddings model, such as {there}."
                )
        prompts = [_prompt(info, query, document, instruction or INSTRUCTIONS[info.kind]) for document in documents]
        found: list[tuple[float, int]] = []
        for start in range(0, len(prompts), TOGETHER):
            some = prompts[start : start + TOGETHER]
            found += await asyncio.gather(*(_one(engine, prompt, pending) for prompt in some))
        return [score for score, _ in found], sum(tokens for _, tokens in found)

    call.begin(info.id, False, stop)
    try:
        scores, tokens = await while_connected(request, ask())
    finally:
        stop()
    call.event(Finished(FinishReason.STOP, Usage(prompt_tokens=tokens), Timing()))
    return scores, tokens


async def _one(engine: Engine, prompt: GenerationRequest, pending: set[Future[Any]]) -> tuple[float, int]:
    yes, no = [await _kept(engine.score(ScoreRequest(prompt, answer, top=0)), pending) for answer in ANSWERS]
    return 1 / (1 + math.exp(min(_likelihood(no) - _likelihood(yes), FARTHEST))), yes.prompt_tokens


async def _kept(future: Future[Any], pending: set[Future[Any]]) -> Any:
    """What comes of a future that is among the `pending` until then."""
    pending.add(future)
    try:
        return await answered(future)
    finally:
        pending.discard(future)


def _likelihood(score: Score) -> float:
    return sum(token.logprob for token in score.tokens)


def _prompt(info: ModelInfo, query: Item, document: Item, instruction: str) -> GenerationRequest:
    asked: tuple[Part, ...]
    if info.kind is ModelKind.VISION:
        asked = (
            TextPart(f"<Instruct>: {instruction}"),
            TextPart("<Query>:"),
            *query.parts(),
            TextPart("\n<Document>:"),
            *document.parts(),
        )
    else:
        asked = (TextPart(f"<Instruct>: {instruction}\n\n<Query>: {query.text}\n\n<Document>: {document.text}"),)
    turns = (Message.text(Role.SYSTEM, SYSTEM), Message(Role.USER, asked))
    return GenerationRequest(info.id, turns, thinking=False, source="openai")
