"""The engine on pocket/qwen3, with real inference: what a face may rely on."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from core.calls.events import (
    Finished,
    FinishReason,
    GenerationResult,
    Loading,
    Prefill,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool, ToolChoice, ToolMode
from core.engine import Engine
from core.errors import (
    ContextOverflow,
    EngineClosed,
    InvalidRequest,
    ModelNotFound,
    ModelUnloaded,
    QueueFull,
    UnsupportedInput,
)
from core.settings import Settings
from core.status import ModelState, NoticeKind

MODEL = "pocket/qwen3"
WEATHER = Tool(
    "get_weather",
    "Get the current weather in a given location",
    {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "City name, e.g. 'Tokyo'"}},
        "required": ["location"],
    },
)


def request(
    text: str, *, thinking: bool | None = False, tools: tuple[Tool, ...] = (), **sampling: object
) -> GenerationRequest:
    options = {"temperature": 0.0, "max_tokens": 128} | sampling
    return GenerationRequest(
        MODEL,
        (Message.text(Role.USER, text),),
        tools=tools,
        thinking=thinking,
        sampling=Sampling(**options),  # type: ignore[arg-type]
    )


def finish(result: GenerationResult) -> Finished:
    assert result.finished is not None
    return result.finished


def test_an_answer_streams_token_by_token_and_ends_with_stop(engine: Engine) -> None:
    events = list(engine.generate(request("Count from 1 to 20.")))
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert len(deltas) >= 15
    assert "".join(delta.text for delta in deltas).startswith("1, 2, 3, 4")
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.STOP
    assert last.timing.ttft_s > 0
    assert last.timing.decode_tps > 0
    prefill = [event for event in events if isinstance(event, Prefill)]
    assert prefill[0].total == last.usage.prompt_tokens
    assert events.index(prefill[0]) < events.index(deltas[0])


def test_usage_is_what_the_tokenizer_counts(engine: Engine) -> None:
    asked = request("What is the capital of France? Answer in one word.")
    result = engine.generate(asked).result()
    assert finish(result).usage.prompt_tokens == engine.count_tokens(asked).result(timeout=60).tokens
    assert result.text == "Paris"
    assert 2 <= finish(result).usage.completion_tokens <= 6


def test_a_count_says_what_would_be_done_otherwise(engine: Engine) -> None:
    fields = {"type": "object", "properties": {"a": {"type": "string", "format": "password"}}}
    counted = engine.count_tokens(replace(request("Hi"), json_schema=fields)).result(timeout=60)
    assert any("'password'" in note for note in counted.notes)


def test_thinking_comes_apart_from_the_answer(engine: Engine) -> None:
    events = list(engine.generate(request("What is the capital of France? Answer in one word.", thinking=True)))
    result = GenerationResult()
    for event in events:
        result.add(event)
    assert any(isinstance(event, ThinkingDelta) for event in events)
    assert "<think>" not in result.text + result.thinking
    assert result.text == "Paris"
    assert 0 < finish(result).usage.thinking_tokens < finish(result).usage.completion_tokens


def test_a_tool_call_streams_its_arguments(engine: Engine) -> None:
    text = "What is the current weather in Tokyo? Use the get_weather tool to find out."
    events = list(engine.generate(request(text, tools=(WEATHER,))))
    result = GenerationResult()
    for event in events:
        result.add(event)
    assert sum(isinstance(event, ToolCallDelta) for event in events) > 2
    assert [(call.name, call.parsed) for call in result.tool_calls] == [("get_weather", {"location": "Tokyo"})]
    assert finish(result).reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("choice", [ToolChoice(ToolMode.REQUIRED), ToolChoice(name="get_weather")])
def test_a_demanded_call_is_made_and_fits_its_schema(engine: Engine, choice: ToolChoice) -> None:
    asked = GenerationRequest(
        MODEL,
        (Message.text(Role.USER, "Weather in Oslo?"),),
        tools=(WEATHER,),
        tool_choice=choice,
        sampling=Sampling(temperature=0, max_tokens=64),
    )
    result = engine.generate(asked).result()
    assert [call.name for call in result.tool_calls] == ["get_weather"]
    assert set(result.tool_calls[0].parsed or {}) == {"location"}


def test_no_tools_are_called_when_the_choice_is_none(engine: Engine) -> None:
    asked = GenerationRequest(
        MODEL,
        (Message.text(Role.USER, "Hello!"),),
        tools=(WEATHER,),
        tool_choice=ToolChoice(ToolMode.NONE),
        sampling=Sampling(temperature=0, max_tokens=64),
    )
    assert engine.generate(asked).result().tool_calls == []


def test_a_stop_string_ends_the_answer_and_is_named(engine: Engine) -> None:
    result = engine.generate(request("Count from 1 to 20.", stop=("7, 8",))).result()
    assert result.text.endswith("6, ")
    assert finish(result).stop_sequence == "7, 8"
    assert finish(result).reason is FinishReason.STOP


def test_max_tokens_ends_with_length(engine: Engine) -> None:
    result = engine.generate(request("Count from 1 to 20.", max_tokens=5)).result()
    assert finish(result).reason is FinishReason.LENGTH
    assert finish(result).usage.completion_tokens == 5


def test_a_schema_constrains_the_answer(engine: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"type": "integer", "maximum": 9}},
        "required": ["colour", "count"],
        "additionalProperties": False,
    }
    asked = GenerationRequest(
        MODEL,
        (Message.text(Role.USER, "Hello!"),),
        json_schema=schema,
        thinking=False,
        sampling=Sampling(temperature=0, max_tokens=64),
    )
    import json

    value = json.loads(engine.generate(asked).result().text)
    assert value["colour"] in ("red", "blue")
    assert isinstance(value["count"], int)


def test_logprobs_name_the_tokens_of_the_answer(engine: Engine) -> None:
    result = engine.generate(request("What is the capital of Spain?", logprobs=2)).result()
    assert "".join(item.text for item in result.logprobs) == result.text
    for item in result.logprobs:
        assert item.logprob <= 0
        assert len(item.top) == 2
        assert item.top[0].logprob >= item.top[1].logprob
        assert item.top[0].token_id == item.token_id  # greedy


def test_a_seed_repeats_and_seeds_differ_alone_and_in_a_batch(engine: Engine) -> None:
    asked = [
        request("Tell me a story.", temperature=1.5, seed=seed, max_tokens=24) for seed in (1, 1, 2, 3, 4, 5, 6, 7)
    ]
    alone = [engine.generate(item).result().text for item in asked[:3]]
    batch = [handle.result() for handle in [engine.generate(item) for item in asked]]
    assert alone[0] == alone[1] != alone[2]
    assert [result.text for result in batch[:3]] == alone
    assert max(finish(result).timing.batch_size for result in batch) > 1


def test_a_follow_up_turn_prefills_only_what_is_new(engine: Engine) -> None:
    first = [Message.text(Role.USER, "My name is Ludmila and I like the sea. " * 8 + "What is the capital of Italy?")]
    sampling = Sampling(temperature=0, max_tokens=32)
    one = engine.generate(GenerationRequest(MODEL, tuple(first), thinking=False, sampling=sampling)).result()
    turns = (*first, Message.text(Role.ASSISTANT, one.text), Message.text(Role.USER, "And of Norway?"))
    two = engine.generate(GenerationRequest(MODEL, turns, thinking=False, sampling=sampling)).result()
    usage = finish(two).usage
    assert usage.cached_tokens >= finish(one).usage.prompt_tokens - 8
    assert usage.cached_tokens < usage.prompt_tokens


def test_cancel_keeps_what_was_said_and_a_retry_resumes(engine: Engine) -> None:
    asked = request("Count from 1 to 40.", max_tokens=200)
    handle = engine.generate(asked)
    seen = []
    for event in handle:
        seen.append(event)
        if sum(isinstance(item, TextDelta) for item in seen) == 5:
            handle.cancel()
    assert isinstance(seen[-1], Finished)
    assert seen[-1].reason is FinishReason.CANCELLED
    deltas = sum(isinstance(item, TextDelta) for item in seen)
    assert 5 <= deltas < 40
    again = engine.generate(asked).result()
    assert finish(again).usage.cached_tokens >= finish(again).usage.prompt_tokens - 1


def test_a_queued_request_can_be_cancelled(settings: Settings) -> None:
    narrow = settings.model_copy(update={"max_batch": 1})
    with Engine(narrow) as engine:
        running = engine.generate(request("Count from 1 to 40.", max_tokens=200))
        waiting = engine.generate(request("Hello!"))
        waiting.cancel()
        assert finish(waiting.result()).reason is FinishReason.CANCELLED
        assert finish(running.result()).reason in (FinishReason.STOP, FinishReason.LENGTH)


async def test_a_time_out_of_the_reader_ends_the_generation(engine: Engine) -> None:
    with engine.generate(request("Count from 1 to 40.", max_tokens=200)) as generation:
        await asyncio.wait_for(anext(aiter(generation)), 60)
        task = asyncio.create_task(generation.aresult())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert finish(generation.result()).reason is FinishReason.CANCELLED


def test_leaving_the_block_of_a_generation_ends_it(engine: Engine) -> None:
    with engine.generate(request("Count from 1 to 40.", max_tokens=200)) as generation:
        for event in generation:
            if isinstance(event, TextDelta):
                break
    assert finish(generation.result()).reason is FinishReason.CANCELLED


def test_a_full_queue_is_refused_with_the_numbers(settings: Settings) -> None:
    narrow = settings.model_copy(update={"max_batch": 1, "max_queue": 2})
    with Engine(narrow) as engine:
        engine.load(MODEL).result(timeout=60)
        accepted = []
        with pytest.raises(QueueFull, match="queue holds 2"):
            for _ in range(50):
                accepted.append(engine.generate(request("Count from 1 to 40.", max_tokens=200)))
        for handle in accepted:
            handle.cancel()
        assert {finish(handle.result()).reason for handle in accepted} <= {FinishReason.CANCELLED, FinishReason.STOP}


def test_requests_that_belong_together_are_queued_all_or_none(settings: Settings) -> None:
    narrow = settings.model_copy(update={"max_batch": 1, "max_queue": 4})
    with Engine(narrow) as engine:
        long = request("Count from 1 to 40.", max_tokens=200)
        with engine.generate(long) as running:
            for event in running:
                if isinstance(event, TextDelta):
                    break
            waiting = engine.generate_all([request("Hello!"), request("Hello!")])
            with pytest.raises(QueueFull, match="^2 requests wait already .* holds 4, and 3 more do not fit"):
                engine.generate_all([long] * 3)
            with pytest.raises(InvalidRequest, match="^5 requests at once do not fit into a queue that holds 4"):
                engine.generate_all([long] * 5)
        assert all(handle.result().text for handle in waiting)


def test_an_unknown_model_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(ModelNotFound, match="pocket/qwen"):
        engine.generate(GenerationRequest("pocket/qwen", (Message.text(Role.USER, "hi"),)))


def test_values_out_of_range_are_refused_at_once(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="temperature is 3"):
        engine.generate(request("hi", temperature=3.0))
    with pytest.raises(InvalidRequest, match="max_tokens is 0"):
        engine.generate(request("hi", max_tokens=0))


def test_an_image_to_a_text_model_names_the_kind_to_use(engine: Engine) -> None:
    from tests.pictures import png

    asked = GenerationRequest(MODEL, (Message.text(Role.USER, "What is this?", png("red")),))
    with pytest.raises(UnsupportedInput, match="text model and cannot see images.*vision model"):
        engine.generate(asked)


def test_a_prompt_over_the_window_is_refused_with_both_numbers(engine: Engine) -> None:
    window = engine.catalog.get(MODEL).context_length
    assert window is not None
    handle = engine.generate(request("word " * (window + 10)))
    with pytest.raises(ContextOverflow) as caught:
        handle.result()
    assert caught.value.context_length == window
    assert caught.value.prompt_tokens > window
    assert str(window) in str(caught.value)


@pytest.mark.parametrize("words", [24_001, 62_000])
def test_a_hopeless_prompt_is_counted_and_refused_with_its_number(engine: Engine, words: int) -> None:
    asked, short = request("word " * words), request("word " * 100)
    counted = engine.count_tokens(asked).result(60).tokens
    assert counted - words == engine.count_tokens(short).result(60).tokens - 100
    with pytest.raises(
        ContextOverflow, match=f"has {counted} tokens .* maximum context length is 4096 tokens"
    ) as caught:
        engine.generate(asked).result()
    assert caught.value.prompt_tokens == counted


def test_a_vast_prompt_is_refused_without_reading_it_all_and_can_be_counted(engine: Engine) -> None:
    asked = request("word " * 450_000)
    with pytest.raises(ContextOverflow, match="has more than .* maximum context length is 4096 tokens") as caught:
        engine.generate(asked).result()
    assert 2 * 4096 < caught.value.prompt_tokens < 20_000
    assert engine.count_tokens(asked).result(120).tokens > 450_000


def test_an_empty_conversation_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        engine.generate(GenerationRequest(MODEL, ())).result()


def test_a_plain_completion_skips_the_template(engine: Engine) -> None:
    asked = GenerationRequest(MODEL, prompt="1, 2, 3, 4,", sampling=Sampling(temperature=0, max_tokens=8))
    result = engine.generate(asked).result()
    assert finish(result).usage.completion_tokens <= 8
    assert finish(result).usage.prompt_tokens < 14


def test_an_unfinished_assistant_turn_is_continued(engine: Engine) -> None:
    turns = (Message.text(Role.USER, "What is the capital of France?"), Message.text(Role.ASSISTANT, "The capital of"))
    asked = GenerationRequest(MODEL, turns, thinking=False, sampling=Sampling(temperature=0, max_tokens=16))
    assert "Paris" in engine.generate(asked).result().text


def test_loading_is_told_and_shared_and_unloading_gives_the_memory_back(settings: Settings) -> None:
    notices = []
    with Engine(settings) as engine:
        engine.listen(notices.append)
        first = engine.generate(request("Hello!"))
        second = engine.generate(request("Hello!"))
        events = list(first)
        assert isinstance(events[0], Loading)
        second.result()
        status = engine.status()
        assert [(model.id, model.state, model.loads) for model in status.models] == [(MODEL, ModelState.READY, 1)]
        assert status.models[0].memory_bytes > 1_000_000
        held = status.active_memory
        engine.unload(MODEL).result(timeout=30)
        assert engine.status().models == ()
        assert engine.status().active_memory < held - status.models[0].memory_bytes // 2
    kinds = [notice.kind for notice in notices if notice.kind is not NoticeKind.STATUS]
    assert kinds == [NoticeKind.MODEL_LOADING, NoticeKind.MODEL_READY, NoticeKind.MODEL_UNLOADED]


def test_unloading_at_once_ends_the_running_and_the_next_load_works(settings: Settings) -> None:
    with Engine(settings) as engine:
        handle = engine.generate(request("Count from 1 to 40.", max_tokens=200))
        stream = iter(handle)
        while not isinstance(next(stream), TextDelta):
            pass
        engine.unload(MODEL, cancel=True).result(timeout=30)
        with pytest.raises(ModelUnloaded):
            list(stream)
        assert engine.generate(request("What is the capital of France? Answer in one word.")).result().text == "Paris"


def test_closing_fails_what_still_runs_and_leaves_no_thread(settings: Settings) -> None:
    before = set(threading.enumerate())
    engine = Engine(settings).start()
    handle = engine.generate(request("Count from 1 to 40.", max_tokens=200))
    while not handle.admitted:
        time.sleep(0.001)
    engine.close()
    if handle.error is not None:
        assert isinstance(handle.error, EngineClosed)
    assert handle.done
    with pytest.raises(EngineClosed):
        engine.generate(request("Hello!"))
    assert set(threading.enumerate()) <= before


def test_draining_lets_the_running_finish(settings: Settings) -> None:
    engine = Engine(settings).start()
    handle = engine.generate(request("Count from 1 to 20."))
    engine.close(drain_s=60)
    assert finish(handle.result()).reason is FinishReason.STOP


def test_many_dropped_requests_leave_the_engine_prompt(engine: Engine) -> None:
    dropped = [engine.generate(request("Count from 1 to 40.", max_tokens=200)) for _ in range(100)]
    for handle in dropped:
        handle.cancel()
    assert engine.generate(request("What is the capital of France? Answer in one word.")).result().text == "Paris"
    assert all(handle.wait(10) for handle in dropped)
