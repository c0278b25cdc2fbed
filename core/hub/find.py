"""Searching the Hub: mlx-community's models first, then anyone's MLX weights, and only those that a query accepts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from huggingface_hub.utils import validate_repo_id

from core.catalog import ModelKind
from core.errors import HubBroken
from core.hub.client import api, asking
from core.hub.look import AT_ONCE, Looker, Remote
from core.hub.repository import Facts, read_facts

FIRST = "mlx-community"
FIELDS = ("downloads", "likes", "lastModified", "gated", "private", "tags", "pipeline_tag", "sha")
MOST_LOOKED_AT = 10
"""How many models are looked at for each that is wanted, where filters let few pass."""
MOST_LISTED = 20_000
"""How many records of a listing are read: a Hub may name the same page as its next one for ever."""
_PURPOSES = {
    "feature-extraction": ModelKind.EMBEDDINGS,
    "sentence-similarity": ModelKind.EMBEDDINGS,
    "automatic-speech-recognition": ModelKind.AUDIO,
    "text-to-speech": ModelKind.AUDIO,
    "audio-to-audio": ModelKind.AUDIO,
    "text-generation": ModelKind.TEXT,
    "image-text-to-text": ModelKind.VISION,
}
"""The Hub's own word for what a model is for: enough not to look at it, not enough to say what it is."""
_ALIKE = {ModelKind.TEXT, ModelKind.VISION}
"""Text models made of vision models keep their word, and the other way round."""


class Sort(StrEnum):
    """By what the Hub sorts, the greatest first; the values are huggingface_hub's names."""

    DOWNLOADS = "downloads"
    LIKES = "likes"
    DATE = "last_modified"


@dataclass(frozen=True)
class Query:
    """What is looked for. Sizes are bytes to download; None and "" accept everything.

    `quantisation` is how a model's own begins ("4bit", "mxfp4", "bf16"); `licence` is the Hub's short name.
    """

    words: str = ""
    sort: Sort = Sort.DOWNLOADS
    kind: ModelKind | None = None
    most_bytes: int | None = None
    quantisation: str = ""
    licence: str = ""
    everything: bool = False
    """Whether models that MLX cannot run are shown, too."""

    def may_accept(self, facts: Facts) -> bool:
        """Whether it is worth a look."""
        purpose = _PURPOSES.get(facts.purpose)
        if self.kind is None or purpose is None or purpose is self.kind:
            return True
        return purpose in _ALIKE and self.kind in _ALIKE

    def accepts(self, remote: Remote) -> bool:
        """Whether a model that was looked at is what is looked for."""
        info = remote.info
        return (
            (self.everything or not info.foreign)
            and self.kind in (None, info.kind)
            and (self.most_bytes is None or info.size_bytes <= self.most_bytes)
            and (info.quantisation or "").startswith(self.quantisation)
            and self.licence in ("", remote.facts.licence)
        )


def find(query: Query) -> Iterator[Facts]:
    """What the Hub finds, page by page as it is asked for: unlooked-at and unfiltered, but for words and licence.

    Every step may wait for the Hub. Raises HubError.
    """
    tags = [f"license:{query.licence}"] if query.licence else []
    seen: set[str] = set()
    for more in ({"author": FIRST, "filter": tags}, {"filter": ["mlx", *tags]}):
        for told in islice(_listed(query, **more), MOST_LISTED):
            if told.id not in seen:
                seen.add(told.id)
                yield told


def _listed(query: Query, **more: Any) -> Iterator[Facts]:
    about = f"“{query.words}”" if query.words else "its models"
    with asking(about, search=True):
        models = iter(api().list_models(search=query.words or None, sort=query.sort.value, expand=list(FIELDS), **more))
    while True:
        with asking(about, search=True):
            told = next(models, None)
        if told is None:
            return
        try:
            validate_repo_id(told.id)
            yield read_facts(told, told.id)
        except (ValueError, HubBroken):
            continue  # a record that names no model or no commit is none


def search(query: Query, looker: Looker, limit: int) -> Iterator[Remote]:
    """The first `limit` models that the query accepts, each looked at, in the Hub's order. Raises HubError.

    A few are looked at ahead of the one that is waited for.
    """
    candidates = islice(filter(query.may_accept, find(query)), limit * MOST_LOOKED_AT)
    ahead: deque[Future[Remote]] = deque()
    found = 0
    while found < limit:
        for facts in islice(candidates, AT_ONCE - len(ahead)):
            ahead.append(looker.begin(facts))
        if not ahead:
            return
        remote = ahead.popleft().result()
        if query.accepts(remote):
            found += 1
            yield remote
    for future in ahead:
        future.cancel()
