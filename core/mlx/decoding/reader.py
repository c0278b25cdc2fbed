"""Requests for one model, read: what its tokens are, how they will be sampled, and where their KV will be copied."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

from mlx_lm.tokenizer_utils import NaiveStreamingDetokenizer

from core.calls.clock import Clock
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Role
from core.calls.witness import SeenImage, Witness, message_sha256, tools_sha256
from core.errors import EngineError
from core.mlx.decoding.apart_trial import find_out
from core.mlx.decoding.constraint import JsonConstraint, grammar_tokenizer
from core.mlx.decoding.output import OutputParser
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.row import Row
from core.mlx.decoding.scored_prompt import ScoredPrompt, read_answer
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.meter import Meter
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.precision import precision
from core.mlx.models.sampling import LogitsProcessor, make_processors, make_sampler, resolve
from core.mlx.models.templates import aside, finished
from core.mlx.prompt.chat_template import Prompt
from core.mlx.prompt.inputs import Inputs, prepare_inputs
from core.mlx.prompt.snapshot_points import snapshot_points
from core.mlx.prompt.token_counts import check_fit

T = TypeVar("T")

SHOWN = 8
"""Tokens of a prompt that a detokenizer is shown: enough for some of them to be text."""


class RequestReader:
    """Makes tasks of requests. With `snapshots`, their caches are copied where other prompts will branch off.

    `failure` makes an EngineError of what a logits processor raises.
    """

    def __init__(
        self,
        loaded: LoadedWeights,
        prefixes: PrefixCache,
        snapshots: bool,
        meter: Meter,
        failure: Callable[[Exception], EngineError],
    ) -> None:
        self._loaded = loaded
        self._prefixes = prefixes
        self._snapshots = snapshots
        self._meter = meter
        self._failure = failure
        self._grammar_tokenizer: Any = None
        self._precision = precision(loaded.model)

    def read(self, generation: Generation, clock: Clock) -> Generator[None, None, PrefillTask]:
        """Read a request, yielding wherever others may go on meanwhile.

        Raises EngineError, ContextOverflow among them, and what tokenizers and processors raise.
        """
        request, loaded = generation.request, self._loaded
        inputs = yield from self._agreed(self._inputs(request))
        generation.notes = inputs.prompt.notes
        prompt = inputs.prompt
        parser = OutputParser(
            loaded.markers,
            stop=request.sampling.stop,
            tools=prompt.tools,
            initial=prompt.initial,
            held=prompt.schema is not None and prompt.initial != "tool",
        )
        row = Row(
            generation,
            clock,
            parser,
            loaded.spelling,
            _detokenizer(inputs, loaded),
            inputs.length,
            image_tokens=inputs.image_tokens,
            key=inputs.key,
        )
        row.measured = partial(self._meter.end, self._meter.begin(generation))
        row.sampling = resolve(request.sampling, loaded.defaults)
        row.sampler = loaded.ranks.agreed(make_sampler(row.sampling))
        schemas = prompt.schema is not None or prompt.call_schema is not None
        held = (yield from self._held(inputs)) if schemas else []
        processors = [*make_processors(row.sampling, loaded.vocabulary), *held]
        row.processors = [row.guarded(processor, self._failure) for processor in processors]
        row.end_ids = loaded.eos_ids
        row.witness = self._witness(request, inputs)
        if self._snapshots:
            known = self._prefixes.longest(loaded.info.id, row.key)
            row.snapshot_points = yield from self._agreed(snapshot_points(request, inputs, loaded, known))
        task = PrefillTask(row, inputs, recall=self._prefixes.recall(loaded.info.id, row.key))
        if isinstance(generation, ScoredPrompt):
            task.answer, generation.vocabulary_sha256 = yield from read_answer(generation, inputs, loaded)
            conditions = generation.scoring.request.conditions
            task.kept, task.copies = conditions.kept, conditions.rows or 1
        return task

    def _witness(self, request: GenerationRequest, inputs: Inputs) -> Witness:
        """What is known before the prompt is prefilled; the row adds the rest."""
        told = (one for one in request.messages if one.role in (Role.SYSTEM, Role.USER))
        texts = ((one.role.value, self._loaded.markup.as_text(one.plain_text).strip()) for one in told)
        return Witness(
            messages=tuple(map(message_sha256, request.messages)),
            unread=tuple(role for role, text in texts if text not in inputs.prompt.text),
            tools_sha256=tools_sha256(request.tools),
            thinking=request.thinking,
            images=tuple(SeenImage(digest, tokens) for digest, tokens in inputs.images),
            model=self._loaded.fingerprint,
            precision=self._precision,
        )

    def _agreed(self, steps: Generator[None, None, T]) -> Generator[None, None, T]:
        """What `steps` return, or what they do on rank 0: ranks stay in step, so that these wait for all of them."""
        ranks = self._loaded.ranks
        if ranks.size > 1:
            return ranks.decide(lambda: finished(steps))
        return (yield from steps)

    def _inputs(self, request: GenerationRequest) -> Generator[None, None, Inputs]:
        yield from find_out(request, self._loaded)
        inputs = yield from prepare_inputs(request, self._loaded)
        check_fit(self._loaded, inputs.length)
        return inputs

    def _grammar(self) -> Any:
        """The tokenizer as grammars want it, made when the first one is asked for."""
        if self._grammar_tokenizer is None:
            self._grammar_tokenizer = grammar_tokenizer(self._loaded.tokenizer._tokenizer, self._loaded.markup)
        return self._grammar_tokenizer

    def _held(self, inputs: Inputs) -> Generator[None, None, list[LogitsProcessor]]:
        """What holds the answer to its schemas. Compiling a large one takes seconds, in which others can run."""
        work = partial(self._constraints, inputs.prompt)
        # Ranks stay in step, so that these wait.
        return work() if self._loaded.ranks.size > 1 else (yield from aside(work))

    def _constraints(self, prompt: Prompt) -> list[LogitsProcessor]:
        tokenizer, made = self._loaded.tokenizer, list[LogitsProcessor]()
        if prompt.schema is not None:
            ends = tokenizer.think_end_tokens if prompt.initial == "reasoning" else None
            constraint = JsonConstraint(
                self._grammar(),
                prompt.schema,
                wait_for=ends[-1] if ends else None,
                open_end=prompt.initial == "tool",
                param=prompt.schema_param,
            )
            made.append(constraint)
        if prompt.call_schema is not None:
            marker = tokenizer.encode(self._loaded.markers.tool_start or "", add_special_tokens=False)
            if len(marker) == 1:
                held = JsonConstraint(
                    self._grammar(), prompt.call_schema, wait_for=marker[0], open_end=True, param="tools", again=True
                )
                made.append(held)
        return made


def _detokenizer(inputs: Inputs, loaded: LoadedWeights) -> Any:
    """A fresh one. It drops a text's first space; where the prompt goes on, it is shown its last tokens before."""
    made = loaded.tokenizer.detokenizer
    if inputs.prompt.goes_on:
        for token in inputs.tokens[-SHOWN:]:
            made.add_token(token)
        if not isinstance(made, NaiveStreamingDetokenizer):  # that one would forget what it has been shown
            made.finalize()
        _ = made.last_segment
    return made
