"""What is said of a search: how much it has found, through which filters, and why there is nothing."""

from __future__ import annotations

from textual.content import Content

from core.status import EngineStatus
from tui.foreign import one_line, plain
from tui.hub.search import Search
from tui.hub.wish import Wish

NOT_ASKED = (
    "The Hub has not been asked yet. / searches the models there that MLX can run; with no words it lists those that "
    "are downloaded most."
)
LONGEST = 24
"""Cells of a filter's value."""


def counted(search: Search, status: EngineStatus | None) -> str:
    """How many models there are, and whether there may be more."""
    found, more = len(search.found), "" if search.complete else "+"
    if not found:
        return "" if search.complete else "asking…"
    if search.wish.chooses:
        return f"{len(search.shown(status)):,} of {search.looked_at:,} looked at"
    return f"{found:,}{more} model{'' if found == 1 else 's'}"


def in_place_of_rows(search: Search) -> str:
    """The sentence for a list without rows."""
    words = f"“{one_line(search.wish.words)}”" if search.wish.words else "the models that are downloaded most"
    if search.failure is not None:
        return one_line(search.failure.message)
    if not search.complete and not search.found:
        return f"Asking the Hub for {words}…"
    if search.wish.filters:
        chosen = ", ".join(search.wish.filters)
        if search.rests:
            return f"None of the {search.looked_at:,} that were looked at is {chosen}. ↓ looks at more of them."
        if search.looking or (not search.complete and search.trouble is None):
            return f"Looking for one that is {chosen}…"
        return f"Nothing that was looked at is {chosen}. Escape takes the filters off."
    return f"The Hub has no MLX model like {words}. Fewer words find more."


def filters(wish: Wish) -> Content:
    """The filters and the order, each behind its key."""
    parts = []
    for key, none, value in (
        ("t", "any kind", wish.kind),
        ("z", "any size", wish.size),
        ("b", "any quantisation", wish.quantisation),
        ("l", "any licence", wish.licence),
        ("s", "", f"by {wish.sort}"),
    ):
        style = "bold" if value and none else "$dim"
        parts.append(Content.assemble((f"{key} ", "$primary"), plain(one_line(value or none)[:LONGEST], style)))
    return Content("  ").join(parts)
