"""Every format of tool calls that the libraries parse: found by what templates contain, the same however it is cut."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx_lm.tool_parsers
import mlx_vlm.tools.parsers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm import tokenizer_utils
from mlx_lm.models.muse_spark import TOKENIZER_DEFAULTS as MUSE

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Tool
from core.mlx.decoding.output import OutputParser
from core.mlx.models.formats import Markers, find_markers
from core.mlx.prompt.chat_template import render
from core.pocket import MODELS_DIR

WEATHER = Tool("get_weather", "", {"type": "object", "properties": {"location": {"type": "string"}}})
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER.parameters}},
]
BEFORE = "Let me look."
CITIES = ("Oslo", 'São "Paulo", <b>{x}')
"""Arguments of the two calls; the second has what trips a careless parser."""
PLAIN = ("Oslo", "Rio de Janeiro")
"""For formats that cannot quote: what their own parsers can read."""


@dataclass(frozen=True)
class Format:
    """What a template of the format contains, and how a model writes text and two calls in it; each `call` has a %s."""

    template: str
    call: str
    opening: str = BEFORE + "\n"
    between: str = "\n"
    closing: str = ""
    cities: tuple[str, str] = CITIES
    quoted: bool = False
    """Whether %s is JSON."""
    vocabulary: tuple[str, ...] = ()
    named: str | None = None
    """The parser that the checkpoint's tokenizer_config.json names."""
    defaults: Mapping[str, str] | None = None
    """What mlx-lm's model module says of its tokenizer."""
    thinking: str = ""

    @property
    def text(self) -> str:
        cities = [json.dumps(city, ensure_ascii=False) if self.quoted else city for city in self.cities]
        calls = [self.call.replace("%s", city).replace("%i", str(index)) for index, city in enumerate(cities)]
        return self.opening + self.between.join(calls) + self.closing


