"""Answers that are given, scored after their prompts: a chunk of tokens at a time, reduced to numbers where it is made.

The logits of a chunk are all that there is at once, and they go before the next one: SCORED_BYTES bounds them.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import mlx.core as mx
import numpy as np

from core.calls.events import TokenLogprob
from core.calls.generation import Generation
from core.calls.scoring import Conditions, Score, ScoredToken, Scoring
from core.calls.witness import tokens_sha256
from core.errors import EngineError, InvalidRequest
from core.mlx.decoding.batch_support import TOLERANCE
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.prefix_reuse import PrefixReuse
from core.mlx.decoding.row import Row
from core.mlx.decoding.row_caches import merge_rows
from core.mlx.decoding.scored_prompt import ScoredPrompt
from core.mlx.decoding.scratch import release_scratch
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.precision import precision
from core.mlx.token_budget import TokenBudget

SCORED_BYTES = 128 * 1024**2
"""The logits of a chunk, as float32, of all its rows and models together; working on them takes a few times that."""

TRIED = 32
"""Tokens with which it is tried whether a model may read several at once."""


@dataclass(eq=False)
class _Answer:
    """A row whose prompt has been read but for its last token."""

    row: Row
    prompt: ScoredPrompt
    last: int
    targets: tuple[int, ...]
    cache: list[Any]
    sees: bool
    """Whether images are in its prompt."""
    copies: int
    found: list[ScoredToken] = field(default_factory=list)
    rows: int = 1

    @property
    def left(self) -> int:
        """Tokens still to be scored."""
        return len(self.targets) - len(self.found)

    def reads(self, width: int) -> list[int]:
        """The next tokens that go in: before each target the one that it comes after."""
        done = len(self.found)
        return [self.last, *self.targets][done : done + min(width, self.left)]


@dataclass(eq=False)
class _Group:
    """Answers that share their passes; `copies` of one compute it that often. `layers` holds the caches of all rows."""

    answers: list[_Answer]
    layers: list[Any]
    copies: int = 1

    @property
    def rows(self) -> int:
        return len(self.answers) * self.copies


@dataclass(eq=False)
class _Meeting:
    """Two models at one answer. Each brings the log-probabilities of a chunk of `width` tokens, an array of shape
    (width, vocabulary) on this thread; when both are there, only numbers are left of them."""

    width: int
    vocabulary_sha256: str
    targets: tuple[int, ...]
    brought: dict[str, mx.array] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    kl: list[float] = field(default_factory=list)


class Scorer:
    """The scoring requests of one model. `step` reads one chunk of one group.

    At most `joint_rows` answers share a pass, `rows` copies of one. `budget` says how many tokens are read at once.
    """

    def __init__(
        self,
        decoder: Any,
        loaded: LoadedWeights,
        reuse: PrefixReuse,
        budget: TokenBudget,
        stream: mx.Stream,
        *,
        rows: int,
        joint_rows: int,
    ) -> None:
        self._decoder = decoder
        self._loaded = loaded
        self._reuse = reuse
        self._budget = budget
        self._stream = stream
        self._most_rows = rows
        self._joint_rows = joint_rows
        self._marks = frozenset(loaded.tokenizer.all_special_ids) | loaded.eos_ids
        self._prompts: dict[Scoring, ScoredPrompt] = {}
        crosses: bool = getattr(decoder, "crosses", False)
        self._one_by_one: bool | None = crosses or None  # such a model's masks mean the prompt's tokens, in any pass
        """Whether tokens after images have to be read one by one; None as long as that has not been tried."""
        self._ready: list[_Answer] = []
        self._groups: deque[_Group] = deque()

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def _answers(self) -> list[_Answer]:
        return [*self._ready, *(answer for group in self._groups for answer in group.answers)]

    @property
    def rows(self) -> Sequence[Row]:
        return [answer.row for answer in self._answers]

    # -- requests ----------------------------------------------------------------------------------------------------

    def ask(self, scoring: Scoring) -> ScoredPrompt:
        """Take a request in; its prompt comes back with `insert` when it has been read."""
        prompt = self._prompts[scoring] = ScoredPrompt(scoring, self._loaded.info.id)
        return prompt

    def prompt_of(self, scoring: Scoring) -> ScoredPrompt | None:
        """This model's part of a request; None when it is not here."""
        return self._prompts.get(scoring)

    def forgotten(self) -> list[ScoredPrompt]:
        """The parts of requests that are over: answered, cancelled, or failed in the other model."""
        over = [scoring for scoring in self._prompts if scoring.done]
        return [self._prompts.pop(scoring) for scoring in over]

    def insert(self, task: PrefillTask) -> None:
        """Take over a prompt of which only the last token is left."""
        row, work, prompt = task.row, task.work, task.row.generation
        assert work is not None
        assert task.answer is not None
        assert isinstance(prompt, ScoredPrompt)
        if work.done:
            self._reuse.store(row, copy.deepcopy(work.cache), row.key[: work.done])
        sees = task.inputs.features is not None
        answer = _Answer(
            row, prompt, task.inputs.tokens[-1], task.answer, work.cache, sees, min(task.copies, self._most_rows)
        )
        prompt.prompt_sha256 = tokens_sha256(task.inputs.tokens)
        self._ready.append(answer)

    def remove(self, generation: Generation) -> bool:
        """Take a request out; returns whether it was here. The others of its group go on without it."""
        if not isinstance(generation, ScoredPrompt):
            return False
        generation.scoring.shared = None
        self._prompts.pop(generation.scoring, None)
        answer = next((one for one in self._answers if one.prompt is generation), None)
        if answer is None:
            return False
        if answer in self._ready:
            self._ready.remove(answer)
        for group in list(self._groups):
            if answer in group.answers:
                self._leave(group, answer)
        return True

    def fail(self, error: EngineError) -> None:
        """End every request with `error`."""
        for scoring in self._prompts:
            scoring.fail(error)
            scoring.shared = None
        self._prompts.clear()
        self._ready.clear()
        self._groups.clear()

    # -- work --------------------------------------------------------------------------------------------------------

    def step(self, failure: Callable[[Exception], EngineError]) -> None:
        """Score a chunk of one group, the next time of another. `failure` makes an EngineError of what a model raises:
        it ends the requests of that group."""
        if self._ready:
            self._groups.append(self._gather())
        for _ in range(len(self._groups)):
            group = self._groups.popleft()
            try:
                with mx.stream(self._stream):
                    worked = self._advance(group)
            except Exception as error:
                known = error if isinstance(error, EngineError) else failure(error)
                for answer in group.answers:
                    answer.prompt.fail(known)
                mx.clear_cache()
                return
            if group.answers:
                self._groups.append(group)
            if worked:
                return

    def _gather(self) -> _Group:
        """The first answer that is ready, in the company that it wants."""
        first, *others = self._ready
        if first.sees and self._one_by_one is None and first.left > 1:
            with mx.stream(self._stream):
                self._one_by_one = self._parts(first)
        if first.prompt.scoring.request.conditions.rows not in (None, 1):
            copies = first.copies
            self._ready = others
            layers = merge_rows([copy.deepcopy(first.cache) for _ in range(copies)]) if copies > 1 else first.cache
            first.cache = []
            return _Group([first], layers, copies)
        together = [first]
        if _sociable(first):
            together += [other for other in others if _sociable(other)][: self._joint_rows - 1]
        self._ready = [answer for answer in self._ready if answer not in together]
        caches = [answer.cache for answer in together]
        for answer in together:
            answer.cache = []
        return _Group(together, merge_rows(caches) if len(caches) > 1 else caches[0])

    def _width(self, group: _Group) -> int:
        """Tokens of each row that are read next."""
        request = group.answers[0].prompt.scoring.request
        row = 4 * self._loaded.vocabulary * group.rows * len(request.models)
        width = min(self._budget.beside // group.rows, SCORED_BYTES // row)
        if self._one_by_one and any(answer.sees for answer in group.answers):
            return 1
        paces = [answer.prompt.scoring.request.conditions.pace for answer in group.answers]
        return max(min(width, *(pace for pace in paces if pace is not None), 1 << 30), 1)

    def _advance(self, group: _Group) -> bool:
        """Score a chunk of every answer of the group; False when it has to wait for another model."""
        meeting, name, scoring = self._meeting(group), self._loaded.info.id, group.answers[0].prompt.scoring
        if meeting is not None and (name in meeting.brought or name in meeting.scores):
            return False
        width = self._width(group) if meeting is None else meeting.width
        parts = [answer.reads(width) for answer in group.answers]
        logits = self._logits(group, parts * group.copies)
        for place, (answer, part) in enumerate(zip(list(group.answers), parts, strict=True)):
            done, count = len(answer.found), len(part)
            targets = answer.targets[done : done + count]
            logprobs = _logprobs(logits[place, :count])
            answer.rows = max(answer.rows, group.rows)
            answer.found += self._told(logprobs, targets, answer.prompt.scoring.request.top)
            if meeting is not None:
                meeting.brought[name] = logprobs
        del logits
        for answer in [answer for answer in group.answers if not answer.left]:
            self._leave(group, answer)
            self._answered(answer, meeting)
        if meeting is not None:
            self._meet(meeting, scoring)
        release_scratch()
        return True

    def _parts(self, answer: _Answer) -> bool:
        """Whether a model makes something else of several tokens after images than of one after the other.

        Some of mlx-vlm have a mask or positions for whole prompts and for single tokens alone (0.7.10: PaliGemma and
        Gemma 3n). Neither their names nor their caches tell, so that it is tried.
        """
        tokens = mx.array([answer.reads(TRIED)])
        at_once = self._decoder(tokens, cache=copy.deepcopy(answer.cache))
        cache = copy.deepcopy(answer.cache)
        one_by_one = [self._decoder(tokens[:, at : at + 1], cache=cache) for at in range(tokens.shape[1])]
        return bool(mx.any(_distance(at_once, mx.concatenate(one_by_one, axis=1)) > TOLERANCE).item())

    def _logits(self, group: _Group, parts: list[list[int]]) -> mx.array:
        """Of shape (rows, longest part, vocabulary); what comes after the end of a shorter part means nothing."""
        lengths = [len(part) for part in parts]
        padding = [max(lengths) - length for length in lengths]
        if any(padding):
            for layer in group.layers:
                layer.prepare(lengths=list(lengths), right_padding=padding)
        tokens = mx.array([part + [0] * more for part, more in zip(parts, padding, strict=True)])
        logits: mx.array = self._decoder(tokens, cache=group.layers)
        mx.eval(logits, [layer.state for layer in group.layers])
        if any(padding):
            for layer in group.layers:
                layer.finalize()
        return logits

    def _told(self, logprobs: mx.array, targets: Sequence[int], top: int) -> list[ScoredToken]:
        """Plain numbers of log-probabilities of shape (n, vocabulary). Raises ValueError for what is no number."""
        wanted = mx.array(list(targets))[:, None]
        chosen = mx.take_along_axis(logprobs, wanted, axis=-1)
        ranks = mx.sum(logprobs > chosen, axis=-1) + 1
        count = min(top, logprobs.shape[-1])
        best = mx.argpartition(-logprobs, max(count - 1, 0), axis=-1)[:, :count]
        values = mx.take_along_axis(logprobs, best, axis=-1)
        mx.eval(chosen, ranks, best, values)
        lists = (np.array(array).tolist() for array in (chosen[:, 0], ranks, best, values))
        found: list[ScoredToken] = []
        for target, logprob, rank, ids, logs in zip(targets, *lists, strict=True):
            if math.isnan(logprob):
                raise ValueError("the logits hold numbers that are not finite")
            likely = sorted(zip(ids, logs, strict=True), key=lambda one: -one[1])
            alternatives = tuple(self._token(number, value) for number, value in likely)
            token = vars(replace(self._token(target, logprob), top=alternatives))
            found.append(ScoredToken(**token, rank=rank, special=target in self._marks))
        return found

    def _token(self, number: int, logprob: float) -> TokenLogprob:
        raw = self._loaded.spelling(number)
        return TokenLogprob(number, raw.decode("utf-8", "replace"), logprob, raw=raw)

    def _leave(self, group: _Group, answer: _Answer) -> None:
        keep = [place for place, other in enumerate(group.answers) if other is not answer]
        group.answers.remove(answer)
        if keep:
            for layer in group.layers:
                layer.filter(keep)

    def _answered(self, answer: _Answer, meeting: _Meeting | None) -> None:
        """A model is through with an answer; where another one works on it, the last to be through answers."""
        row, prompt = answer.row, answer.prompt
        score = Score(
            self._loaded.info.id,
            tuple(answer.found),
            row.prompt_tokens,
            prompt.prompt_sha256,
            prompt.vocabulary_sha256,
            self._loaded.fingerprint,
            precision(self._loaded.model),
            row.cached,
            answer.rows,
            prompt.notes,
            row.timing(),
        )
        if meeting is None:
            self._finish(prompt.scoring, score)
        else:
            meeting.scores[score.model] = score

    # -- two models at one answer ------------------------------------------------------------------------------------

    def _meeting(self, group: _Group) -> _Meeting | None:
        scoring = group.answers[0].prompt.scoring
        if scoring.request.against is None:
            return None
        answer, request = group.answers[0], scoring.request
        vocabulary = answer.prompt.vocabulary_sha256
        if scoring.shared is None:
            scoring.shared = _Meeting(self._width(group), vocabulary, answer.targets)
        meeting: _Meeting = scoring.shared
        if (meeting.vocabulary_sha256, meeting.targets) != (vocabulary, answer.targets):
            raise InvalidRequest(
                f"{request.model} and {request.against} do not share a vocabulary, so that their distributions cannot "
                "be compared token by token. Score each by itself: bits per byte compare across vocabularies.",
                "against",
            )
        return meeting

    def _meet(self, meeting: _Meeting, scoring: Scoring) -> None:
        """Reduce what both have brought, and answer at the end."""
        model, other = scoring.request.models
        if len(meeting.brought) == 2:
            meeting.kl += _divergences(meeting.brought[other], meeting.brought[model])
            meeting.brought.clear()
        if len(meeting.kl) == len(meeting.targets):
            score = replace(meeting.scores[model], against=meeting.scores[other], kl=tuple(meeting.kl))
            self._finish(scoring, score)

    def _finish(self, scoring: Scoring, score: Score) -> None:
        scoring.shared = None
        self._prompts.pop(scoring, None)
        scoring.finish(score)


def _distance(ours: mx.array, theirs: mx.array) -> mx.array:
    """The norm of the difference of logits (1, n, vocabulary) for each token, relative to that of `theirs`, whose mean
    means nothing."""
    a, b = (
        logits.astype(mx.float32) - mx.mean(logits.astype(mx.float32), axis=-1, keepdims=True)
        for logits in (ours, theirs)
    )
    found: mx.array = mx.linalg.norm(a - b, axis=-1) / mx.linalg.norm(b, axis=-1)
    return found


def _sociable(answer: _Answer) -> bool:
    """Whether it does not matter who else is in its batch."""
    request = answer.prompt.scoring.request
    return request.conditions == Conditions() and request.against is None


def _logprobs(logits: mx.array) -> mx.array:
    """Natural logarithms of the probabilities, in float32."""
    exact = logits.astype(mx.float32)
    found: mx.array = exact - mx.logsumexp(exact, axis=-1, keepdims=True)
    mx.eval(found)
    return found


def _divergences(p: mx.array, q: mx.array) -> list[float]:
    """KL(p || q) of each row, in nats. Rows of padding that one model has and the other lacks are no tokens."""
    width = min(p.shape[-1], q.shape[-1])
    if p.shape != q.shape:
        p, q = _logprobs(p[:, :width]), _logprobs(q[:, :width])
    parts = mx.where(mx.isinf(p), 0.0, mx.exp(p) * (p - q))
    found: list[float] = np.array(mx.maximum(mx.sum(parts, axis=-1), 0.0)).tolist()
    return found
