"""What stands for an image in a turn's text, for models whose chat template takes nothing but text."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)

PROBE = "probe"


def find_template(processor: Any) -> str | None:
    """The chat template of a vision model: its tokenizer's or its processor's, rather the one that writes images.

    Older checkpoints have it in chat_template.json, which processors read and tokenizers do not.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    found = [getattr(part, "chat_template", None) for part in (tokenizer, processor)]
    templates = [template for template in found if isinstance(template, str)]
    first = templates[0] if templates else None
    return next((template for template in templates if _writes_images(tokenizer, template)), first)


def find_image_text(tokenizer: Any, model_type: str) -> str | None:
    """The placeholder that belongs into the text of a turn; None where the template writes one for an image itself.

    Found out by rendering a turn with an image. What such a turn would have to hold instead is known to mlx-vlm, by
    model type.
    """
    if not tokenizer.has_chat_template or _writes_images(tokenizer):
        return None
    from mlx_vlm.prompt_utils import get_message_json

    try:
        message = get_message_json(model_type, PROBE, role="user", num_images=1)
    except ValueError as error:  # a type that mlx-vlm runs and has no format for
        log.info("nothing tells how %s is shown images: %s", model_type, error)
        return None
    content = message.get("content") if isinstance(message, dict) else message
    return content.replace(PROBE, "") or None if isinstance(content, str) else None


def _writes_images(tokenizer: Any, template: str | None = None) -> bool:
    """Whether the template makes something of an image among a turn's parts, other than Python's notation of it."""
    parts = [{"type": "image"}, {"type": "text", "text": PROBE}]
    chosen = {} if template is None else {"chat_template": template}
    try:
        with_image, without = (
            tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, **chosen)
            for content in (parts, parts[1:])
        )
    except Exception as error:  # templates raise what they like on what they do not expect
        log.info("the chat template takes no list of parts: %s", error)
        return False
    return with_image != without and "'type'" not in with_image
