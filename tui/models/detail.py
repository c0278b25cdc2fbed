"""All that is known of one model before it is loaded."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widgets import Static

from core.catalog import ModelInfo
from core.status import EngineStatus, LoadedModel, ModelState
from tui.figures import number, size_in_words, when
from tui.foreign import plain
from tui.models.fit import CHAT_TOKENS, Fit, fit, predicted
from tui.models.on_disk import OnDisk
from tui.waiting import coming, progress
from tui.widgets.redraw import redraw

LABEL_CELLS = 9
MOST_TWICE = 3
"""Files that other models have as well, named in the panel."""


def abilities(info: ModelInfo) -> str:
    """What a model takes beside text, and does beside answering."""
    named = [name for name, has in (("images", info.images), ("tools", info.tools), ("thinking", info.thinking)) if has]
    return ", ".join(named)


def on_disk_fields(info: ModelInfo, on_disk: OnDisk) -> list[tuple[str, str]]:
    """What the disk knows of a model, under labels: a field that repeats its label has none."""
    stored, used, twice = on_disk.stored.get(info.id), on_disk.used.get(info.id), on_disk.twice.get(info.id, ())
    fields = [("used", f"{when(used, time.time())}, in a chat" if used else "")]
    if coming := on_disk.coming.get(info.id):
        there = f"{size_in_words(coming[0])} of {size_in_words(coming[1])}" if coming[1] else "nothing yet"
        fields.append(("download", f"{there}; it has not ended"))
    elif stored is not None and stored.unfinished:
        fields.append(("download", f"{size_in_words(stored.unfinished)} that no revision shows"))
    if stored is not None and len(stored.revisions) > 1:
        for one in stored.revisions:
            refs = f" ({', '.join(one.refs)})" if one.refs else ""
            told = f"{one.commit[:12]}{refs} · {size_in_words(one.size_bytes)}, {size_in_words(one.frees)} only there"
            fields.append(("revision", told))
    elif stored is not None:
        fields.append(("revision", (info.revision or "")[:12]))
    for one_file in twice[:MOST_TWICE]:
        others = ", ".join(other for other in one_file.models if other != info.id)
        fields.append(("twice", f"{one_file.name}, {size_in_words(one_file.size_bytes)}, is the same in {others}"))
    if len(twice) > MOST_TWICE:
        fields.append(("twice", f"and {len(twice) - MOST_TWICE} more files"))
    return fields


def detail_content(
    info: ModelInfo, status: EngineStatus | None, loaded: LoadedModel | None, width: int, on_disk: OnDisk | None = None
) -> Content:
    """The lines of the panel in `width` cells; a field that is not known is left out."""
    memory = ""
    if info.memory:
        verdict = "" if (found := fit(info, status)) is Fit.UNKNOWN else found.in_words
        need, float32 = predicted(info, status)
        memory = f"{size_in_words(need)} at {CHAT_TOKENS:,} tokens{' in float32' if float32 else ''}"
        memory += f" · {verdict}" if verdict and not info.problem else ""
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
    weights = (count, info.quantisation or "not quantised", size_in_words(info.size_bytes))
    fields = [
        ("kind", " · ".join(part for part in (str(info.kind), info.family) if part)),
        ("weights", " · ".join(part for part in weights if part)),
        ("context", f"{info.context_length:,} tokens" if info.context_length else ""),
        ("takes", abilities(info)),
        ("memory", memory),
        ("now", state),
        *(on_disk_fields(info, on_disk) if on_disk is not None else [("revision", (info.revision or "")[:12])]),
        ("from", {"pocket": "built in", "cache": "Hugging Face cache"}.get(info.source, str(info.path))),
    ]
    lines = [plain(info.id, "bold")]
    if info.problem:
        lines.append(plain(info.problem, "$error"))
    if info.summary:
        lines.append(plain(info.summary, "$foreground 80%"))
    before = ""
    for label, value in fields:
        told, known = plain(value), label == before
        before = label
        room = max(width - LABEL_CELLS, LABEL_CELLS)
        for at, line in enumerate(told.wrap(room) if told.cell_length > room else [told] if value else []):
            start = ("" if at or known else label).ljust(LABEL_CELLS)
            lines.append(Content.assemble((start, "$dim"), line))
    return Content("\n").join(lines)


class ModelDetail(Static):
    """The panel under the list."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._shown: tuple[ModelInfo | None, EngineStatus | None, LoadedModel | None, OnDisk | None] = (None,) * 4

    def show(
        self,
        info: ModelInfo | None,
        status: EngineStatus | None,
        loaded: LoadedModel | None,
        on_disk: OnDisk | None = None,
    ) -> None:
        """Show one model, or the hint that belongs to an empty list."""
        self._shown = (info, status, loaded, on_disk)
        if info is None:
            redraw(self, Content.styled("Choose a model to see what it is.", "$dim"))
        else:
            redraw(self, detail_content(info, status, loaded, self.content_size.width, on_disk))

    def on_resize(self) -> None:
        self.call_after_refresh(lambda: self.show(*self._shown))
