"""Faults planted in the product, each of which a default run of the built-in suite over all routes has to notice.

A run asks the cases that notice, and of those with images the quick tier alone, whose model answers four times as fast:
a run of all of them notices what some do. `by` says which part of the run it is
that notices: the cases, the controls, the routes among themselves, or the engine's witness.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest
from PIL import Image

from core.calls.events import Event, FinishReason, TextDelta
from core.calls.requests import GenerationRequest, ImagePart, Message, Role
from core.engine import Engine
from core.golden.models import Choice, from_disk
from core.golden.outcome import ExitCode, LeftOut, Outcome, outcome
from core.golden.parity import ENGINE, Parity, compare_routes
from core.golden.plan import RunOptions, make_plan
from core.golden.reading import load_suite
from core.golden.results import Attempt, Verdict
from core.golden.routes import InProcess, Route
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.http import HttpRoute
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.golden.run import GoldenRun
from core.golden.suite import BUILTIN, ROUTES, Case, TierModels
from core.media import images
from core.mlx.decoding import reader, row
from core.mlx.models import loading, sampling
from core.mlx.prompt import chat_template, image_inputs, inputs
from core.tiers import Tier
from server.anthropic import encode as anthropic_encode
from server.anthropic import routes as anthropic_routes
from server.openai import encode as openai_encode
from server.openai import routes as openai_routes
from server.openai.responses import output as responses_output
from tests.conftest import Api

Plant = Callable[[pytest.MonkeyPatch], None]
EVERYTHING = " red blue square circle Hello MLX Paris chat café"


@pytest.fixture
def run(engine: Engine, api: Api) -> Iterator[Callable[..., tuple[Outcome, Parity, tuple[Attempt, ...]]]]:
    """A run as `assay golden run --route all` does it, on models that are read anew unless they are to stay."""

    def forget() -> None:
        for model in engine.status().models:
            engine.unload(model.id).result()

    def ask(
        *cases: str, stay: bool = False, briefly: bool = False, asked: tuple[str, ...] = ROUTES
    ) -> tuple[Outcome, Parity, tuple[Attempt, ...]]:
        if not stay:
            forget()
        routes: dict[str, Route] = {
            "in-process": InProcess(engine),
            "openai": HttpRoute(OpenAI(), api.url, api.key),
            "responses": HttpRoute(Responses(), api.url, api.key),
            "anthropic": HttpRoute(Anthropic(), api.url, api.key),
        }
        usual = from_disk(engine.catalog, engine.settings)

        def choose(case: Case, tier: Tier, named: TierModels) -> Choice:
            if briefly and case.images and tier is Tier.FULL:
                return Choice(None, "the quick tier notices")
            return usual(case, tier, named)

        plan = make_plan(load_suite(BUILTIN), choose, RunOptions(asked, cases), engine.status().memory_budget)
        result = GoldenRun(plan, routes, engine).run()
        parity = compare_routes(result.attempts, plan.suite.gates, own=True)
        left_out = LeftOut(plan.controls_left_out, plan.parity_left_out)
        return outcome(result.attempts, parity, plan.suite.gates, left_out=left_out), parity, result.attempts

    yield ask
    forget()


def noticed(found: Outcome, parity: Parity) -> set[str]:
    """The parts of a run that raise an alarm."""
    parts = {
        "cases": any(rate.passes < rate.tries for rate in found.rates),
        "controls": found.controls.get(Verdict.FAIL, 0) > 0,
        "routes": any(ENGINE not in item.routes for item in parity.breaks),
        "witness": any(ENGINE in item.routes for item in parity.breaks),
    }
    return {part for part, alarmed in parts.items() if alarmed}


# -- the faults ------------------------------------------------------------------------------------------------------


def blind_tower(patch: pytest.MonkeyPatch) -> None:
    def blank(data: images.ImageData) -> Image.Image:
        return Image.new("RGB", (data.width, data.height), "white")

    patch.setattr(inputs, "decode", blank)


def another_cases_image(patch: pytest.MonkeyPatch) -> None:
    red = images.read_image(BUILTIN / "images" / "red_square.png")
    patch.setattr(inputs, "decode", lambda data: images.decode(red))


def image_cache_keyed_by_size(patch: pytest.MonkeyPatch) -> None:
    for module in (image_inputs, inputs):
        patch.setattr(module, "image_number", lambda name, run=0: -1 - run)


def without_system(request: GenerationRequest) -> GenerationRequest:
    return replace(request, messages=tuple(one for one in request.messages if one.role is not Role.SYSTEM))


def system_dropped(patch: pytest.MonkeyPatch) -> None:
    render = chat_template.render
    patch.setattr(
        chat_template, "render", lambda request, *rest, **more: render(without_system(request), *rest, **more)
    )


def system_dropped_on_one_route(patch: pytest.MonkeyPatch) -> None:
    decode = openai_routes.decode_chat

    def dropping(*arguments: Any) -> Any:
        decoded = decode(*arguments)
        return replace(decoded, request=without_system(decoded.request))

    patch.setattr(openai_routes, "decode_chat", dropping)


def wrong_template(patch: pytest.MonkeyPatch) -> None:
    render = chat_template.render

    def plain(request: GenerationRequest, *rest: Any, **more: Any) -> Any:
        prompt = render(request, *rest, **more)
        said = "\n".join(f"{one.role}: {one.plain_text}" for one in request.messages)
        return prompt if request.images else replace(prompt, text=said)

    patch.setattr(chat_template, "render", plain)


def weights_at_two_bits(patch: pytest.MonkeyPatch) -> None:
    arrange = loading.arrange

    def rounded(weight: mx.array) -> mx.array:
        packed = mx.quantize(weight.astype(mx.float32), group_size=32, bits=2)
        return mx.dequantize(*packed, group_size=32, bits=2)

    def coarse(model: Any, way: Any) -> None:
        arrange(model, way)
        for _, module in model.named_modules():
            weight = module.get("weight")
            if weight is not None and weight.ndim == 2 and weight.shape[-1] % 32 == 0:
                module.weight = rounded(weight)

    patch.setattr(loading, "arrange", coarse)


def end_token_lost(patch: pytest.MonkeyPatch) -> None:
    load = loading.load_steps

    def endless(*arguments: Any, **more: Any) -> Any:
        loaded = yield from load(*arguments, **more)
        return replace(loaded, eos_ids=frozenset({0}))

    patch.setattr(loading, "load_steps", endless)


def seed_constant(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reader, "make_sampler", lambda chosen: sampling.make_sampler(replace(chosen, seed=1)))


def seed_random(patch: pytest.MonkeyPatch) -> None:
    def sampler(chosen: Any) -> Any:
        return sampling.make_sampler(replace(chosen, seed=secrets.randbits(60)))

    patch.setattr(reader, "make_sampler", sampler)


def usage_miscounted_on_one_route(patch: pytest.MonkeyPatch) -> None:
    body = openai_encode.usage_body

    def more(usages: Any) -> dict[str, Any]:
        counted = body(usages)
        return counted | {"completion_tokens": counted["completion_tokens"] + 1}

    patch.setattr(openai_encode, "usage_body", more)


def usage_miscounted_in_the_engine(patch: pytest.MonkeyPatch) -> None:
    usage = row.Row.usage.fget
    assert usage is not None

    def less(self: row.Row) -> Any:
        counted = usage(self)
        return replace(counted, prompt_tokens=counted.prompt_tokens - 1)

    patch.setattr(row.Row, "usage", property(less))


def without_last_image(request: GenerationRequest) -> GenerationRequest:
    last = request.messages[-1]
    shown = [part for part in last.parts if isinstance(part, ImagePart)]
    if not shown:
        return request
    kept = tuple(part for part in last.parts if part is not shown[-1])
    return replace(request, messages=(*request.messages[:-1], replace(last, parts=kept)))


def last_image_dropped(patch: pytest.MonkeyPatch) -> None:
    prepare = reader.prepare_inputs
    patch.setattr(reader, "prepare_inputs", lambda request, loaded: prepare(without_last_image(request), loaded))


def last_image_dropped_on_one_route(patch: pytest.MonkeyPatch) -> None:
    decode = anthropic_routes.decode_messages

    def dropping(*arguments: Any) -> Any:
        decoded = decode(*arguments)
        return replace(decoded, request=without_last_image(decoded.request))

    patch.setattr(anthropic_routes, "decode_messages", dropping)


def all_keywords(patch: pytest.MonkeyPatch) -> None:
    finish = row.Row.finish

    def boasting(self: row.Row, reason: Any) -> None:
        self.generation.feed(TextDelta(EVERYTHING))
        finish(self, reason)

    patch.setattr(row.Row, "finish", boasting)


def last_delta_dropped(patch: pytest.MonkeyPatch) -> None:
    feed = openai_encode.ChatStream.feed

    def late(self: Any, event: Event, choice: int = 0) -> Any:
        if isinstance(event, TextDelta):
            held, self.held = getattr(self, "held", None), event
            return feed(self, held, choice) if held is not None else []
        return feed(self, event, choice)

    patch.setattr(openai_encode.ChatStream, "feed", late)


def trailing_space(patch: pytest.MonkeyPatch) -> None:
    finish = anthropic_encode.MessageStream._finish

    def spaced(self: Any, event: Any) -> Any:
        return [*self.feed(TextDelta(" ")), *finish(self, event)]

    patch.setattr(anthropic_encode.MessageStream, "_finish", spaced)


def leading_newline(patch: pytest.MonkeyPatch) -> None:
    feed = openai_encode.ChatStream.feed

    def broken(self: Any, event: Event, choice: int = 0) -> Any:
        if isinstance(event, TextDelta) and not getattr(self, "begun", False):
            self.begun = True
            event = replace(event, text="\n" + event.text)
        return feed(self, event, choice)

    patch.setattr(openai_encode.ChatStream, "feed", broken)


def system_cut(patch: pytest.MonkeyPatch) -> None:
    render = chat_template.render

    def cut(one: Message) -> Message:
        return Message.text(one.role, one.plain_text[:20]) if one.role is Role.SYSTEM else one

    def cutting(request: GenerationRequest, *rest: Any, **more: Any) -> Any:
        return render(replace(request, messages=tuple(map(cut, request.messages))), *rest, **more)

    patch.setattr(chat_template, "render", cutting)


def accents_lost(patch: pytest.MonkeyPatch) -> None:
    feed = openai_encode.ChatStream.feed

    def plain(self: Any, event: Event, choice: int = 0) -> Any:
        if isinstance(event, TextDelta):
            event = replace(event, text=event.text.encode("ascii", "ignore").decode())
        return feed(self, event, choice)

    patch.setattr(openai_encode.ChatStream, "feed", plain)


def cut_answers_called_whole(patch: pytest.MonkeyPatch) -> None:
    finish = row.Row.finish

    def whole(self: row.Row, reason: FinishReason) -> None:
        finish(self, FinishReason.STOP)

    patch.setattr(row.Row, "finish", whole)


def tools_dropped(patch: pytest.MonkeyPatch) -> None:
    generate = Engine.generate
    patch.setattr(Engine, "generate", lambda self, request: generate(self, replace(request, tools=())))


def arguments_cut_in_responses(patch: pytest.MonkeyPatch) -> None:
    add = responses_output.Call.add

    def cut(self: Any, text: str, logprobs: Any) -> Any:
        return add(self, text, logprobs) if self.pieces else add(self, text[:1], logprobs)

    patch.setattr(responses_output.Call, "add", cut)


def witness_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.golden.routes.http._witness", lambda frame, url: None)


def image_tokens_miscounted(patch: pytest.MonkeyPatch) -> None:
    usage = row.Row.usage.fget
    assert usage is not None

    def more(self: row.Row) -> Any:
        counted = usage(self)
        return replace(counted, image_tokens=counted.image_tokens + 7)

    patch.setattr(row.Row, "usage", property(more))


SHAPES, WORDS, STORY = ("describe_image",), ("factual_question", "secret_word"), ("sampled_story",)
FAULTS: list[tuple[Plant, tuple[str, ...], str]] = [
    (blind_tower, SHAPES, "cases"),
    (another_cases_image, SHAPES, "cases"),
    (image_cache_keyed_by_size, SHAPES, "cases"),
    (system_dropped, WORDS, "cases"),
    (system_dropped_on_one_route, ("system_instruction",), "routes"),
    (wrong_template, WORDS, "cases"),
    (weights_at_two_bits, ("factual_question",), "cases"),
    (end_token_lost, ("factual_question",), "cases"),
    (seed_constant, STORY, "controls"),
    (seed_random, STORY, "controls"),
    (usage_miscounted_on_one_route, WORDS, "witness"),
    (usage_miscounted_in_the_engine, WORDS, "witness"),
    (last_image_dropped, ("compare_images",), "witness"),
    (last_image_dropped_on_one_route, ("compare_images",), "routes"),
    (all_keywords, (*SHAPES, "secret_word"), "controls"),
    (last_delta_dropped, WORDS, "routes"),
    (trailing_space, WORDS, "routes"),
    (leading_newline, WORDS, "routes"),
    (system_dropped, (*SHAPES, "factual_question"), "witness"),
    (system_cut, (*SHAPES, "factual_question"), "witness"),
    (accents_lost, WORDS, "witness"),
    (cut_answers_called_whole, ("cut_off",), "witness"),
    (tools_dropped, ("tool_call_request",), "witness"),
    (arguments_cut_in_responses, ("tool_call_request",), "routes"),
    (witness_lost, WORDS, "witness"),
    (image_tokens_miscounted, (*SHAPES, "factual_question"), "witness"),
]


ON_EACH_ROUTE = (end_token_lost, seed_constant, seed_random)
"""What is noticed on each route by itself, in long answers: one is asked."""


@pytest.mark.parametrize(("plant", "cases", "by"), FAULTS, ids=[f"{plant.__name__}-{by}" for plant, _, by in FAULTS])
def test_a_planted_fault_is_noticed(
    plant: Plant, cases: tuple[str, ...], by: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    found, parity, attempts = run(*cases, briefly=True, asked=ROUTES[:1] if plant in ON_EACH_ROUTE else ROUTES)
    monkeypatch.undo()
    assert by in noticed(found, parity), [(one.case, one.route, one.verdict, one.answer) for one in attempts]
    assert found.code is (ExitCode.FAILED if {"cases", "controls"} & noticed(found, parity) else ExitCode.PARITY)


def test_runs_without_a_fault_raise_no_alarm(run: Callable[..., Any]) -> None:
    """One on models that are read anew, and one on models that have answered before, images on the quick tier alone.
    One of everything is run by the command line's tests."""
    for again in range(2):
        found, parity, attempts = run("prompts/*", "ocr_text", stay=again > 0, briefly=True)
        assert (noticed(found, parity), found.code, parity.claimed) == (set(), ExitCode.HOLDS, 0)
        assert found.controls == {Verdict.PASS: 24, Verdict.SKIP: 8}
        assert [str(broken) for broken in parity.breaks] == []
        first = {(one.case, one.tier, one.repeat, one.control): one for one in attempts if one.route == ROUTES[0]}
        for one in (one for one in attempts if one.verdict is not Verdict.SKIP):
            same = first[one.case, one.tier, one.repeat, one.control]
            assert one.usage["prompt"] == same.usage["prompt"]
            assert one.usage["completion"] == same.usage["completion"]
