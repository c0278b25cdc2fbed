"""What a model's chat template can do, read as text: templates are run by the engine, in a sandbox, and not here."""

from __future__ import annotations

import re
from pathlib import Path

from core.catalog.config import read_json

_BLOCKS = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_USES_TOOLS = re.compile(r"\b(tools|available_tools|builtin_tools|custom_tools)\b")
_THINKS = re.compile(
    r"</?think>|<\|channel\|>|<\|channel>thought|enable_thinking|\[/?THINK\]|<seed:think>|<longcat_think>|<\|think|<mm:think>|<\|START_THINKING\|>"
)
MAX_TEMPLATE_BYTES = 2 * 1024 * 1024


def read_template(folder: Path) -> str:
    """The chat template of a model folder, several of them joined, or "".

    Looks where transformers does: chat_template.jinja, chat_template.json, additional_chat_templates/, then
    tokenizer_config.json (a string, or a list of named ones). Raises ValueError when one of the files is broken.
    """
    parts: list[str] = []
    for file in (folder / "chat_template.jinja", *sorted(folder.glob("additional_chat_templates/[!.]*.jinja"))):
        try:
            if file.stat().st_size <= MAX_TEMPLATE_BYTES:
                parts.append(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = (read_json(folder / name) or {}).get("chat_template")
        if isinstance(template, str):
            parts.append(template)
        elif isinstance(template, list):
            parts.extend(str(entry.get("template", "")) for entry in template if isinstance(entry, dict))
    return "\n".join(parts)


def takes_tools(template: str) -> bool:
    """Whether the template looks at the tools that it is given, inside Jinja's own blocks and not in its prose."""
    return any(_USES_TOOLS.search(block) for block in _BLOCKS.findall(template))


def thinks(template: str) -> bool:
    """Whether the template knows of thinking: its markers or its switch."""
    return bool(_THINKS.search(template))