GLM = "<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>%s</arg_value>\n</tool_call>"
INVOKE = '<{0}invoke name="get_weather">\n<{0}parameter name="location">%s</{0}parameter>\n</{0}invoke>'
XTML = ("<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>")
FORMATS = {
    "json_tools": Format(
        "<tool_call>{{ tool_call.name }}",
        '<tool_call>\n{"name": "get_weather", "arguments": {"location": %s}}\n</tool_call>',
        opening=f"<think>\nHm.\n</think>\n\n{BEFORE}\n",
        quoted=True,
        thinking="Hm.",
    ),
    "function_gemma": Format(
        "<start_function_call>",
        "<start_function_call>call:get_weather{location:<escape>%s<escape>}<end_function_call>",
        between="",
        cities=PLAIN,
    ),
    "gemma4": Format(
        "<|tool_call>call<tool_call|>",
        '<|tool_call>call:get_weather{location:<|"|>%s<|"|>}<tool_call|>',
        opening=f"<|channel>thought\nHm.\n<channel|>{BEFORE}",
        between="",
        vocabulary=("<|channel>", "<channel|>"),
        thinking="Hm.",
    ),
    "glm47": Format("<tool_call>{{ name }}<arg_key>", GLM),
    "laguna": Format("", GLM, named="laguna"),
    "kimi_k2": Format(
        "<|tool_calls_section_begin|>",
        '<|tool_call_begin|>functions.get_weather:%i<|tool_call_argument_begin|>{"location": %s}<|tool_call_end|>',
        opening=f"{BEFORE}<|tool_calls_section_begin|>",
        between="",
        closing="<|tool_calls_section_end|>",
        quoted=True,
    ),
    "kimi_k3": Format(
        "",
        '<|open|>call tool="get_weather" index="%i"<|sep|><|open|>argument key="location" type="string"<|sep|>%s'
        "<|close|>argument<|sep|><|close|>call<|sep|>",
        opening="<|open|>think<|sep|>Hm.<|close|>think<|sep|>"
        f"<|open|>response<|sep|>{BEFORE}<|close|>response<|sep|><|open|>tools<|sep|>",
        between="",
        closing="<|close|>tools<|sep|><|close|>message<|sep|>",
        vocabulary=XTML,
        thinking="Hm.",
    ),
    "longcat": Format(
        "<longcat_tool_call>",
        "<longcat_tool_call>get_weather\n<longcat_arg_key>location</longcat_arg_key>\n"
        "<longcat_arg_value>%s</longcat_arg_value>\n</longcat_tool_call>",
    ),
    "minicpm5": Format(
        '<function name="f"><param name="p">',
        '<function name="get_weather"><param name="location"><![CDATA[%s]]></param></function>',
    ),
    "minimax_m2": Format(
        "<minimax:tool_call>",
        INVOKE.format(""),
        opening=f"{BEFORE}\n<minimax:tool_call>\n",
        closing="\n</minimax:tool_call>",
    ),
    "mistral": Format(
        "[TOOL_CALLS]", '[TOOL_CALLS]get_weather[ARGS]{"location": %s}', opening=BEFORE, between="", quoted=True
    ),
    "mistral, older": Format(
        "[TOOL_CALLS]",
        '{"name": "get_weather", "arguments": {"location": %s}, "id": "abcdef00%i"}',
        opening=f"[THINK]Hm.[/THINK]{BEFORE}[TOOL_CALLS][",
        between=", ",
        closing="]",
        quoted=True,
        vocabulary=("[THINK]", "[/THINK]"),
        thinking="Hm.",
    ),
    "muse_spark": Format(
        "<atem:function_calls>",
        INVOKE.format("atem:"),
        opening="to=self<|message|>Hm.<|eom|><|start|>assistant to=commentary<|message|>"
        f"{BEFORE}<|eom|><|start|>assistant to=functions<|message|><atem:function_calls>\n",
        closing="\n</atem:function_calls>",
        defaults=MUSE,
        thinking="Hm.",
    ),
    "pythonic": Format(
        "<|tool_list_start|>",
        "get_weather(location=%s)",
        opening=f"{BEFORE}<|tool_call_start|>[",
        between=", ",
        closing="]<|tool_call_end|>",
        quoted=True,
    ),
    "qwen3_coder": Format(
        "<tool_call>\n<function=",
        "<tool_call>\n<function=get_weather>\n<parameter=location>\n%s\n</parameter>\n</function>\n</tool_call>",
    ),
    "harmony": Format(
        "<|channel|>commentary to=<|call|>{{ tool_call.name }}",
        '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"location": %s}<|call|>',
        opening="<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
        f"<|channel|>commentary<|message|>{BEFORE}<|end|><|start|>assistant",
        between="<|start|>assistant",
        quoted=True,
        thinking="Hm.",
    ),
    "cohere2_moe": Format(
        "<|START_ACTION|>{{ tool_call.name }}",
        '{"tool_call_id": "%i", "tool_name": "get_weather", "parameters": {"location": %s}}',
        opening=f"<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>{BEFORE}<|END_RESPONSE|><|START_ACTION|>[\n",
        between=",\n",
        closing="\n]<|END_ACTION|>",
        quoted=True,
        vocabulary=("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
        thinking="Hm.",
    ),
    "minimax_m3": Format(
        "]<]minimax[>[<tool_call>{{ tool_call.name }}",
        ']<]minimax[>[<invoke name="get_weather">]<]minimax[>[<location>%s]<]minimax[>[</location>'
        "]<]minimax[>[</invoke>",
        opening=f"<mm:think>Hm.</mm:think>{BEFORE}\n]<]minimax[>[<tool_call>\n",
        closing="\n]<]minimax[>[</tool_call>",
        vocabulary=("<mm:think>", "</mm:think>"),
        thinking="Hm.",
    ),
}
ALIASES = {"atem": "muse_spark"}
"""Parsers of mlx-vlm for a format that mlx-lm's parser of another name reads first."""


def wrapper(made: Format, folder: Path) -> Any:
    """The pocket tokenizer with the format's template, tokens and settings, as mlx-lm loads it."""
    pocket = MODELS_DIR / "qwen3"
    folder.mkdir()
    tokenizer = json.loads((pocket / "tokenizer.json").read_text())
    pattern = tokenizer["added_tokens"][0]
    if "<think>" not in made.text:
        tokenizer["added_tokens"] = [one for one in tokenizer["added_tokens"] if "think" not in one["content"]]
    for number, token in enumerate(made.vocabulary, start=1536):
        tokenizer["added_tokens"].append(pattern | {"id": number, "content": token})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((pocket / "tokenizer_config.json").read_text())
    if made.named:
        config["tool_parser_type"] = made.named
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text("{% raw %}" + made.template + "{% endraw %}")
    return tokenizer_utils.load(folder, defaults=dict(made.defaults or {}))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Markers]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return {name: find_markers(wrapper(made, folder / name)) for name, made in FORMATS.items()}


