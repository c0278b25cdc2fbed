"""Prompts of a length, no two of them alike from their first word on: nothing of one can be taken over for another."""

from __future__ import annotations

import io
import random

from core.bench.patience import result_of
from core.calls.requests import GenerationRequest, Message, Role
from core.engine import Engine
from core.media.images import ImageData, check_image

WORDS = (
    "the of and to in that was for with his they this have from one had word but not what all were when your can said "
    "there use each which she how their will other about out many then them these some her would make like him into "
    "time has look two more write see number way could people than first water been call who its now find long down "
    "day did get come made may part over new sound take only little work know place year live back give most very "
    "after thing our just name good sentence man think say great where help through much before line right too mean"
)
NEAR = 0.02
"""How far off a prompt's tokens may be, as a part of what is wanted."""
TRIES = 4
SIDE = 448
"""Pixels of an image's sides: what many towers see at once."""
ASKED = "Describe this picture in every detail, at great length."


def text_of(engine: Engine, model: str, tokens: int, seed: str) -> str:
    """Words that make up about so many tokens of a model's, its start token included. Waits for the engine.

    Raises EngineError where the model's tokens cannot be counted.
    """
    dice = random.Random(seed)
    choice = WORDS.split()
    words = [dice.choice(choice) for _ in range(2 * tokens)]
    count = max(tokens - 1, 1)
    for _ in range(TRIES):
        text = " ".join(words[:count])
        found = result_of(engine.count_tokens(GenerationRequest(model, prompt=text))).tokens
        if abs(found - tokens) <= max(NEAR * tokens, 1):
            break
        count = min(max(round(count * tokens / max(found, 1)), 1), len(words))
    return text


def image_of(seed: str) -> ImageData:
    """A picture of coloured blocks that no other seed gives."""
    from PIL import Image

    dice = random.Random(seed)
    small = Image.frombytes("RGB", (8, 8), dice.randbytes(8 * 8 * 3))
    file = io.BytesIO()
    small.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file, "PNG")
    return check_image(file.getvalue(), "blocks.png")


def messages_with_image(seed: str) -> tuple[Message, ...]:
    """A question about such a picture."""
    return (Message.text(Role.USER, ASKED, image_of(seed)),)
