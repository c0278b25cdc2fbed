"""Which of a model's weights take part in one token of text: that sets the pace at which it reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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


@lru_cache(maxsize=1 << 16)
def sees(name: str) -> bool:
    """Whether a tensor of that name belongs to something that sees. Models of a family share their names."""
    return _SEES.search(name) is not None


class Activity:
    """What of each tensor is used for a token. `names` are those of all tensors of the model.

    Of experts as many count as are chosen. A table of embeddings counts where it is the output's matrix as well: else
    a token takes one line of it. What looks at images and hears sound does not count.
    """

    def __init__(self, config: Mapping[str, Any], names: Iterable[str]) -> None:
        text = text_part(config)
        experts, chosen = number(text, *_EXPERTS), number(text, *CHOSEN_EXPERTS)
        self._experts = min(chosen / experts, 1.0) if experts and chosen else 1.0
        self._head = any(map(_HEAD.search, names))

    def share(self, name: str) -> float:
        """The part of a tensor, 0 to 1."""
        beside = sees(name) or _OTHER_SENSES.search(name) or _LOOKED_UP.search(name)
        if beside or (self._head and _TABLE.search(name)):
            return 0.0
        return self._experts if _EXPERT.search(name) else 1.0
