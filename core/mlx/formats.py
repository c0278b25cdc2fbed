"""How a model sets thinking and tool calls apart: mlx-lm's finding first, mlx-vlm's for the formats only it parses."""

from __future__ import annotations

import importlib
import re
from types import SimpleNamespace
from typing import Any

from mlx_lm import tokenizer_utils

from core.mlx.output import Markers

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
