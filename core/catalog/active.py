"""Which of a model's weights take part in one token of text: that sets the pace at which it reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum, auto
from functools import lru_cache
from typing import Any

from core.catalog.config import CHOSEN_EXPERTS, number, text_part

_EXPERTS = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts", "num_moe_experts", "n_experts")
_EXPERT = re.compile(r"(?:^|\.)(?:switch_mlp|switch_glu|experts?)\.")
_LOOKED_UP = re.compile(r"(?:^|\.)(?:embed_tokens_per_layer|wpe|position_embedding_table|position_embeddings)\.")
_TABLE = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|tok_embeddings|token_embeddings|embed_in)\.")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output)\.(?:weight|qweight)$")
_SEES = re.compile(r"vision|visual|image|img_|patch_embed|\bvit\b|siglip|\bvpm\b|mm_projector", re.IGNORECASE)
_OTHER_SENSES = re.compile(r"projector|audio_tower|embed_audio")


_NAMES = 1 << 16
"""Names of tensors that are remembered: models of a family share theirs."""


@lru_cache(maxsize=_NAMES)
def sees(name: str) -> bool:
    """Whether a tensor of that name belongs to something that sees."""
    return _SEES.search(name) is not None


class _Part(StrEnum):
    """What a tensor is of, as far as its name tells."""

    BESIDE = auto()
    """Another sense, or a table of which a token takes one line."""
    TABLE = auto()
    """Of embeddings: the output's matrix as well, where there is no head."""
    EXPERT = auto()
    HEAD = auto()
    OTHER = auto()


@lru_cache(maxsize=_NAMES)
def _part(name: str) -> _Part:
    if sees(name) or _OTHER_SENSES.search(name) or _LOOKED_UP.search(name):
        return _Part.BESIDE
    if _TABLE.search(name):
        return _Part.TABLE
    if _EXPERT.search(name):
        return _Part.EXPERT
    return _Part.HEAD if _HEAD.search(name) else _Part.OTHER


class Activity:
    """What of each tensor is used for a token. `names` are those of all tensors of the model.

    Of experts as many count as are chosen. A table of embeddings counts where it is the output's matrix as well: else
    a token takes one line of it. What looks at images and hears sound does not count.
    """

    def __init__(self, config: Mapping[str, Any], names: Iterable[str]) -> None:
        text = text_part(config)
        experts, chosen = number(text, *_EXPERTS), number(text, *CHOSEN_EXPERTS)
        head = _Part.HEAD in map(_part, names)
        self._shares = {
            _Part.BESIDE: 0.0,
            _Part.TABLE: 0.0 if head else 1.0,
            _Part.EXPERT: min(chosen / experts, 1.0) if experts and chosen else 1.0,
        }

    def share(self, name: str) -> float:
        """The part of a tensor, 0 to 1."""
        return self._shares.get(_part(name), 1.0)
