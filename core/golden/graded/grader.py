"""Has the graded checks of answers graded, one model after the other, and puts what was said into the records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.calls.requests import EmbeddingRequest
from core.errors import EngineError
from core.golden.checks import Answer
from core.golden.expressions import Expression, leaves
from core.golden.graded.judge import ask_judge
from core.golden.graded.leaves import Graded, Program, Similar, answer_mark, graded_json
from core.golden.graded.program import ask_program, not_allowed
from core.golden.plan import Planned
from core.golden.progress import Grading
from core.golden.results import Attempt
from core.golden.suite import Suite
from core.golden.verdict import as_answer
from core.media.images import read_image

if TYPE_CHECKING:
    from core.engine import Engine

AT_ONCE = 4
"""Answers that one model, or the processor, grades at the same time."""


@dataclass(frozen=True)
class _Task:
    """One check of one answer: to which of the records it belongs, and what was asked."""

    place: int
    leaf: Graded
    planned: Planned
    question: str
    answer: Answer

    @property
    def model(self) -> str:
        return "" if isinstance(self.leaf, Program) else self.leaf.model


def is_graded(planned: Planned) -> bool:
    """Whether something has to grade the case's answers before they can be judged."""
    case = planned.case
    expected = (case.expected(planned.tier), *(turn.expected_before(planned.tier) for turn in case.turns))
    return any(isinstance(leaf, Graded) for expression in expected for leaf in leaves(expression))


class Grader:
    """`engine` None, as where servers elsewhere answer, leaves what a model grades open. `python` says whether the
    suite's functions may run. `listener` hears how far it is."""

    def __init__(
        self,
        suite: Suite,
        engine: Engine | None,
        *,
        python: bool,
        listener: Callable[[Grading], None] = lambda event: None,
    ) -> None:
        self._suite = suite
        self._engine = engine
        self._python = python
        self._listener = listener
        self._done = self._total = 0

    async def grade(self, answers: Sequence[tuple[Sequence[Planned], Attempt]]) -> list[Attempt]:
        """The records with what was said of each check, also by earlier runs of the suite where that is known. Each is
        given with the attempts that it answers: one where one model stands for one tier."""
        tasks = [task for place, (planned, record) in enumerate(answers) for task in _tasks(place, planned, record)]
        found: list[list[dict[str, Any]]] = [
            [dict(one) for one in record.graded if one.get("held") is not None] for _, record in answers
        ]
        gate = asyncio.Semaphore(AT_ONCE)
        self._done, self._total = 0, len(tasks)
        for model in dict.fromkeys(task.model for task in tasks):
            self._listener(Grading(self._done, self._total, model))
            mine = [task for task in tasks if task.model == model]
            for task, said in zip(mine, await asyncio.gather(*(self._said(task, gate) for task in mine)), strict=True):
                about = {"expr": graded_json(task.leaf), "answer": _mark(task.answer)}
                found[task.place].append(about | said)
        return [replace(record, graded=tuple(said)) for (_, record), said in zip(answers, found, strict=True)]

    async def _said(self, task: _Task, gate: asyncio.Semaphore) -> dict[str, Any]:
        async with gate:
            try:
                said = await self._ask(task)
            except EngineError as error:
                said = {"held": None, "why": error.message}
            except OSError as error:
                said = {"held": None, "why": f"it could not be asked ({error})"}
        self._done += 1
        self._listener(Grading(self._done, self._total, task.model))
        return said

    async def _ask(self, task: _Task) -> dict[str, Any]:
        leaf, text = task.leaf, task.answer.text
        if isinstance(leaf, Program):
            if not self._python:
                return {"held": None, "why": not_allowed(self._suite.path)}
            calls = [{"name": call.name, "arguments": call.arguments} for call in task.answer.calls]
            about = {"case": task.planned.case.id, "question": task.question, "calls": calls}
            return await ask_program(self._suite.path, leaf, text, about)
        if self._engine is None:
            return {
                "held": None,
                "why": f"{leaf.model} cannot be asked here: a run with --url has no engine of its own",
            }
        if not text.strip():
            return {"held": False, "why": "the answer is empty"}
        if isinstance(leaf, Similar):
            return await _near(self._engine, leaf, text)
        sees = self._engine.catalog.get(leaf.model).images
        images = [read_image(image.path) for image in task.planned.case.all_images] if sees else []
        return await ask_judge(self._engine, leaf, task.question, text, images)


async def _near(engine: Engine, leaf: Similar, text: str) -> dict[str, Any]:
    """The largest cosine of the answer's vector and a text's."""
    request = EmbeddingRequest(leaf.model, (text, *leaf.to), source="golden")
    mine, *others = (await asyncio.wrap_future(engine.embed(request))).vectors
    score = max(sum(a * b for a, b in zip(mine, other, strict=True)) for other in others)
    held = score >= leaf.at_least
    return {"held": held, "why": "" if held else f"similarity is {score:.3f}, under {leaf.at_least:g}", "score": score}


def _tasks(place: int, planned: Sequence[Planned], record: Attempt) -> Iterator[_Task]:
    """What is to be asked of a record that is not known of it, each once."""
    known = {(str(one["expr"]), one["answer"]) for one in record.graded if one.get("held") is not None}
    for one in planned:
        for expression, question, answer in _answers(one, record):
            for leaf in leaves(expression):
                if isinstance(leaf, Graded) and (key := (str(graded_json(leaf)), _mark(answer))) not in known:
                    known.add(key)
                    yield _Task(place, leaf, one, question, answer)


def _answers(planned: Planned, record: Attempt) -> Iterator[tuple[Expression, str, Answer]]:
    """Each answer of a conversation, with what is expected of it and what it answers."""
    case = planned.case
    questions = [case.prompt, *(turn.text for turn in case.turns)]
    for turn, question, came in zip(case.turns, questions, record.turns, strict=False):
        yield turn.expected_before(planned.tier), question, as_answer(replace(record, **came))
    reached = len(record.turns)
    last = case.turns[reached].expected_before(planned.tier) if reached < len(case.turns) else None
    yield last or case.expected(planned.tier), questions[reached], as_answer(record)


def _mark(answer: Answer) -> str:
    return answer_mark(answer.text, ((call.name, call.arguments) for call in answer.calls))
