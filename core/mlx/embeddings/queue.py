"""Requests for vectors in the order in which they came, and which of their texts go into the next batch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from core.calls.clock import Clock
from core.calls.embedding import Embedding, EmbeddingResult
from core.calls.requests import EmbeddingRequest
from core.errors import ContextOverflow, EngineError, InvalidRequest
from core.mlx.embeddings.loading import LoadedEmbedder
from core.mlx.models.too_long import maximum, tokens_beyond

TOKENIZED_AT_ONCE = 32
"""Texts that are tokenized together, ahead of the batch: the tokenizer spreads them over the cores."""
CHARACTERS_AT_ONCE = 131_072
"""Of those texts: the others' steps wait meanwhile."""


class Row(list[int]):
    """The tokens of a text. Of a text with a query, `segments` say which of both each token belongs to, where the model
    wants to know that."""

    segments: list[int] | None = None


@dataclass(eq=False)
class Job:
    """A request with the places of its texts that are still to do, shortest text first: it pads least."""

    embedding: Embedding
    clock: Clock
    todo: deque[int] = field(default_factory=deque)
    tokens: dict[int, Row] = field(default_factory=dict)
    vectors: dict[int, list[float]] = field(default_factory=dict)
    prompt_tokens: int = 0

    def __post_init__(self) -> None:
        inputs = self.embedding.request.inputs
        self.todo.extend(sorted(range(len(inputs)), key=lambda place: len(inputs[place])))

    def take(self, place: int, vector: list[float]) -> None:
        """Note the vector of one text."""
        self.vectors[place] = vector
        self.prompt_tokens += len(self.tokens.pop(place))


class TextQueue:
    """First in, first out. `failure` makes an EngineError of what a tokenizer raises: it ends its request alone."""

    def __init__(self, loaded: LoadedEmbedder, failure: Callable[[Exception], EngineError]) -> None:
        self._loaded = loaded
        self._failure = failure
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs))

    def add(self, embedding: Embedding, clock: Clock) -> None:
        """Queue a request; its texts join a batch when those before it have."""
        self._jobs.append(Job(embedding, clock))

    def remove(self, embedding: Embedding) -> bool:
        """Forget a request; returns whether it was here."""
        here = next((job for job in self._jobs if job.embedding is embedding), None)
        if here is not None:
            self._jobs.remove(here)
        return here is not None

    def fail(self, jobs: Iterable[Job], error: EngineError) -> None:
        """End these requests with `error`."""
        for job in jobs:
            self._jobs.remove(job)
            job.embedding.fail(error)

    def finish(self) -> None:
        """Answer the requests of which nothing is left to do, and forget those whose callers have."""
        for job in self:
            if job.embedding.done:
                self._jobs.remove(job)
            elif not job.todo and not job.tokens:
                self._jobs.remove(job)
                vectors = [job.vectors[place] for place in range(len(job.vectors))]
                job.embedding.finish(EmbeddingResult(vectors, job.prompt_tokens, job.clock.timing()))

    def batch(self, limit: int) -> list[tuple[Job, int]]:
        """The next texts in the order of their requests: rows x longest is at most `limit` tokens, or one row."""
        batch: list[tuple[Job, int]] = []
        longest = 0
        for job in self:
            try:
                while job.todo:
                    place = job.todo[0]
                    length = len(self._tokens(job, place))
                    if batch and (len(batch) + 1) * max(longest, length) > limit:
                        return batch
                    batch.append((job, job.todo.popleft()))
                    longest = max(longest, length)
            except Exception as error:
                batch = [entry for entry in batch if entry[0] is not job]
                self.fail([job], error if isinstance(error, EngineError) else self._failure(error))
        return batch

    def _tokens(self, job: Job, place: int) -> Row:
        """The tokens of one text; the next few of the same request are tokenized with it."""
        if place not in job.tokens:
            self._admit(job)
            inputs = job.embedding.request.inputs
            places = _first(job.todo, inputs)
            for other in places:
                self._refuse_hopeless(job.embedding.request, other)
            request = job.embedding.request
            for other, row in zip(places, self._rows(request, [inputs[other] for other in places]), strict=True):
                self._check(request, other, row)
                job.tokens[other] = row
        return job.tokens[place]

    def _admit(self, job: Job) -> None:
        if job.embedding.admitted:
            return
        job.embedding.admitted = True
        job.clock.admitted = time.monotonic()
        size, info = job.embedding.request.dimensions, self._loaded.info
        if size is not None and size > self._loaded.size:
            raise InvalidRequest(
                f"dimensions is {size}; the vectors of {info.id} have {self._loaded.size} numbers.", "dimensions"
            )

    def _rows(self, request: EmbeddingRequest, texts: list[str]) -> list[Row]:
        """What the model reads of each text."""
        return [Row(ids) for ids in self._loaded.tokenizer(texts, padding=False, truncation=False)["input_ids"]]

    def _refuse_hopeless(self, request: EmbeddingRequest, place: int) -> None:
        texts = [request.query or "", request.inputs[place]]
        encode = partial(self._loaded.tokenizer, padding=False, truncation=False)
        counted = tokens_beyond(texts, self._loaded.context_length, lambda piece: encode([piece])["input_ids"][0])
        if counted is not None:
            raise self._overflow(request, place, f"more than {counted}", counted)

    def _check(self, request: EmbeddingRequest, place: int, row: Row) -> None:
        if not row:
            told = f"{request.label(place)} comes to no tokens, which have no meaning to embed."
            raise InvalidRequest(told, request.field_of(place))
        if len(row) > self._loaded.context_length:
            raise self._overflow(request, place, str(len(row)), len(row))

    def _overflow(self, request: EmbeddingRequest, place: int, tokens: str, counted: int) -> ContextOverflow:
        limit = self._loaded.context_length
        whole = request.label(place) + (" with the query" if request.query else "")
        told = (
            f"{whole} has {tokens} tokens and {self._loaded.info.id} reads at most {limit}. {maximum(limit)} "
            "Split the text."
        )
        return ContextOverflow(told, counted, limit, request.field_of(place))


def _first(places: Iterable[int], inputs: Sequence[str]) -> list[int]:
    """The next places whose texts are tokenized together: one at least."""
    found: list[int] = []
    characters = 0
    for place in islice(places, TOKENIZED_AT_ONCE):
        characters += len(inputs[place])
        if found and characters > CHARACTERS_AT_ONCE:
            break
        found.append(place)
    return found
