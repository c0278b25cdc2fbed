"""What the workbench remembers from one day to the next: a small file of the data folder, readable and replaceable."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from core.atomic import write_atomically
from core.regular_files import read_text

FILE = "workbench.toml"
MOST_BYTES = 4_000_000
"""A system prompt and tools may be among it."""


@dataclass(frozen=True)
class ChatChoice:
    """The settings of new chats as TOML has them: `tools` is their JSON text, what is None is left out."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    thinking: bool | None = None
    tools: str = ""


@dataclass(frozen=True)
class Remembered:
    """What was chosen; "" and None where nothing was.

    `quick` and `full` are models picked by hand, `answers` is who answers in the chat (a tier or a model), `suite` the
    folder of golden prompts, `run` the last run of them; `models_by` is the column that models are sorted by, with a
    "-" before it where the greatest comes first.
    """

    theme: str = ""
    face: str = ""
    quick: str = ""
    full: str = ""
    answers: str = ""
    suite: str = ""
    run: str = ""
    chat: ChatChoice | None = None
    models_by: str = ""


def remembered_file(data_dir: Path) -> Path:
    return data_dir / FILE


def read_remembered(file: Path) -> tuple[Remembered, str]:
    """What the file holds, and a sentence about what in it is of no use; nothing and "" where there is no file."""
    from pydantic import TypeAdapter, ValidationError

    try:
        table = tomllib.loads(read_text(file, MOST_BYTES, "what is remembered"))
        known = {name: value for name, value in table.items() if name in {one.name for one in fields(Remembered)}}
        remembered = TypeAdapter(Remembered).validate_json(json.dumps(known, default=str), strict=True)
    except FileNotFoundError:
        return Remembered(), ""
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return Remembered(), f"{file} is not used: {where} cannot be {first['input']!r} ({first['msg']})."
    except OSError as error:
        return Remembered(), f"{file} is not used: it cannot be read ({error.strerror or error})."
    except (ValueError, RecursionError) as error:
        return Remembered(), f"{file} is not used: it cannot be read ({error})."
    unknown = [name for name in table if name not in known]
    return remembered, f"{file} holds {', '.join(unknown)}, which means nothing here." if unknown else ""


def write_remembered(file: Path, remembered: Remembered) -> None:
    """Replace the file in one step. Raises OSError."""
    import tomli_w

    table = {name: _without_none(value) for name, value in asdict(remembered).items() if value not in ("", None)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, tomli_w.dumps(table).encode())


def _without_none(value: Any) -> Any:
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, Mapping) else value
