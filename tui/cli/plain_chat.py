"""`assay chat`: a conversation as lines of plain text, for pipes and screen readers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.calls.events import GenerationResult, TextDelta
from core.catalog import Catalog
from core.chats.settings import ChatSettings
from core.chats.tree import Turn
from core.engine import Engine
from core.errors import EngineError
from core.media.images import ImageData, read_image
from core.settings import Settings
from core.tiers import Tier, resolve_tier
from tui.chat.conversation import Conversation, answer_message
from tui.chat.dropped import absent_images, mentioned_images
from tui.chat.live_answer import final_figures


def _note(text: str) -> None:
    """What is not the conversation goes to standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _lines() -> Iterator[str]:
    """The person's messages, one a line, until the input ends."""
    prompting = sys.stdin.isatty()
    while True:
        if prompting:
            print("> ", end="", file=sys.stderr, flush=True)  # noqa: T201
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.rstrip("\n")


def chat_plainly(settings: Settings, model: str | None, chosen: ChatSettings, images: Sequence[Path]) -> None:
    """Answer line after line. At a terminal, an error about one message is said and the chat goes on.

    Raises EngineError when nothing can be answered at all: no such model, an image that cannot be read; and for any
    message that comes through a pipe.
    """
    attached = [read_image(path) for path in images]
    catalog = Catalog(settings)
    if model is None:
        model = resolve_tier(catalog, settings, Tier.QUICK, bool(attached)).model.id
    catalog.get(model)  # a wrong name is said before MLX has been imported
    with Engine(settings, catalog) as engine:
        _note(f"{model} answers. A line is a message; the end of input (ctrl+d) leaves.")
        conversation = Conversation()
        for line in _lines():
            try:
                _exchange(engine, model, chosen, conversation, line, attached)
                attached = []
            except EngineError as error:
                if not sys.stdin.isatty():
                    raise  # the command line says it
                _note(error.message)


def _exchange(
    engine: Engine,
    model: str,
    chosen: ChatSettings,
    conversation: Conversation,
    line: str,
    attached: Sequence[ImageData],
) -> None:
    """One message and its answer; ctrl+c stops the answer and keeps what came."""
    text, named = mentioned_images(line)
    for sentence in absent_images(line):
        _note(sentence)
    question = conversation.question(text, [*attached, *(read_image(path) for path in named)])
    asked = conversation.add(Turn(question))
    result = GenerationResult()
    try:
        generation = engine.generate(conversation.request(model, chosen))
        try:
            for event in generation:
                result.add(event)
                if isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)  # noqa: T201
        except KeyboardInterrupt:
            generation.cancel()
            for event in generation:
                result.add(event)
    except EngineError:
        conversation.drop(asked)
        raise
    print(flush=True)  # noqa: T201
    for call in result.tool_calls:
        print(f"[calls {call.name}({call.arguments})]", flush=True)  # noqa: T201
    if result.finished is not None:
        _note(f"[{final_figures(result.finished, spelled=True)}]")
    message = answer_message(result)
    if message is None:
        conversation.drop(asked)
    else:
        conversation.add(Turn(message, model, result.finished, chosen))
