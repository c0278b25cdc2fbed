"""Moving between the panes: a row of tabs on a narrow screen, a rail with the loaded models on a wider one."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from core.status import ModelState
from tui.figures import size
from tui.foreign import plain, short_name, shorten
from tui.state import ApiPhase, Phase, WorkbenchState
from tui.waiting import coming
from tui.widgets.redraw import redraw

FACES = ("models", "chat", "golden", "wire")
_LABELS = {"models": "Models", "chat": "Chat", "golden": "Golden", "wire": "Wire"}
SHARES = {
    "models": {"models": 6, "chat": 4, "golden": 3},
    "chat": {"models": 3, "chat": 5, "golden": 4},
    "golden": {"models": 2, "chat": 4, "golden": 6},
}
"""By the chosen face, what of the width each of those side by side gets: the chosen one gets what it can use."""
RAIL_CELLS = 17
"""What a line of the rail has."""


class FaceTab(Static):
    """One entry; a click chooses it."""

    ALLOW_SELECT = False

    def __init__(self, face: str) -> None:
        key = f"F{FACES.index(face) + 2}"
        super().__init__(Content.assemble((key, "$primary"), " ", _LABELS[face]), id=f"tab-{face}")
        self.face = face

    def on_click(self) -> None:
        self.post_message(Faces.Chosen(self.face))


class PaneFrame(Static):
    """Stands where a pane will be, until that has been read."""

    def __init__(self, face: str) -> None:
        super().__init__(id=f"{face}-frame", classes="pane")
        self.border_title = _LABELS[face]


class Faces(Container):
    """The tabs or the rail. Which of the two is the stylesheet's business."""

    class Chosen(Message):
        def __init__(self, face: str) -> None:
            super().__init__()
            self.face = face

    active: reactive[str] = reactive("chat")
    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    def compose(self) -> ComposeResult:
        for face in FACES:
            yield FaceTab(face)
        yield Static(id="rail-models")

    def watch_active(self, active: str) -> None:
        for tab in self.query(FaceTab):
            tab.set_class(tab.face == active, "-active")

    def watch_state(self, state: WorkbenchState) -> None:
        if not self.is_mounted:
            return
        lines: list[Content] = []
        if state.phase is Phase.READY:
            lines.append(Content.styled("in memory", "$dim"))
            models = state.status.models if state.status else ()
            for model in models:
                ready = model.state is ModelState.READY
                style = "$success" if ready else "$warning"
                name = shorten(short_name(model.id), RAIL_CELLS - 2)
                lines.append(Content.assemble(("● " if ready else "◐ ", style), plain(name)))
                notes = (
                    "/".join(state.roles(model.id)),
                    size(model.memory_bytes) if ready else coming(state.status, model.id) or model.state.value,
                    "pinned" if model.pinned else "",
                )
                lines += [Content.styled(f"  {note}", "$dim") for note in _lines(notes, RAIL_CELLS - 2)]
            if not models:
                lines.append(Content.styled("nothing yet", "$dim"))
            if state.api is ApiPhase.ON:
                lines += [Content(""), Content.styled("API on", "$success")]
        redraw(self.query_one("#rail-models", Static), Content("\n").join(lines))


def _lines(notes: Iterable[str], cells: int) -> list[str]:
    """Those that say something, as many on a line as it has room for: none is broken over two."""
    lines: list[str] = []
    for note in filter(None, notes):
        joined = f"{lines[-1]} · {note}" if lines else note
        if lines and cell_len(joined) <= cells:
            lines[-1] = joined
        else:
            lines.append(note)
    return lines
