"""The output parser: the same events however the text is cut, nothing lost, nothing leaked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.tool_parsers import json_tools, pythonic
from mlx_vlm.tools.parsers import harmony

from core.calls.events import Event, GenerationResult, TokenLogprob, ToolCallDelta
from core.mlx.decoding.output import OutputParser
from core.mlx.models.formats import HARMONY_HEAD, HARMONY_STATES, JSON_HEAD, Markers

QWEN = Markers("<think>", "</think>", "<tool_call>", "</tool_call>", json_tools.parse_tool_call, call_head=JSON_HEAD)
HARMONY = Markers(
    tool_start=harmony.tool_call_start,
    tool_end=harmony.tool_call_end,
    tool_parser=harmony.parse_tool_call,
    call_head=HARMONY_HEAD,
    transitions=HARMONY_STATES,
    initial="header",
    after_tool="header",
)
PYTHONIC = Markers(
    tool_start=pythonic.tool_call_start, tool_end=pythonic.tool_call_end, tool_parser=pythonic.parse_tool_call
)
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"properties": {"location": {}}}}},
]
OTHER = [{"type": "function", "function": {"name": "look", "parameters": {"properties": {"at": {}}}}}]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"location": "Zür\\"ich {"}}\n</tool_call>'


def parse(pieces: Sequence[str], markers: Markers = QWEN, **options: object) -> tuple[GenerationResult, list[Event]]:
    parser = OutputParser(markers, **options)  # type: ignore[arg-type]
    events = [event for piece in pieces for event in parser.push(piece)] + parser.finish()
    result = GenerationResult()
    for event in events:
        result.add(event)
    return result, events


def shape(result: GenerationResult) -> tuple[object, ...]:
    return result.text, result.thinking, [(call.name, call.arguments) for call in result.tool_calls]


DATA = r'{"a": "</tool_call> \" <tool_call> <think>"}'
"""Arguments that hold what looks like markup, behind a quotation mark, too."""
TEXTS = [
    f'<tool_call>{{"name": "x", "arguments": {DATA}}}</tool_call> <tool_call>{{"name": "y", "arguments": {DATA}}}',
    '<tool_call>{"name": "x", "arguments": {"a": "never closed}}\n</tool_call> after',
    '<tool_call>{"name": "x", "arguments": {"a": "two\nlines"}}</tool_call> after "',
    '<tool_call>{"name": "x", "arguments": {"a": "b"</tool_call> after',
    "<think>\nI wonder.\n</think>\n\nParis is the capital.",
    "<think>\nCall it.\n</think>\n\n" + CALL,
    "Let me look.\n" + CALL + "\n" + CALL,
    "A < b and <thin air> and </think",
    "<think>never closed",
    "plain STOP never shown",
    '<tool_call>\n{"name": "get_weather", "argum',
    "<tool_call>not json at all</tool_call> after",
    "trailing space \n",
]


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[str, list[str]]:
    text = draw(st.sampled_from(TEXTS))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    edges = [0, *cuts, len(text)]
    return text, [text[a:b] for a, b in itertools.pairwise(edges)]


@given(cuttings())
def test_any_cutting_of_the_text_gives_the_same_answer(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    options = {"stop": ("STOP",), "tools": TOOLS}
    whole, _ = parse([text], **options)
    cut, _ = parse(pieces, **options)
    assert shape(cut) == shape(whole)


@given(st.text(alphabet="ab<>/think tool_cal\n", max_size=60), st.integers(1, 5))
def test_text_without_markers_comes_out_as_it_went_in(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    result, _ = parse(pieces, Markers())
    assert result.text == text


def test_thinking_is_apart_and_its_whitespace_is_the_markers() -> None:
    result, _ = parse(["<think>\nI wonder.\n</think>\n\nParis."])
    assert (result.thinking, result.text) == ("I wonder.", "Paris.")


def test_a_prompt_that_opens_the_thinking_block_starts_inside_it() -> None:
    result, _ = parse(["\nI wonder.\n</think>\n\nParis."], initial="reasoning")
    assert (result.thinking, result.text) == ("I wonder.", "Paris.")


def test_arguments_come_in_fragments_while_the_call_is_written() -> None:
    pieces = [CALL[i : i + 3] for i in range(0, len(CALL), 3)]
    parser = OutputParser(QWEN, tools=TOOLS)
    seen: list[int] = []
    for piece in pieces:
        seen.append(sum(type(event).__name__ == "ToolCallDelta" for event in parser.push(piece)))
    assert sum(seen) > 5
    result, _ = parse(pieces, tools=TOOLS)
    assert result.tool_calls[0].parsed == {"location": 'Zür"ich {'}


def test_several_calls_have_their_own_index_and_id() -> None:
    result, _ = parse([CALL + "\n" + CALL], tools=TOOLS)
    assert [call.name for call in result.tool_calls] == ["get_weather", "get_weather"]
    assert len({call.id for call in result.tool_calls}) == 2
    assert result.text == ""


BARE = [
    {"type": "object"},
    {},
    {"type": "object", "properties": {}, "required": []},
    {"type": "object", "additionalProperties": False},
]


@pytest.mark.parametrize("parameters", BARE)
def test_a_tool_without_parameters_is_called_with_none_in_every_format(parameters: dict[str, Any]) -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}, *OTHER]
    written = '<|tool_call_start|>[get_weather(location="Tokyo"), look(at="x")]<|tool_call_end|>'
    mixed = CALL + '<tool_call>{"name": "get_weather"}</tool_call><tool_call>{"name": "look", "arguments": {"at": "x"}}'
    other = ("look", '{"at": "x"}')
    for text, markers, calls in (
        (mixed, QWEN, [("get_weather", "{}"), ("get_weather", "{}"), other]),
        (CALL[:60], QWEN, [("get_weather", "{}")]),
        (written, PYTHONIC, [("get_weather", "{}"), other]),
    ):
        for size in (1, 1000):
            pieces = [text[i : i + size] for i in range(0, len(text), size)]
            assert shape(parse(pieces, markers, tools=tools)[0]) == ("", "", calls)


def test_another_format_goes_through_the_library_parser() -> None:
    text = '<|tool_call_start|>[get_weather(location="Tokyo")]<|tool_call_end|>'
    result, _ = parse([text[:9], text[9:]], PYTHONIC, tools=TOOLS)
    assert [(call.name, json.loads(call.arguments)) for call in result.tool_calls] == [
        ("get_weather", {"location": "Tokyo"})
    ]


def test_what_looks_like_markup_in_arguments_is_data() -> None:
    text = f'Yes.<tool_call>\n{{"name": "x", "arguments": {DATA}}}\n</tool_call>\n'
    result, _ = parse([text * 2 + "Done."], tools=TOOLS)
    assert shape(result) == ("Yes.Yes.Done.", "", [("x", DATA)] * 2)
    forced, _ = parse([text.partition("<tool_call>")[2]], tools=TOOLS, initial="tool")
    assert shape(forced) == ("", "", [("x", DATA)])


@pytest.mark.parametrize("text", TEXTS[1:4])
def test_a_string_that_never_ends_does_not_swallow_the_answer(text: str) -> None:
    result, _ = parse([text], tools=TOOLS)
    assert result.text.startswith("after")
    assert [call.name for call in result.tool_calls] == ["x"]


def test_in_an_answer_that_a_schema_holds_markup_is_data() -> None:
    value = '{"<think>": "</think><tool_call>"}'
    for tools in ((), TOOLS):
        assert shape(parse([value], tools=tools, held=True)[0]) == (value, "", [])
        thought, _ = parse([f"Hm.</think>{value}"], tools=tools, held=True, initial="reasoning")
        assert shape(thought) == (value, "Hm.", [])
    stopped, _ = parse([value], held=True, stop=("<tool",))
    assert stopped.text == '{"<think>": "</think>'
    assert shape(parse([value], HARMONY, held=True, initial="normal")[0]) == (value, "", [])


def test_a_call_that_cannot_be_parsed_comes_out_as_text() -> None:
    result, _ = parse(["<tool_call>not json at all</tool_call> after"], tools=TOOLS)
    assert result.text.startswith("<tool_call>not json at all")
    assert result.text.endswith("after")
    assert result.tool_calls == []


def test_without_tools_the_markers_are_text() -> None:
    result, _ = parse([CALL])
    assert result.text == CALL


def test_a_stop_string_cut_in_two_never_shows_its_first_half() -> None:
    parser = OutputParser(QWEN, stop=("END", "STOP"))
    assert [event.text for event in parser.push("one ST")] == ["one"]  # type: ignore[union-attr]
    events = parser.push("OP two")
    assert parser.stop_sequence == "STOP"
    assert parser.stopped
    assert [event.text for event in events] == [" "]  # type: ignore[union-attr]
    assert parser.push("more") == []
    assert parser.finish() == []


def test_what_only_looked_like_a_stop_string_is_given_back() -> None:
    result, _ = parse(["one ST", "ART"], stop=("STOP",))
    assert result.text == "one START"


@pytest.mark.parametrize("evil", ["\x1b]52;c;aGk=\x07", "\x9b2J", "a\u202eb", "\x00"])
def test_control_characters_never_leave(evil: str) -> None:
    result, _ = parse(["x" + evil + "y", "<think>" + evil + "z</think>"])
    for character in result.text + result.thinking:
        assert character.isprintable() or character in "\n\t"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_harmony_channels_become_thinking_answer_and_calls(size: int) -> None:
    text = (
        "<|channel|>analysis<|message|>They want weather.<|end|><|start|>assistant"
        '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"location": "Oslo"}<|call|>'
        "<|start|>assistant<|channel|>final<|message|>It is cold."
    )
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    result, events = parse(pieces, HARMONY, tools=TOOLS, initial="header")
    assert shape(result) == ("It is cold.", "They want weather.", [("get_weather", '{"location": "Oslo"}')])
    if size == 1:
        assert sum(type(event).__name__ == "ToolCallDelta" for event in events) > 5


def test_harmony_names_the_recipient_before_the_channel_too() -> None:
    text = ' to=functions.get_weather<|channel|>commentary json<|message|>{"location": "Rome"}'
    result, _ = parse([text], HARMONY, tools=TOOLS, initial="header")
    assert shape(result) == ("", "", [("get_weather", '{"location": "Rome"}')])


def token(text: str) -> TokenLogprob:
    return TokenLogprob(0, text, -0.5, ())


def scored(pieces: Sequence[str], markers: Markers = QWEN, **options: object) -> GenerationResult:
    parser = OutputParser(markers, **options)  # type: ignore[arg-type]
    result = GenerationResult()
    for event in [event for piece in pieces for event in parser.push(piece, token(piece))] + parser.finish():
        result.add(event)
    return result


def test_logprobs_of_thinking_are_apart_and_without_the_markers_around_it() -> None:
    pieces = ["<think>", "\n", "Hm", ".", "\n", "</think>", "\n\n", "Yes", ".", " "]
    result = scored(pieces)
    assert [one.text for one in result.thinking_logprobs] == ["Hm", "."]
    assert [one.text for one in result.logprobs] == ["Yes", ".", " "]
    opened = scored(pieces[1:], initial="reasoning")
    assert [one.text for one in opened.thinking_logprobs] == ["Hm", "."]
    cut = scored(pieces[1:4], initial="reasoning")
    assert ([one.text for one in cut.thinking_logprobs], cut.logprobs) == (["Hm", "."], [])


def test_logprobs_of_a_call_are_nobodys() -> None:
    pieces = ["Well", ".", "<tool_call>", '{"name": "get_weather", "arguments": {}}', "</tool_call>", "\n", "Ok"]
    assert [one.text for one in scored(pieces, tools=TOOLS).logprobs] == ["Well", ".", "Ok"]
    assert [one.text for one in scored(pieces[:4], tools=TOOLS).logprobs] == ["Well", "."]


def test_logprobs_name_what_a_stop_string_leaves_of_a_token() -> None:
    result = scored(["The", " end is", " Paris", ".", " More"], stop=("Paris.",))
    assert result.text == "The end is "
    assert [one.text for one in result.logprobs] == ["The", " end is", " "]


def test_a_token_with_text_on_both_sides_of_a_marker_is_in_both_lists() -> None:
    result = scored(["<think>", "Hm", ".</think>\n\nYe", "s"])
    assert [one.text for one in result.thinking_logprobs] == ["Hm", "."]
    assert [one.text for one in result.logprobs] == ["Ye", "s"]


SCORED = [
    *TEXTS,
    "\ud55c<think>\n\u65e5\u672c \U0001f642\n</think>\n\n f\u00fcr \u65e5\u672c\u8a9e \n\n\U0001f642 STOP \u00fc",
    "a \x00b\u202e \u3000 <think> </think>\u3000c\x1b ",
    "<|sep|>one <|sep|> two<|sep|> \n",
]


@st.composite
def spellings(draw: st.DrawFn) -> list[bytes]:
    """The tokens of a text, which may end anywhere in a character."""
    data = draw(st.sampled_from(SCORED)).encode()
    cuts = sorted(draw(st.sets(st.integers(1, len(data)), max_size=20)))
    return [data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)]) if b > a]


@given(spellings(), st.booleans())
def test_logprobs_join_to_what_is_shown_however_the_text_is_spelled(spelled: list[bytes], lenient: bool) -> None:
    """With the bytes of the tokens, and with what a tokenizer says that decodes one token alone."""
    parser = OutputParser(replace(QWEN, structural=("<|sep|>",)), stop=("STOP",), tools=TOOLS)
    result, done = GenerationResult(), ""
    events: list[Event] = []
    for place in range(len(spelled)):
        said = b"".join(spelled[: place + 1]).decode("utf-8", "ignore")
        own = None if lenient else spelled[place]
        score = TokenLogprob(place, spelled[place].decode("utf-8", "replace"), -0.5, raw=own)
        events += parser.push(said[len(done) :], score)
        done = said
    for event in events + parser.finish():
        result.add(event)
    for shown, tokens in ((result.text, result.logprobs), (result.thinking, result.thinking_logprobs)):
        assert "".join(one.text for one in tokens) == shown
        assert b"".join(one.raw or b"" for one in tokens) == shown.encode()
        places = [one.token_id for one in tokens]
        assert places == sorted(set(places)), "each once, in order"
        for one in () if lenient else tokens:
            own = iter(spelled[one.token_id])
            assert all(byte in own for byte in one.raw or b""), "nothing that it has not written"


@pytest.mark.parametrize(
    "text", ["<tool_call>", '<tool_call>\n{"name": "get', '<tool_call>\n{"name": "get_weather", "arg']
)
def test_a_call_that_is_cut_before_its_arguments_is_not_shown(text: str) -> None:
    for said, initial in ((f"Well.\n{text}", "normal"), (text.removeprefix("<tool_call>"), "tool")):
        parser = OutputParser(QWEN, tools=TOOLS, initial=initial)
        result = GenerationResult()
        for event in parser.push(said) + parser.finish(cut=True):
            result.add(event)
        assert shape(result) == ("Well." if initial == "normal" else "", "", [])


def test_a_call_that_is_cut_behind_its_last_brace_is_whole() -> None:
    parser = OutputParser(PYTHONIC, tools=TOOLS)
    events = parser.push('<|tool_call_start|>[get_weather(location="Tokyo")]') + parser.finish(cut=True)
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ['{"location": "Tokyo"}']
