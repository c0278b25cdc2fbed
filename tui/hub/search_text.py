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
LONGEST, SHORT = 24, 10
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


def filters(wish: Wish, width: int) -> Content:
    """The filters and the order, each behind its key; in fewer words, the order first, where there is no room."""
    order = Content.assemble(("s ", "$primary"), plain(f"by {wish.sort}", "$dim"))
    long = _filters(wish, ("any kind", "any size", "any quantisation", "any licence"), LONGEST)
    short = _filters(wish, ("kind", "size", "quant", "licence"), SHORT)
    for told in ([*long, order], [*short, order]):
        if (line := Content("  ").join(told)).cell_length <= width:
            return line
    return Content(" ").join([order, *short])


def _filters(wish: Wish, none: tuple[str, ...], longest: int) -> list[Content]:
    """Each filter's key, and its value or what it is called while it lets everything through."""
    values = (wish.kind, wish.size, wish.quantisation, wish.licence)
    return [
        Content.assemble((f"{key} ", "$primary"), plain(one_line(value or word)[:longest], "bold" if value else "$dim"))
        for key, word, value in zip("tzbl", none, values, strict=True)
    ]