def read(pieces: list[str], markers: Markers) -> GenerationResult:
    parser = OutputParser(markers, tools=TOOLS, initial=markers.initial)
    result = GenerationResult()
    for piece in pieces:
        for event in parser.push(piece):
            result.add(event)
    for event in parser.finish():
        result.add(event)
    return result


def shape(result: GenerationResult) -> tuple[object, ...]:
    return result.text, result.thinking, [(call.name, call.parsed) for call in result.tool_calls]


def test_no_parser_of_the_libraries_is_left_out() -> None:
    packages = (mlx_lm.tool_parsers, mlx_vlm.tools.parsers)
    modules = {module.name for package in packages for module in pkgutil.iter_modules(package.__path__)}
    assert {ALIASES.get(name, name) for name in modules} == {name.partition(",")[0] for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_text_thinking_and_two_calls_come_apart(name: str, found: dict[str, Markers]) -> None:
    made, markers = FORMATS[name], found[name]
    assert markers.tool_parser is not None
    assert markers.tool_parser.__module__.rpartition(".")[2] == {"laguna": "glm47"}.get(name, name.partition(",")[0])
    result = read([made.text], markers)
    expected = [("get_weather", {"location": city}) for city in made.cities]
    assert shape(result) == (BEFORE, made.thinking, expected)
    assert len({call.id for call in result.tool_calls}) == 2


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_cutting_gives_the_same(name: str, found: dict[str, Markers], data: st.DataObject) -> None:
    text, markers = FORMATS[name].text, found[name]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert shape(read(pieces, markers)) == shape(read([text], markers))
    assert shape(read(list(text), markers)) == shape(read([text], markers))


@pytest.mark.parametrize("name", ["harmony", "cohere2_moe", "minimax_m3"])
def test_tools_may_be_offered_where_mlx_lm_knows_no_parser(name: str, tmp_path: Path) -> None:
    tokenizer = wrapper(FORMATS[name], tmp_path / name)
    request = GenerationRequest("some/model", (Message.text(Role.USER, "Weather?"),), tools=(WEATHER,))
    prompt = render(request, tokenizer, find_markers(tokenizer), vision=False)
    assert [tool["function"]["name"] for tool in prompt.tools] == ["get_weather"]


def test_a_template_that_came_with_the_processor_tells_the_format(tmp_path: Path) -> None:
    tokenizer = wrapper(Format("", ""), tmp_path / "bare")
    assert find_markers(tokenizer).tool_parser is None
    tokenizer.chat_template = FORMATS["qwen3_coder"].template
    assert find_markers(tokenizer).tool_start == "<tool_call>"
    tokenizer.chat_template = {"default": "{{ messages }}", "tool_use": FORMATS["harmony"].template}
    assert find_markers(tokenizer).initial == "header"
