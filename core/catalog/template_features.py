"""What a model's chat template can do, read as text: templates are run by the engine, in a sandbox, and not here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.catalog.bounds import TEMPLATE
from core.catalog.config import read_json
from core.regular_files import read_text

_OPENS, _CLOSES = re.compile(r"\{[{%]"), re.compile(r"[%}]\}")
"""Of Jinja's blocks."""
_USES_TOOLS = re.compile(r"\b(tools|available_tools|builtin_tools|custom_tools)\b")
_THINKS = re.compile(
    r"</?think>|<\|channel\|>|<\|channel>thought|enable_thinking|\[/?THINK\]|<seed:think>|<longcat_think>|<\|think|<mm:think>|<\|START_THINKING\|>"
)


@dataclass(frozen=True)
class Templates:
    """The chat templates of a folder, by name and by the place where they lie; a single one is called "default"."""

    files: dict[str, str]
    """chat_template.jinja and additional_chat_templates/: where they are, a tokenizer looks no further."""
    tokenizer: dict[str, str]
    """tokenizer_config.json's, a string or a list of named ones."""
    processor: dict[str, str]
    """chat_template.json's, which the processors of vision models read."""
    listed: bool
    """Whether chat_template.json has a list, which nothing reads."""

    @property
    def chosen(self) -> dict[str, str]:
        """Those of the first place that has any; {} where none of them can be the default.

        A default that is missing there is that of a later place, or else the only template, or the one for tools.
        """
        places = [place for place in (self.files, self.tokenizer, self.processor) if place]
        found = dict(places[0]) if places else {}
        only = next(iter(found.values())) if len(found) == 1 else None
        default = next((place["default"] for place in places if "default" in place), only or found.get("tool_use"))
        return {**found, "default": default} if default is not None else {}

    def found(self, processor: bool) -> bool:
        """Whether the libraries find the chosen ones by themselves, for a model with a `processor` or without."""
        if processor:
            return not self.listed and (not self.files or "default" in self.files)
        return (self.files or self.tokenizer) == self.chosen

    def text(self, processor: bool) -> str:
        """All that may be rendered, joined: a processor may have a template of its own."""
        every = [*self.files.values(), *self.tokenizer.values(), *self.processor.values()]
        return "\n".join(every if processor else self.chosen.values())


def read_templates(folder: Path) -> Templates:
    """The chat templates of a model folder. Raises ValueError when one of the files is broken."""
    paths = {"default": folder / "chat_template.jinja"}
    paths |= {file.stem: file for file in sorted(folder.glob("additional_chat_templates/[!.]*.jinja"))}
    files: dict[str, str] = {}
    for name, file in paths.items():
        try:
            files[name] = read_text(file, TEMPLATE.limit, TEMPLATE.kind, errors="replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ValueError(f"{file.name} cannot be read: {error.strerror or error}") from error
    tokenizer, processor = (
        (read_json(folder / name) or {}).get("chat_template")
        for name in ("tokenizer_config.json", "chat_template.json")
    )
    return Templates(files, _named(tokenizer), _named(processor), isinstance(processor, list))


def _named(template: Any) -> dict[str, str]:
    """A template of a JSON file, a string or a list of named ones, by name."""
    if isinstance(template, str):
        return {"default": template} if template else {}
    entries = [entry for entry in template if isinstance(entry, dict)] if isinstance(template, list) else []
    pairs = ((entry.get("name"), entry.get("template")) for entry in entries)
    return {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str)}


def _blocks(template: str) -> Iterator[str]:
    """What stands in Jinja's own blocks. One that is never closed is the last: nothing is looked through twice."""
    place = 0
    while (opens := _OPENS.search(template, place)) and (closes := _CLOSES.search(template, opens.end())):
        yield template[opens.end() : closes.start()]
        place = closes.end()


def takes_tools(template: str) -> bool:
    """Whether the template looks at the tools that it is given, inside Jinja's own blocks and not in its prose."""
    return any(map(_USES_TOOLS.search, _blocks(template)))


def thinks(template: str) -> bool:
    """Whether the template knows of thinking: its markers or its switch."""
    return bool(_THINKS.search(template))
