"""A file of past chats, and what goes into it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from core.calls.requests import ImagePart, Message, Role, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from core.chats.history import History
from core.chats.tree import Turn
from core.media.images import ImageData, check_image


def picture(colour: str = "red", name: str = "red.png") -> ImageData:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return check_image(buffer.getvalue(), name)


def said(text: str, role: Role = Role.USER, *images: ImageData) -> Turn:
    return Turn(Message.text(role, text, *images))


EVERY_PART = Message(
    Role.ASSISTANT,
    (
        ThinkingPart("Let me look."),
        TextPart("A red square."),
        ToolCallPart("call_1", "get_weather", {"location": "Tokyo", "days": [1, 2]}),
        ImagePart(picture()),
        ToolResultPart("call_1", (TextPart("Sunny."), ImagePart(picture("blue", "blue.png"))), is_error=True),
    ),
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "data" / "history.sqlite3"


@pytest.fixture
def history(path):
    with History(path) as opened:
        yield opened
