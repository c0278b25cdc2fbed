"""All that is known of one model before it is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual import work
from textual.content import Content
from textual.widgets import Static

from core.catalog import ModelInfo, ModelKind
from core.status import EngineStatus, LoadedModel, ModelState
from tui.background import off_loop
from tui.figures import number, size_in_words
from tui.foreign import plain
from tui.models.figure_reader import FigureReader
from tui.models.fit import CHAT_TOKENS, Fit, fit, predicted
from tui.models.on_disk import OnDisk, disk_fields
from tui.services import Services
from tui.waiting import coming, progress
from tui.widgets.redraw import redraw

LABEL_CELLS = 9
LOOK_S = 0.5
"""How often it is looked whether there are new figures."""
REST_S = 0.1
"""How long the cursor stays on a model before its figures are read: lists are passed through quicker."""


def abilities(info: ModelInfo) -> str:
    """What a model takes beside text, and does beside answering."""
    named = [name for name, has in (("images", info.images), ("tools", info.tools), ("thinking", info.thinking)) if has]
    return ", ".join(named)


def kind_name(info: ModelInfo) -> str:
    """The kind of a model, "" where its files do not tell."""
    return "" if info.kind is ModelKind.UNKNOWN else str(info.kind)


def detail_content(
    info: ModelInfo,
    status: EngineStatus | None,
    loaded: LoadedModel | None,
    width: int,
    on_disk: OnDisk | None = None,
    figures: Iterable[tuple[str, str]] = (),
) -> Content:
    """The lines of the panel in `width` cells, figures with their labels among them; what is not known is left out."""
    state = ""
    if loaded is not None:
        on_its_way = coming(status, info.id)
        parts = [
            on_its_way or loaded.state.value,
            progress(loaded) if on_its_way == ModelState.LOADING else "",
            size_in_words(loaded.memory_bytes) if loaded.memory_bytes else "",
            loaded.precision,
        ]
        parts += [f"loaded in {loaded.load_s:.1f} s" if loaded.load_s else "", "pinned" if loaded.pinned else ""]
        parts += [f"{loaded.running} running, {loaded.waiting} waiting" if loaded.running or loaded.waiting else ""]
        state = " · ".join(part for part in parts if part)
    count = f"{number(info.parameters)} parameters" if info.parameters else ""
    packed = info.quantisation or ("not quantised" if count else "")
    weights = (count, packed, size_in_words(info.size_bytes))
    fields = [
        ("kind", " · ".join(part for part in (kind_name(info), info.family) if part)),
        ("weights", " · ".join(part for part in weights if part)),
        ("context", f"{info.context_length:,} tokens" if info.context_length else ""),
        ("takes", abilities(info)),
        ("memory", memory_words(info, status)),
        ("now", state),
        *figures,
        *(disk_fields(info, on_disk) if on_disk is not None else [("revision", (info.revision or "")[:12])]),
        ("from", {"pocket": "built in", "cache": "Hugging Face cache"}.get(info.source, str(info.path))),
    ]
    lines = [plain(info.id, "bold")]
    if info.problem:
        lines.append(plain(info.problem, "$warning" if info.unfinished else "$error"))
    if info.summary:
        lines.append(plain(info.summary, "$foreground 80%"))
    return Content("\n").join([*lines, *laid_out(fields, width)])


def memory_words(info: ModelInfo, status: EngineStatus | None) -> str:
    """What a model takes of the memory, and whether it fits; "" where nothing tells."""
    if not info.memory:
        return ""
    verdict = "" if (found := fit(info, status)) is Fit.UNKNOWN else found.in_words
    need, float32 = predicted(info, status)
    memory = f"{size_in_words(need)} at {CHAT_TOKENS:,} tokens{' in float32' if float32 else ''}"
    return f"{memory} · {verdict}" if verdict and not info.problem else memory


def laid_out(fields: Iterable[tuple[str, str]], width: int) -> list[Content]:
    """Lines of `width` cells, each value behind its label; a field without a value is left out."""
    lines = []
    for label, value in fields:
        told = plain(value)
        room = max(width - LABEL_CELLS, LABEL_CELLS)
        for at, line in enumerate(told.wrap(room) if told.cell_length > room else [told] if value else []):
            start = ("" if at else label).ljust(LABEL_CELLS)
            lines.append(Content.assemble((start, "$dim"), line))
    return lines


class ModelDetail(Static):
    """The panel under the list."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._shown: tuple[ModelInfo | None, EngineStatus | None, LoadedModel | None, OnDisk | None] = (None,) * 4
        self._figures: FigureReader | None = None

    def attach(self, services: Services) -> None:
        """Show figures as well, from now on."""
        self._figures = FigureReader(services)

    def show(
        self,
        info: ModelInfo | None,
        status: EngineStatus | None,
        loaded: LoadedModel | None,
        on_disk: OnDisk | None = None,
    ) -> None:
        """Show one model, or the hint that belongs to an empty list."""
        before, self._shown = self._shown, (info, status, loaded, on_disk)
        if info is None or self._shown != before:
            self._redraw()
        if info is not None and (before[0] is None or before[0].id != info.id):
            self._look(again=True)

    def _redraw(self) -> None:
        """Paint what is shown anew: it, its figures or the width has changed."""
        info, status, loaded, on_disk = self._shown
        if info is None:
            redraw(self, Content.styled("Choose a model to see what it is.", "$dim"))
        else:
            figures = self._figures.lines(info.id) if self._figures else ()
            redraw(self, detail_content(info, status, loaded, self.content_size.width, on_disk, figures))

    def on_mount(self) -> None:
        self.set_interval(LOOK_S, self._look)

    def _look(self, again: bool = False) -> None:
        """Have the figures of the shown model read where some may be new: they are written after an answer."""
        info, status, *_ = self._shown
        figures = self._figures
        if figures is None or info is None or status is None or not status.machine:
            return
        if again or figures.is_stale(info.id):
            figures.ask(info.id)
            self._read_figures(figures, info, status)

    @work(exclusive=True, group="figures")
    async def _read_figures(self, figures: FigureReader, info: ModelInfo, status: EngineStatus) -> None:
        """Read what is known of a model on which the cursor rests."""
        await asyncio.sleep(REST_S)
        await off_loop(lambda: figures.read(info, status), "figures")
        if self._shown[0] is not None and self._shown[0].id == info.id:
            self._redraw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._redraw)
