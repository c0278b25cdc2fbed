"""A chat as a file for people (Markdown) or for programs (JSON)."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.atomic import write_atomically
from core.calls.events import RATE_TOKENS, Finished
from core.calls.requests import (
    ImagePart,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    tool_to_json,
)
from core.chats.endings import cut_short
from core.chats.parts import parts_to_json
from core.chats.settings import ChatSettings
from core.chats.tree import Place, Tree
from core.errors import HistoryError
from core.media.images import ImageData
from core.text_safety import clean

FORMAT = "assay-chat"
VERSION = 2


def to_json(title: str, model: str, tree: Tree) -> str:
    """A chat as one JSON object with the turns of all branches, images inside it as base64; nothing is left out.

    A turn's `after` is the position in `turns` of the one that it follows, null at the beginning; `shown` says whether
    it is on the branch that is shown. `asked` holds the settings with which an answer was asked for.
    """
    places: dict[Place, int | None] = {tree: None} | {node: number for number, node in enumerate(tree.every)}
    shown = set(tree.branch)
    value = {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "model": model,
        "turns": [
            {
                "role": node.turn.message.role,
                "model": node.turn.model or None,
                "created": _iso(node.turn.created),
                "after": places[node.parent],
                "shown": node in shown,
                "asked": node.turn.settings.to_json() if node.turn.settings else None,
                "finished": asdict(node.turn.finished) if node.turn.finished else None,
                "parts": parts_to_json(node.turn.message.parts, _image_json),
            }
            for node in tree.every
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def to_markdown(title: str, tree: Tree, images: str = "images") -> str:
    """The branch that is shown, to read: a heading a turn, thinking folded away, calls and results as code.

    Before the first answer, and where they changed, stands what it was asked for with: the system prompt and the rest.
    Images are links to `images`/<name>, where <name> is `image_name`'s.
    """
    blocks = [f"# {title}"]
    before: ChatSettings | None = None
    for turn in tree.turns:
        if turn.settings is not None and turn.settings != before:
            blocks += _asked(turn.settings, before)
            before = turn.settings
        names = {Role.USER: "You", Role.TOOL: "Tool result", Role.ASSISTANT: turn.model or "Assistant"}
        blocks.append(f"## {names.get(turn.message.role, turn.message.role.value)}")
        blocks += [_markdown(part, images) for part in turn.message.parts]
        if turn.finished is not None:
            blocks.append(f"*{', '.join(_figures(turn.finished))}*")
    return clean("\n\n".join(block for block in blocks if block)) + "\n"


def _asked(settings: ChatSettings, before: ChatSettings | None) -> list[str]:
    """The settings of the answers from here on, as blocks; the system prompt and tools only where they changed."""
    blocks: list[str] = []
    if settings.system.strip() and (before is None or before.system != settings.system):
        blocks += ["## System", settings.system.strip()]
    elif before is not None and before.system.strip() and not settings.system.strip():
        blocks += ["## System", "*No system prompt from here on.*"]
    if settings.tools and (before is None or before.tools != settings.tools):
        tools = json.dumps([tool_to_json(tool) for tool in settings.tools], indent=2, ensure_ascii=False)
        blocks += ["Tools:", _fenced(tools, "json")]
    rest = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in (
            ("temperature", settings.temperature),
            ("top p", settings.top_p),
            ("seed", settings.seed),
            ("thinking", {True: "on", False: "off", None: None}[settings.thinking]),
        )
        if value is not None
    ]
    if settings.max_tokens is not None:
        rest.append(f"at most {settings.max_tokens} tokens")
    return [*blocks, f"*Asked with {', '.join(rest) or 'the defaults of the model'}.*"]


def _figures(finished: Finished) -> list[str]:
    """Figures of an answer, and what was in force for it where the engine has told."""
    timing, usage = finished.timing, finished.usage
    figures = [f"{usage.completion_tokens} tokens", f"first after {timing.ttft_s:.2f} s"]
    if timing.decode_tps and usage.completion_tokens >= RATE_TOKENS:
        figures.append(f"{timing.decode_tps:.1f} tok/s")
    sampling = finished.witness.sampling if finished.witness else {}
    figures += [f"{name} {sampling[name]}" for name in ("temperature", "seed") if sampling.get(name) is not None]
    return [*figures, *filter(None, [cut_short(finished)])]


def export(title: str, model: str, tree: Tree, path: Path) -> Path:
    """Write a chat to `path`: all branches as JSON if it ends in .json, else the one that is shown as Markdown.

    The images that Markdown shows lie in a folder beside it.

    An existing file is replaced whole or not at all. Raises HistoryError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".json":
            write_atomically(path, to_json(title, model, tree).encode())
            return path
        folder = path.with_name(f"{path.stem}-images")
        pictures = {image_name(image): image.data for turn in tree.turns for image in turn.message.images}
        if pictures:
            folder.mkdir(exist_ok=True)
        for name, data in pictures.items():
            write_atomically(folder / name, data)
        write_atomically(path, to_markdown(title, tree, folder.name).encode("utf-8", "replace"))
    except OSError as error:
        raise HistoryError(f"The chat cannot be exported to {path}: {error.strerror or error}.") from error
    return path


def image_name(image: ImageData) -> str:
    """A file name that is the same for the same picture and owes nothing to what a client called it."""
    return f"{image.sha256[:16]}.{image.media_type.rsplit('/', 1)[-1].replace('jpeg', 'jpg')}"


def _markdown(part: Part, images: str) -> str:
    match part:
        case TextPart(text):
            return text
        case ThinkingPart(text):
            return f"<details><summary>Thinking</summary>\n\n{text}\n\n</details>"
        case ImagePart(image):
            label = re.sub(r"[\[\]\\\n]", "", image.name) or "image"
            return f"![{label}](<{images}/{image_name(image)}>)"
        case ToolCallPart(_, name, arguments):
            return f"Calls `{name}`:\n\n{_fenced(json.dumps(dict(arguments), indent=2, ensure_ascii=False), 'json')}"
        case ToolResultPart(_, content, is_error):
            shown = "\n\n".join(
                _fenced(item.text) if isinstance(item, TextPart) else _markdown(item, images) for item in content
            )
            return f"{'Error' if is_error else 'Result'}:\n\n{shown}"


def _fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _image_json(image: ImageData) -> dict[str, Any]:
    return {
        "name": image.name,
        "media_type": image.media_type,
        "sha256": image.sha256,
        "data": base64.b64encode(image.data).decode(),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
