"""A line to type a filter into: what is typed never lays the screen out anew, as Textual's own Input does."""

from __future__ import annotations

from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Input


class FilterBox(Input):
    """Its width must not depend on its text."""

    virtual_size = Reactive(Size(0, 0), layout=False)
