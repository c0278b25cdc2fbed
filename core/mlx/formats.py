"""How a model sets thinking and tool calls apart: mlx-lm's finding first, mlx-vlm's for the formats only it parses."""

from __future__ import annotations

import re
from typing import Any

from core.mlx.output import Markers

JSON_HEAD = re.compile(
    r'\s*\{\s*"name"\s*:\s*(?P<json>"(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)'
)
HARMONY_HEAD = re.compile(r"\s*(?:functions\.)?(?P<name>[^\s<|]+)[^{]*?<\|message\|>\s*(?=\{)")

ONLY_MLX_VLM = ("<|call|>", "<|START_ACTION|>", "]<]minimax[>[")
"""What a template of a format that mlx-lm does not parse contains. Importing mlx-vlm's parsers costs half a second."""

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


def find_markers(tokenizer: Any) -> Markers:
    """The markers of a model by its tokenizer (mlx-lm's TokenizerWrapper)."""
    template = tokenizer.chat_template
    hinted = isinstance(template, str) and any(hint in template for hint in ONLY_MLX_VLM)
    if tokenizer.has_tool_calling or not hinted:
        return _of_mlx_lm(tokenizer)
    from mlx_vlm.tools.registry import _infer_tool_parser, load_tool_module

    name = _infer_tool_parser(template)
    if name is None:
        return _of_mlx_lm(tokenizer)
    module = load_tool_module(name)
    if name == "harmony":
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
        think_start=tokenizer.think_start,
        think_end=tokenizer.think_end,
        tool_start=module.tool_call_start,
        tool_end=module.tool_call_end,
        tool_parser=module.parse_tool_call,
    )


def _of_mlx_lm(tokenizer: Any) -> Markers:
    plain = tokenizer.init_kwargs.get("tool_parser_type") == "json_tools"
    return Markers(
        think_start=tokenizer.think_start,
        think_end=tokenizer.think_end,
        tool_start=tokenizer.tool_call_start,
        tool_end=tokenizer.tool_call_end,
        tool_parser=tokenizer.tool_parser,
        call_head=JSON_HEAD if plain else None,
        json_calls=plain,
        structural=tuple(tokenizer.structural_markers or ()),
        transitions=tokenizer.response_transitions,
        initial=tokenizer.response_initial_state or "normal",
    )
