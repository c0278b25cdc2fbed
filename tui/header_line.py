"""The first line: which models stand for the tiers, memory, and the API's state."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.figures import size, size_in_words
from tui.foreign import short_name, shorten
from tui.lamp import LOADED, LOADING, NOT_LOADED, lamp, lamp_style
from tui.state import ApiPhase, Phase, WorkbenchState

SPELLED_FROM = 120
"""Cells from which on memory is told in words."""


def header_content(state: WorkbenchState, width: int) -> Content:
    """The line for a screen of `width` cells; model names give way first."""
    dim = "$dim"
    brand = Content.assemble((" assay ", "bold $primary"))
    if state.phase is not Phase.READY:
        says = {
            Phase.STARTING: "starting engine…",
            Phase.FAILED: "the engine did not start",
            Phase.CLOSING: "closing…",
        }[state.phase]
        style = "$error" if state.phase is Phase.FAILED else "$warning"
        return Content.assemble(brand, "  ", (says, style))

    status = state.status
    memory = ""
    if status:
        used, budget = status.active_memory, status.memory_budget
        memory = f"mem {size(used)}/{size(budget)}"
        if width >= SPELLED_FROM:
            memory = f"memory {size_in_words(used)} of {size_in_words(budget)}"
    api_style = {ApiPhase.OFF: dim, ApiPhase.ON: "$success"}.get(state.api, "$warning")
    api_text = {
        ApiPhase.OFF: f"{NOT_LOADED} off",
        ApiPhase.STARTING: f"{LOADING} starting",
        ApiPhase.STOPPING: f"{LOADING} stopping",
        ApiPhase.ON: f"{LOADED} {state.api_url.removeprefix('http://')}",
    }[state.api]
    right = Content.assemble(
        ("!engine stopped  ", "bold $error") if status and not status.alive else "",
        (memory, dim),
        "  ",
        ("API ", dim),
        (api_text, api_style),
        ("  ^t ", "$primary"),
    )
    tiers = [("quick", state.quick, "$quick"), ("full", state.full, "$full")]
    fixed = brand.cell_length + right.cell_length + sum(len(tier) + 5 for tier, _, _ in tiers) + 1
    room = max(4, (width - fixed) // 2)
    names = [short_name(model) if model else "none" for _, model, _ in tiers]
    rooms = [room, room]
    for index in (0, 1):  # what one name leaves free, the other may use
        rooms[1 - index] += max(0, rooms[index] - len(names[index]))
        rooms[index] = min(rooms[index], len(names[index]))
    left = [brand]
    for (tier, model, style), name, cells in zip(tiers, names, rooms, strict=True):
        glyph = lamp(state, model)
        left.append(
            Content.assemble(
                "  ", (tier, style), " ", (glyph, lamp_style(glyph)), " ", (shorten(name, cells), "" if model else dim)
            )
        )
    joined = Content("").join(left)
    gap = max(1, width - joined.cell_length - right.cell_length)
    return Content.assemble(joined, " " * gap, right)


class HeaderLine(Widget):
    """One line, redrawn when the workbench's state changes."""

    DEFAULT_CSS = "HeaderLine { dock: top; height: 1; background: $panel; }"
    ALLOW_SELECT = False

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    def render(self) -> RenderResult:
        return header_content(self.state, self.size.width)
