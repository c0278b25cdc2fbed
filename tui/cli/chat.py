"""`assay chat`: what can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.cli.common import fail_with, leave_to_rank_0, settings_with


def chat(
    model: Annotated[str | None, typer.Option(metavar="ID", help="Who answers; the quick tier's text model.")] = None,
    system: Annotated[str, typer.Option(help="A system prompt.")] = "",
    image: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="An image for the first message; may be repeated.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="0 is greedy.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Where an answer is cut off.")] = 1024,
) -> None:
    """Chat line by line, for pipes and screen readers: a message a line, the answer as plain text."""
    from core.chats.settings import ChatSettings
    from core.errors import EngineError
    from tui.cli.plain_chat import chat_plainly

    leave_to_rank_0()
    try:
        chosen = ChatSettings(system=system, temperature=temperature, max_tokens=max_tokens)
        chat_plainly(settings_with(), model, chosen, image or [])
    except EngineError as error:
        fail_with(error)
