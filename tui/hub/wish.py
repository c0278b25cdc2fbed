"""What is looked for on the Hub: words, an order, and filters, each of which a key goes through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.status import EngineStatus
from tui.models.fit import Fit, fit

if TYPE_CHECKING:
    from core.hub.find import Query
    from core.hub.look import Remote

SORTS = ("downloads", "likes", "date")
KINDS = ("", "text", "vision", "embeddings", "reranker", "audio")
FITS = "fits here"
SIZES = ("", FITS, *(f"≤ {gigabytes} GB" for gigabytes in (1, 2, 4, 8, 16, 32, 64, 128)))
QUANTISATIONS = ("", "3bit", "4bit", "5bit", "6bit", "8bit", "mxfp4", "bf16")
LICENCES = ("", "apache-2.0", "mit")
"""What is always offered; the licences of what was found come after them."""
_FIT = (Fit.OK, Fit.TIGHT, Fit.EVICTS, Fit.LOADED)
_UNSET = {"kind": "", "size": "", "quantisation": "", "licence": ""}


@dataclass(frozen=True)
class Wish:
    """`sort` is one of SORTS; of the others "" accepts everything."""

    words: str = ""
    sort: str = SORTS[0]
    kind: str = ""
    size: str = ""
    quantisation: str = ""
    licence: str = ""

    def asks_like(self, other: Wish) -> bool:
        """Whether the Hub would be asked the same: the other filters choose among what it has answered."""
        return (self.words, self.sort, self.licence) == (other.words, other.sort, other.licence)

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters that are set, in words."""
        return tuple(filter(None, (self.kind, self.size, self.quantisation, self.licence)))

    @property
    def chooses(self) -> bool:
        """Whether a model has to be looked at to be let through."""
        return bool(self.kind or self.size or self.quantisation)

    def unfiltered(self) -> Wish:
        return replace(self, **_UNSET)

    def turned(self, field: str, licences: Iterable[str] = ()) -> Wish:
        """The next choice of a field; `licences` are those of what was found."""
        every = {
            "sort": SORTS,
            "kind": KINDS,
            "size": SIZES,
            "quantisation": QUANTISATIONS,
            "licence": tuple(dict.fromkeys((*LICENCES, *licences, self.licence))),
        }
        return replace(self, **{field: _next(every[field], getattr(self, field))})

    def query(self) -> Query:
        """The same as the core has it. Imports core.hub."""
        from core.catalog import ModelKind
        from core.hub.find import Query, Sort

        gigabytes = int(self.size.split()[1]) if self.size.startswith("≤") else None
        return Query(
            words=self.words,
            sort=Sort[self.sort.upper()],
            kind=ModelKind(self.kind) if self.kind else None,
            most_bytes=gigabytes * 10**9 if gigabytes else None,
            quantisation=self.quantisation,
            licence=self.licence,
        )

    def fits(self, remote: Remote, status: EngineStatus | None) -> bool:
        """Whether a model fits into this machine's memory, where that is wished."""
        return self.size != FITS or fit(remote.info, status) in _FIT


def _next(choices: Sequence[str], value: str) -> str:
    return choices[(choices.index(value) + 1) % len(choices)]
