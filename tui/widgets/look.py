"""How text becomes a line of the screen: each piece in the style that its name means at present."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.style import Style


class Look:
    """How text is coloured at present: over which ground, and what the names of the theme's colours mean."""

    def __init__(self, base: Style, resolve: Callable[[str | Style], Style]) -> None:
        self.base = base
        self._resolve = resolve
        self._known: dict[str, Style] = {}
        self._marks: dict[tuple[str, str], Strip] = {}

    def style(self, style: str | Style) -> Style:
        """A style by its name, such as "bold $primary". One that means nothing is no style."""
        if isinstance(style, Style):
            return style
        if style not in self._known:
            self._known[style] = self._resolve(style)
        return self._known[style]

    def strip(self, content: Content, style: str = "") -> Strip:
        """One line of content, over `style`."""
        base = self.base + self.style(style) if style else self.base
        segments = content.render(base, end="", parse_style=self.style)
        return Strip([Segment(text, style.rich_style) for text, style in segments], content.cell_length)

    def mark(self, text: str, style: str = "") -> Strip:
        """A few characters that stand on many lines; they are rendered once."""
        if (text, style) not in self._marks:
            self._marks[text, style] = self.strip(Content(text), style)
        return self._marks[text, style]

    def blank(self, width: int, style: str = "") -> Strip:
        """`width` empty cells."""
        return self.mark(" " * width, style)
