"""How a conversation is written for each vision model: the chat templates that ship, and the same for training."""

from __future__ import annotations

from dataclasses import dataclass

from core.pocket.train.vision_conversations import Conversation, Piece, Turn

QWEN_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type in ('image', 'image_url', 'input_image') -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part.type == 'video' -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif part.text is defined -%}
{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
"""ChatML with Qwen2-VL's image marks; content may be a string or a list of parts."""

GEMMA_TEMPLATE = """\
{%- macro write(content) -%}
{%- if content is string -%}
{{- content | trim -}}
{%- else -%}
{%- for part in content -%}
{%- if part.type in ('image', 'image_url', 'input_image') -%}
{{- '<start_of_image>' -}}
{%- elif part.text is defined -%}
{{- part.text | trim -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = write(message.content) + '\\n\\n' -%}
{%- else -%}
{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' -}}
{{- ns.system + write(message.content) + '<end_of_turn>\\n' -}}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<start_of_turn>model\\n' -}}
{%- endif -%}
"""
"""Gemma 3's turns: the system prompt opens the next user turn; content may be a string or a list of parts."""


@dataclass(frozen=True)
class ChatFormat:
    """The marks of one model's conversations."""

    opening: str
    turn: str
    """Opens a turn; `{role}` is filled in."""
    end: str
    """Ends a turn, and the answer."""
    assistant: str
    system_turn: bool
    """The system prompt is a turn of its own, not the head of the first user turn."""
    image: str
    """What one image is written as, with one image token; the batch repeats that token."""
    image_token: str
    special: tuple[str, ...]
    """All special tokens, in the order of their ids."""
    eos: tuple[str, ...]
    pad: str
    template: str


QWEN = ChatFormat(
    opening="",
    turn="<|im_start|>{role}\n",
    end="<|im_end|>",
    assistant="assistant",
    system_turn=True,
    image="<|vision_start|><|image_pad|><|vision_end|>",
    image_token="<|image_pad|>",
    special=(
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|vision_pad|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ),
    eos=("<|im_end|>", "<|endoftext|>"),
    pad="<|endoftext|>",
    template=QWEN_TEMPLATE,
)

GEMMA = ChatFormat(
    opening="<bos>",
    turn="<start_of_turn>{role}\n",
    end="<end_of_turn>",
    assistant="model",
    system_turn=False,
    image="\n\n<start_of_image><image_soft_token><end_of_image>\n\n",
    image_token="<image_soft_token>",
    special=(
        "<pad>",
        "<eos>",
        "<bos>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
    ),
    eos=("<end_of_turn>", "<eos>"),
    pad="<pad>",
    template=GEMMA_TEMPLATE,
)


@dataclass(frozen=True)
class Part:
    """A stretch of a conversation that is tokenized by itself."""

    text: str
    answer: tuple[Piece, ...] = ()
    """Set instead of `text` where the model speaks."""


def write_user(chat: ChatFormat, turn: Turn) -> str:
    """The content of a user turn, with one image token an image."""
    images = chat.image * len(turn.images)
    return images + turn.question if turn.image_first else turn.question + images


def parts(chat: ChatFormat, conversation: Conversation) -> list[Part]:
    """The conversation as prompt stretches and answers, in order; equal to the shipped template's output."""
    text = chat.opening
    head = ""
    if conversation.system:
        if chat.system_turn:
            text += chat.turn.format(role="system") + conversation.system + chat.end + "\n"
        else:
            head = conversation.system + "\n\n"
    written: list[Part] = []
    for turn in conversation.turns:
        text += chat.turn.format(role="user") + head + write_user(chat, turn) + chat.end + "\n"
        text += chat.turn.format(role=chat.assistant)
        written += [Part(text), Part("", turn.answer)]
        text, head = "\n", ""
    return written
