"""How a model sets thinking and tool calls apart: mlx-lm's finding first, mlx-vlm's for the formats only it parses."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mlx_lm import tokenizer_utils

ToolParser = Callable[[str, Any], Any]

JSON_HEAD = re.compile(
    r'\s*\{\s*"name"\s*:\s*(?P<json>"(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)'
)
HARMONY_HEAD = re.compile(r"\s*(?:functions\.)?(?P<name>[^\s<|]+)[^{]*?<\|message\|>\s*(?=\{)")

ONLY_MLX_VLM = ("<|call|>", "<|START_ACTION|>", "]<]minimax[>[")
"""What a template of a format that mlx-lm does not parse contains. Importing mlx-vlm's parsers costs half a second."""

THINKING = (
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<mm:think>", "</mm:think>"),  # MiniMax-M3
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
)
"""Pairs besides those that mlx-lm knows; a model has them that has both among its tokens."""
STRUCTURAL = (
    "<|START_RESPONSE|>",  # Command A
    "<|END_RESPONSE|>",
    "<|START_TEXT|>",
    "<|END_TEXT|>",
)
"""Tokens round the answer that are no part of it, besides those that mlx-lm knows."""

HARMONY_STATES = {
    "header": [
        ("<|channel|>analysis", "analysis"),
        ("<|channel|>final", "final"),
        ("<|channel|>commentary<|message|>", "normal"),
        ("<|channel|>commentary to=", "tool"),
        (" to=functions.", "tool"),
    ],
    "analysis": [("<|message|>", "reasoning")],
    "final": [("<|message|>", "normal")],
    "reasoning": [("<|end|>", "header")],
    "normal": [("<|end|>", "header")],
}
"""gpt-oss's harmony format: every message names its channel in a header (openai/harmony, docs/format.md)."""


@dataclass(frozen=True)
class Markers:
    """The strings by which a model sets thinking and tool calls apart; None where it has none.

    `call_head` matches the text of a call up to its JSON arguments, with the function's name in group "name" (or, as
    a JSON string, "json"), so that arguments can be passed on as they grow; None for formats that are read when they
    end. `json_calls` is True when a call is one JSON object of name and arguments, which can be demanded by a schema.
    `transitions` are further (state -> [(marker, next state)]) edges of a format such as harmony's channels, and
    `initial` the state in which an answer begins. Text in states besides "normal", "reasoning" and "tool" is not shown.
    """

    think_start: str | None = None
    think_end: str | None = None
    tool_start: str | None = None
    tool_end: str | None = None
    tool_parser: ToolParser | None = None
    call_head: re.Pattern[str] | None = None
    json_calls: bool = False
    structural: tuple[str, ...] = ()
    transitions: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    initial: str = "normal"
    after_tool: str = "normal"

    def edges(self, stop: Sequence[str], tools: bool, held: bool = False) -> dict[str, list[tuple[str, str]]]:
        """The state machine of one request: states "normal", "reasoning", "tool", and "stop:i" for each stop string.

        `held` says that a schema holds the answer: nothing but a stop string leaves "normal" then.
        """
        edges: dict[str, list[tuple[str, str]]] = {"normal": []}
        if self.think_start and self.think_end:
            edges["normal"].append((self.think_start, "reasoning"))
            edges["reasoning"] = [(self.think_end, "normal")]
        if tools and self.tool_start:
            if not any(target == "tool" for more in self.transitions.values() for _, target in more):
                edges["normal"].append((self.tool_start, "tool"))
            if "reasoning" in edges:
                edges["reasoning"].append((self.tool_start, "tool"))
            edges["tool"] = [(self.tool_end, self.after_tool)] if self.tool_end else []
        edges["normal"].extend((marker, "normal") for marker in self.structural)
        for state, more in self.transitions.items():
            edges.setdefault(state, []).extend(edge for edge in more if tools or edge[1] != "tool")
        if held:
            edges["normal"].clear()
        for index, text in enumerate(stop):
            edges["normal"].append((text, f"stop:{index}"))
            edges[f"stop:{index}"] = []
        return edges


def find_markers(tokenizer: Any) -> Markers:
    """The markers of a model by its tokenizer (mlx-lm's TokenizerWrapper), its chat template in place."""
    template = _template(tokenizer.chat_template)
    vocabulary = tokenizer.get_vocab()
    thinking = (tokenizer.think_start, tokenizer.think_end)
    if tokenizer.think_start is None:
        thinking = next((pair for pair in THINKING if all(token in vocabulary for token in pair)), thinking)
    structural = (
        *(tokenizer.structural_markers or ()),
        *(token for token in STRUCTURAL if token in vocabulary),
    )
    library, name = _parser(tokenizer, template, vocabulary)
    module = importlib.import_module(f"{library}.{name}") if name else None
    if name == "harmony":
        assert module is not None
        return Markers(
            tool_start=module.tool_call_start,
            tool_end=module.tool_call_end,
            tool_parser=module.parse_tool_call,
            call_head=HARMONY_HEAD,
            transitions=HARMONY_STATES,
            initial="header",
            after_tool="header",
        )
    return Markers(
        think_start=thinking[0],
        think_end=thinking[1],
        tool_start=module.tool_call_start if module else None,
        tool_end=module.tool_call_end if module else None,
        tool_parser=module.parse_tool_call if module else None,
        call_head=JSON_HEAD if name == "json_tools" else None,
        json_calls=name == "json_tools",
        structural=structural,
        transitions=tokenizer.response_transitions,
        initial=tokenizer.response_initial_state or "normal",
    )


def _parser(tokenizer: Any, template: str, vocabulary: Any) -> tuple[str, str | None]:
    """The package and the module that parse a model's calls; None where nothing does.

    mlx-lm takes what it finds first: MiniMax-M3's calls hold a <tool_call> too, and gpt-oss has nothing it knows.
    """
    if any(hint in template for hint in ONLY_MLX_VLM):
        from mlx_vlm.tools.registry import _infer_tool_parser

        name = _infer_tool_parser(template)
        if name is not None:
            return "mlx_vlm.tools.parsers", name
    name = tokenizer.init_kwargs.get("tool_parser_type")  # set by the checkpoint, or by mlx-lm when it loaded it
    if name is None:  # the template may have come with the processor, after mlx-lm had looked
        seen = SimpleNamespace(chat_template=template, get_vocab=lambda: vocabulary)
        name = tokenizer_utils._infer_tool_parser(seen)
    return "mlx_lm.tool_parsers", name


def _template(template: Any) -> str:
    """A chat template's text; of several, the one that is rendered when there are tools."""
    if isinstance(template, dict):
        template = template.get("tool_use") or template.get("default")
    return template if isinstance(template, str) else ""
