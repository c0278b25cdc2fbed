"""Text that we did not write (model output, paths, exceptions), made safe for the terminal and for Textual's markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, split_text

from core.text_safety import clean

if TYPE_CHECKING:
    from textual.content import Content

__all__ = ["clean", "one_line", "plain", "shorten", "shorten_path"]


def one_line(text: str) -> str:
    """`text` cleaned, on one line, for tables and labels."""
    return " ".join(clean(text).split())


def plain(text: str, style: str = "") -> Content:
    """Content that shows `text` as it is: brackets are never read as markup."""
    from textual.content import Content  # the command line has no use for Textual

    return Content.styled(clean(text), style) if style else Content(clean(text))


def shorten(text: str, width: int) -> str:
    """`text` cut to `width` cells, an ellipsis in the middle so that both ends of a model's name stay readable."""
    text = one_line(text)
    cells = cell_len(text)
    if cells <= width:
        return text
    if width <= 1:
        return "…"[: max(width, 0)]
    head = width // 2
    tail = width - 1 - head
    first, _ = split_text(text, head)
    _, last = split_text(text, cells - tail)  # a wide character that is cut through becomes blanks
    return f"{first.rstrip()}…{last.lstrip()}"


def shorten_path(text: str, width: int) -> str:
    """A name with a folder or account before it, cut to `width` cells: what comes before the last slash goes first."""
    text = one_line(text)
    return text if cell_len(text) <= width else shorten(text.rsplit("/", 1)[-1], width)


def short_name(model_id: str) -> str:
    """A model's name without the account that published it."""
    return model_id.rsplit("/", 1)[-1]
