"""The four panes and their stylesheets. Importing this is what takes long at the start: the app does it on a worker."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from core.golden.suite import BUILTIN
from tui.chat.pane import ChatPane
from tui.faces import FACES
from tui.golden.pane import GoldenPane
from tui.models.pane import ModelsPane
from tui.wire.pane import WirePane

STYLESHEETS = tuple(Path(__file__).parent / folder / f"{folder}.tcss" for folder in (*FACES, "hub"))

Pane = ModelsPane | ChatPane | GoldenPane | WirePane


@dataclass(frozen=True)
class Panes:
    """One of each, under the names of the faces."""

    models: ModelsPane
    chat: ChatPane
    golden: GoldenPane
    wire: WirePane

    def by_name(self) -> dict[str, Pane]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def make_panes(suite: Path | None) -> Panes:
    """All of them, not yet mounted; `suite` is the golden suite's folder, None the built-in one."""
    return Panes(ModelsPane("models"), ChatPane("chat"), GoldenPane("golden", suite or BUILTIN), WirePane("wire"))
