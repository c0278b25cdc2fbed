"""Whatever the engine says, in whatever order, what a client reads is a valid stream."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    TextDelta,
    ThinkingDelta,
    Timing,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.errors import ModelUnloaded
from server.anthropic.encode import MessageStream
from server.errors import from_engine
from server.frames import PINGS_TO_AN_EVENT
from server.openai.encode import ChatStream, Head
from server.openai.encode_completion import CompletionStream
from tests.server.streams import check_anthropic, check_openai, encoded

TEXT = st.text(max_size=8)
INDEX = st.integers(0, 3)
LOGPROB = st.builds(TokenLogprob, st.integers(0, 9), TEXT, st.floats(-9, 0), st.just((TokenLogprob(1, "a", -1.0),)))
EVENTS = st.lists(
    st.one_of(
        st.builds(Queued, st.integers(1, 9)),
        st.builds(Loading, TEXT),
        st.builds(Prefill, st.integers(0, 9), st.integers(10, 99), st.integers(0, 9)),
        st.builds(TextDelta, TEXT, st.lists(LOGPROB, max_size=2).map(tuple)),
        st.builds(ThinkingDelta, TEXT),
        st.builds(ToolCallStart, INDEX, TEXT, TEXT),
        st.builds(ToolCallDelta, INDEX, TEXT),
    ),
    max_size=20,
)
USAGE = st.builds(Usage, st.integers(10, 99), st.integers(0, 99), st.integers(0, 9), st.just(0), st.integers(0, 9))
REASON = st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS])
END = st.builds(Finished, REASON, USAGE, st.just(Timing()), st.none() | TEXT)


def texts(events: list[Event]) -> str:
    # What UTF-8 cannot say becomes "?"; hypothesis' text has no lone surrogates, so texts arrive whole.
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@given(EVENTS, END, st.booleans())
def test_an_anthropic_stream_is_whole_and_in_order(events: list[Event], end: Finished, show: bool) -> None:
    stream = MessageStream("msg_1", "m", "req_1", show_thinking=show)
    frames = [frame for event in [*events, end] for frame in stream.feed(event)] + stream.close()
    message = check_anthropic(encoded(frames))
    said = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    thought = "".join(block["thinking"] for block in message["content"] if block["type"] == "thinking")
    assert said == texts(events)
    assert thought == ("".join(e.text for e in events if isinstance(e, ThinkingDelta)) if show else "")
    assert message["usage"]["output_tokens"] == end.usage.completion_tokens
    assert message["stop_sequence"] == end.stop_sequence
    calls = sum(isinstance(event, ToolCallStart) for event in events)
    assert calls == sum(block["type"] == "tool_use" for block in message["content"])


@given(EVENTS)
def test_an_anthropic_stream_that_fails_ends_with_one_error(events: list[Event]) -> None:
    stream = MessageStream("msg_1", "m", "req_1")
    begun = [frame for event in [Prefill(0, 5), *events] for frame in stream.feed(event)]
    frames = begun + stream.fail(from_engine(ModelUnloaded("It broke."), "req_1"))
    message = check_anthropic(encoded(frames))
    assert message["error"] == {"type": "api_error", "message": "It broke."}
    assert stream.feed(TextDelta("late")) == []


@given(st.lists(EVENTS, min_size=1, max_size=3), END, st.booleans())
def test_an_openai_stream_is_whole_and_in_order(choices: list[list[Event]], end: Finished, usage: bool) -> None:
    stream = ChatStream(Head("m"), include_usage=usage)
    frames = [
        frame
        for number, events in enumerate(choices)
        for event in [*events, end, TextDelta("late")]
        for frame in stream.feed(event, number)
    ]
    messages = check_openai(encoded(frames + stream.close()), choices=len(choices), usage=usage)
    for message, events in zip(messages, choices, strict=True):
        assert message["content"] == texts(events)
        assert message["reasoning_content"] == "".join(e.text for e in events if isinstance(e, ThinkingDelta))


@given(EVENTS, END, TEXT)
def test_a_plain_completion_keeps_all_text(events: list[Event], end: Finished, echo: str) -> None:
    stream = CompletionStream(Head("m", "cmpl"), echo=echo)
    frames = [frame for event in [*events, end] for frame in stream.feed(event)] + stream.close()
    chunks = encoded(frames)
    assert chunks.pop().data == "[DONE]"
    said = "".join(event.text for event in events if isinstance(event, TextDelta | ThinkingDelta))
    assert "".join(chunk.data["choices"][0]["text"] for chunk in chunks) == echo + said
    assert chunks[-1].data["choices"][0]["finish_reason"] in ("stop", "length")


def test_tool_arguments_go_out_in_fragments_as_they_come() -> None:
    events: list[Event] = [
        Prefill(9, 9, 4),
        ThinkingDelta("Hm."),
        TextDelta("Let me look."),
        ToolCallStart(0, "call_a", "get_weather"),
        ToolCallDelta(0, '{"location":'),
        ToolCallDelta(0, ' "Tokyo"}'),
        ToolCallStart(1, "call_b", "get_time"),
        ToolCallDelta(1, "{}"),
    ]
    end = Finished(FinishReason.TOOL_CALLS, Usage(9, 20, 4, 0, 3), Timing())

    anthropic = MessageStream("msg_1", "m", "req_1")
    message = check_anthropic(encoded([f for e in [*events, end] for f in anthropic.feed(e)]))
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert json.loads(message["content"][2]["fragments"]) == {"location": "Tokyo"}
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["input_tokens"] == 5
    assert message["usage"]["cache_read_input_tokens"] == 4
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 3}

    openai = ChatStream(Head("m"), include_usage=True)
    heard = encoded([f for e in [*events, end] for f in openai.feed(e)] + openai.close())
    (answer,) = check_openai(heard, usage=True)
    assert answer["tool_calls"] == {
        0: {"id": "call_a", "name": "get_weather", "arguments": '{"location": "Tokyo"}'},
        1: {"id": "call_b", "name": "get_time", "arguments": "{}"},
    }
    assert answer["finish_reason"] == "tool_calls"
    assert heard[-2].data["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 20,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_an_answer_that_begins_with_a_call_has_null_for_its_content() -> None:
    call: list[Event] = [ToolCallStart(0, "call_a", "f"), ToolCallDelta(0, "{}")]
    end = Finished(FinishReason.TOOL_CALLS, Usage(9, 20), Timing())
    for events, content in (
        (call, None),
        ([ThinkingDelta("Hm."), *call], None),
        ([TextDelta("So."), *call], ""),
        ([ThinkingDelta("Hm."), TextDelta("So.")], None),
    ):
        stream = ChatStream(Head("m"))
        chunks = encoded([frame for event in [*events, end] for frame in stream.feed(event)])
        assert chunks[0].data["choices"][0]["delta"] == {"role": "assistant", "content": content}
    stream = ChatStream(Head("m"))
    silent = [frame for event in (ThinkingDelta("Hm."), end) for frame in stream.feed(event)]
    assert encoded(silent)[-1].data["choices"][0]["delta"] == {"content": ""}


PINGS = 3 * PINGS_TO_AN_EVENT


def test_long_silence_has_events_that_clients_count_as_life() -> None:
    """The official Anthropic clients drop `ping`; those of OpenAI skip comments."""
    end = Finished(FinishReason.STOP, Usage(9, 2), Timing())
    for events in ([], [Prefill(1, 9)], [Prefill(1, 9), ThinkingDelta("Hm.")], [ToolCallStart(0, "call_a", "f")]):
        claude = MessageStream("msg_1", "m", "req_1")
        frames = [frame for event in events for frame in claude.feed(event)]
        pings = [frame for _ in range(PINGS) for frame in claude.ping()]
        assert sum(one.event == "content_block_delta" for one in encoded(pings)) == 3
        frames += [*pings, *(frame for event in (TextDelta("Hi"), end) for frame in claude.feed(event))]
        message = check_anthropic(encoded(frames))
        assert "".join(block.get("text", "") for block in message["content"]) == "Hi"
        assert message["usage"]["input_tokens"] == 9

        openai = ChatStream(Head("m"))
        frames = [frame for event in events for frame in openai.feed(event)]
        pings = [frame for _ in range(PINGS) for frame in openai.ping()]
        assert sum("role" not in one.data["choices"][0]["delta"] for one in encoded(pings)) == 3
        frames += [*pings, *(frame for event in (TextDelta("Hi"), end) for frame in openai.feed(event))]
        (answer,) = check_openai(encoded([*frames, *openai.close()]))
        assert answer["content"] == "Hi"
    plain = CompletionStream(Head("m", "cmpl"), echo="Say")
    assert len(encoded([frame for _ in range(PINGS) for frame in plain.ping()])) == 3


def test_a_stop_sequence_is_named_and_wins_over_the_reason() -> None:
    stream = MessageStream("msg_1", "m", "req_1")
    end = Finished(FinishReason.STOP, Usage(3, 1), Timing(), stop_sequence="END")
    message = check_anthropic(encoded([frame for event in (TextDelta("x"), end) for frame in stream.feed(event)]))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_text_that_utf8_or_a_line_reader_trips_over_stays_one_event() -> None:
    stream = ChatStream(Head("m"))
    frames = stream.feed(TextDelta("a\u2028b\u0085c\r\nd\ud800"))
    assert b"\\u2028" in frames[-1].encode()
    assert encoded(frames)[-1].data["choices"][0]["delta"]["content"] == "a\u2028b\u0085c\r\nd?"
