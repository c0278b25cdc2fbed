"""Changing a text on the screen without laying the whole screen out again."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


def redraw(static: Static, content: Content) -> None:
    """Show `content`; lay out only if it takes another number of lines.

    Laying out costs in proportion to everything that is mounted, a long chat above all; drawing a few lines does not.
    The widget's width must not depend on its text.
    """
    shown = static.content
    if isinstance(shown, Content) and shown.is_same(content):
        return
    width, height = static.content_size
    same_height = width > 0 and content.get_height({}, width) == height
    static.update(content, layout=not same_height)
