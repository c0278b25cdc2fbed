"""Carry out a plan: load each model once, ask it everything, judge each answer and write it down as it ends."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from core.calls.events import GenerationResult, TextDelta
from core.calls.requests import GenerationRequest, Message
from core.catalog import ModelInfo
from core.errors import EngineError
from core.golden.conversation import Conversation, following, stuck
from core.golden.graded.grader import Grader, is_graded
from core.golden.graded.program import may_run
from core.golden.plan import Plan, Planned, Stage
from core.golden.progress import (
    AnswerDelta,
    AnswerWaits,
    AttemptFinished,
    AttemptStarted,
    ModelLoading,
    ModelReady,
    RunEvent,
    RunStarted,
    RunWarning,
)
from core.golden.record import Circumstances, adopt, answered, failed, skipped
from core.golden.results import Attempt, RunFolder, Status
from core.golden.verdict import weigh
from core.media.images import read_image
from core.status import ModelState

if TYPE_CHECKING:
    from core.engine import Engine
    from core.golden.routes import Route

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """The attempts that ended, in the order of the plan."""

    attempts: tuple[Attempt, ...]
    interrupted: bool = False


@dataclass
class _Loaded:
    """A model of the stage at hand."""

    load_s: float = 0.0
    was_there: bool = False
    asked: bool = False
    precision: str = ""
    error: EngineError | None = None


@dataclass
class GoldenRun:
    """One run of a plan. `run` blocks on the caller's thread; `cancel` may be called from any.

    `routes` has a route for each name in the plan. `engine` None means that servers elsewhere do the work, so that
    nothing is loaded here. `listener` is called on the thread of `run` and must return at once. `done` are attempts of
    the run that is resumed: those that came about are taken over, and judged by what the suite expects now. Answers
    with graded checks end last, when every model has answered; `python` allows the suite's own functions, as
    the settings may.
    """

    plan: Plan
    routes: Mapping[str, Route]
    engine: Engine | None = None
    listener: Callable[[RunEvent], None] = lambda event: None
    folder: RunFolder | None = None
    done: Iterable[Attempt] = ()
    python: bool = False
    _ended: dict[int, Attempt] = field(default_factory=dict, init=False)
    _models: dict[str, _Loaded] = field(default_factory=dict, init=False)
    _twins: dict[int, list[Planned]] = field(default_factory=dict, init=False)
    """By an attempt's index, those that are given its answer."""
    _ungraded: dict[int, tuple[Planned, Attempt]] = field(default_factory=dict, init=False)
    """By an attempt's index, answers that wait for what grades them."""
    _cancelled: threading.Event = field(default_factory=threading.Event, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def run(self) -> RunResult:
        """Carry the plan out. Ctrl-C and `cancel` end it early, with what was done; what is under way is dropped."""
        interrupted = False
        try:
            asyncio.run(self._main())
        except (KeyboardInterrupt, asyncio.CancelledError):
            interrupted = True
        finally:
            self._loop = None
            if self.folder is not None:
                self.folder.close()
        attempts = tuple(self._ended[index] for index in sorted(self._ended))
        return RunResult(attempts, interrupted)

    def cancel(self) -> None:
        """Stop: running generations end within a step. Idempotent, and without effect once the run is over."""
        self._cancelled.set()
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                pass  # the loop has closed: the run is over

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._cancelled.is_set():
            raise asyncio.CancelledError
        try:
            self.listener(RunStarted(self.plan))
            self._take_over()
            for stage in self.plan.stages:
                pending = replace(stage, attempts=tuple(a for a in stage.attempts if not self._is_done(a)))
                if pending.attempts:
                    await self._stage(pending)
            await self._grade()
        finally:
            for route in self.routes.values():
                await route.aclose()

    def _take_over(self) -> None:
        """What needs no model: attempts that are skipped, and those that the resumed run has done."""
        before = {attempt.key: attempt for attempt in self.done if attempt.status is Status.OK}
        for planned in self.plan.attempts:
            if planned.same_as is not None:
                self._twins.setdefault(planned.same_as, []).append(planned)
            if planned.model is None:
                self._finish(planned, skipped(planned, self._run_id))
        for planned in sorted(self.plan.attempts, key=lambda one: one.control is not None):
            own = self._own(planned) if planned.control is not None else ()
            ready = all(self._is_done(one) for one in own)  # else the control is asked again beside them
            if planned.key in before and planned.same_as is None and ready:
                record = adopt(before[planned.key], planned, self._run_id)
                if self._needs_grades(planned):
                    self._ungraded[planned.index] = planned, record
                    self._waits(planned)
                else:
                    self._conclude(planned, record, before)

    def _wait_for_grades(self, planned: Planned, record: Attempt) -> None:
        """Keep an answer, so that it is not asked again where the run is stopped, until it can be judged."""
        self._ungraded[planned.index] = planned, record
        for one in self._with_twins(planned):
            self._write(weigh(one, record if one is planned else adopt(record, one, self._run_id)))
        self._waits(planned)

    def _waits(self, planned: Planned) -> None:
        for one in self._with_twins(planned):
            self.listener(AnswerWaits(one))

    async def _grade(self) -> None:
        """Have graded what waits for it, and judge it: controls after the attempts that they are held against."""
        if not self._ungraded:
            return
        waiting = sorted(self._ungraded.values(), key=lambda one: one[0].control is not None)
        suite = self.plan.suite
        allowed = self.python or (self.engine is not None and may_run(suite.path, self.engine.settings))
        grader = Grader(suite, self.engine, python=allowed, listener=self.listener)
        told = await grader.grade([(self._with_twins(planned), record) for planned, record in waiting])
        for (planned, _), record in zip(waiting, told, strict=True):
            self._conclude(planned, record)

    def _conclude(self, planned: Planned, record: Attempt, kept: Mapping[str, Attempt] = MappingProxyType({})) -> None:
        """Judge an answer, for the attempt that was asked and for those that are given the same answer. `kept` are the
        records that are written down already."""
        for one in self._with_twins(planned):
            mine = record if one is planned else adopt(record, one, self._run_id)
            judged = weigh(one, mine, self._shown(one))
            self._finish(one, judged, written=kept.get(one.key) == judged)

    def _with_twins(self, planned: Planned) -> tuple[Planned, ...]:
        """An attempt that is asked, and those that are given its answer."""
        return (planned, *self._twins.get(planned.index, ()))

    def _shown(self, planned: Planned) -> list[Attempt]:
        """The case's own attempts, of which the attempt is a control."""
        if planned.control is None:
            return []
        return [self._ended[own.index] for own in self._own(planned) if own.index in self._ended]

    def _own(self, control: Planned) -> list[Planned]:
        return [one for one in self.plan.attempts if one.control is None and one.place == control.place]

    def _is_done(self, planned: Planned) -> bool:
        """Whether nothing more is to be asked for it; one that is given another's answer waits with that one."""
        asked = planned.index if planned.same_as is None else planned.same_as
        return planned.index in self._ended or asked in self._ungraded

    def _needs_grades(self, planned: Planned) -> bool:
        return any(is_graded(one) for one in self._with_twins(planned))

    @property
    def _run_id(self) -> str:
        return self.folder.id if self.folder else "run"

    # -- models ------------------------------------------------------------------------------------------------------

    async def _stage(self, stage: Stage) -> None:
        """Ask the models of a stage everything, all of them at the same time, one route after the other."""
        await asyncio.gather(*(self._load(model) for model in stage.models))
        for route in dict.fromkeys(planned.route for planned in stage.attempts):
            async with asyncio.TaskGroup() as group:
                tasks: dict[int, asyncio.Task[None]] = {}
                for model in stage.models:
                    gate = asyncio.Semaphore(1 if self.plan.options.isolated else self.plan.options.in_flight)
                    for planned in stage.attempts:
                        if planned.route == route and planned.model is model:
                            attempt = self._attempt(planned, self._models[model.id], gate, tasks)
                            tasks[planned.index] = group.create_task(attempt)
        if stage.models[-1] is not self.plan.models[-1]:
            await asyncio.gather(*(self._unload(model) for model in stage.models))

    async def _load(self, model: ModelInfo) -> None:
        loaded = self._models[model.id] = _Loaded()
        if self.engine is None:
            return
        states = {there.id: there.state for there in self.engine.status().models}
        loaded.was_there = model.id in states
        if states.get(model.id) is not ModelState.READY:  # also one that somebody else has asked for
            self.listener(ModelLoading(model.id))
        try:
            there = await asyncio.wrap_future(self.engine.load(model.id))  # given up with the run
        except EngineError as error:
            loaded.error = error
            return
        loaded.precision = there.precision
        loaded.load_s = 0.0 if loaded.was_there else there.load_s
        self.listener(ModelReady(model.id, loaded.load_s))

    async def _unload(self, model: ModelInfo) -> None:
        """Make room for the next stage; a model that was in memory before the run stays."""
        loaded = self._models[model.id]
        if self.engine is None or loaded.was_there or loaded.error:
            return
        try:
            await asyncio.shield(asyncio.wrap_future(self.engine.unload(model.id)))
        except EngineError as error:
            log.warning("%s stays in memory: %s", model.id, error)

    # -- attempts ----------------------------------------------------------------------------------------------------

    async def _attempt(
        self, planned: Planned, model: _Loaded, gate: asyncio.Semaphore, tasks: Mapping[int, asyncio.Task[None]]
    ) -> None:
        async with gate:
            loaded, model.asked = not model.asked and not model.was_there, True
            try:
                if model.error is not None:
                    raise model.error
                self._starts(planned)
                said = await self._converse(planned)
                peak = self.engine.status().peak_memory if self.engine else None
                around = Circumstances(loaded, model.load_s if loaded else 0.0, peak, model.precision)
                record = answered(planned, self._run_id, said, around)
            except EngineError as error:
                record = failed(planned, self._run_id, error)
        if planned.control is not None:  # it is held against the case's own attempts, once they have ended
            await asyncio.gather(*(tasks[own.index] for own in self._own(planned) if own.index in tasks))
        if record.status is Status.OK and self._needs_grades(planned):
            self._wait_for_grades(planned, record)
        else:
            self._conclude(planned, record)

    def _starts(self, planned: Planned) -> None:
        for one in self._with_twins(planned):
            self.listener(AttemptStarted(one))

    async def _converse(self, planned: Planned) -> Conversation:
        """Ask the prompt, and then each turn that can follow the answer before it."""
        messages = planned.messages(*(read_image(image.path) for image in planned.images))
        results = [await self._answer(planned, messages)]
        for turn in planned.case.turns:
            if stuck(turn, [call.name for call in results[-1].tool_calls]):
                break
            shown = [read_image(image.path) for image in planned.images_of(turn)]
            messages = (*messages, *following(turn, results[-1], shown))
            results.append(await self._answer(planned, messages))
        return Conversation(messages, tuple(results))

    async def _answer(self, planned: Planned, messages: tuple[Message, ...]) -> GenerationResult:
        result = GenerationResult()
        request = request_for(planned, messages)
        async with aclosing(self.routes[planned.route].stream(request)) as events:  # type: ignore[type-var]
            async for event in events:
                result.add(event)
                if isinstance(event, TextDelta):
                    for one in self._with_twins(planned):
                        self.listener(AnswerDelta(one, event.text))
        return result

    def _finish(self, planned: Planned, attempt: Attempt, written: bool = False) -> None:
        self._ended[planned.index] = attempt
        if not written:
            self._write(attempt)
        self.listener(AttemptFinished(planned, attempt))

    def _write(self, attempt: Attempt) -> None:
        if self.folder is not None:
            try:
                self.folder.append(attempt)
            except OSError as error:
                where, self.folder = self.folder.path, None
                self.listener(RunWarning(f"{where} cannot be written ({error.strerror}): the run goes on unkept."))


def request_for(planned: Planned, messages: tuple[Message, ...]) -> GenerationRequest:
    """What is sent for an answer of an attempt, on every route."""
    assert planned.model is not None, "an attempt without a model is skipped, not sent"
    case = planned.case
    return GenerationRequest(
        model=planned.model.id,
        messages=messages,
        tools=case.tools,
        tool_choice=case.tool_choice,
        json_schema=case.json_schema,
        sampling=replace(case.sampling, seed=planned.seed),
        thinking=case.thinking,
        source="golden",
    )
