"""The first line: which models stand for the tiers, memory, and the API's state."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.figures import counted, size, size_in_words
from tui.foreign import one_line, short_name, shorten
from tui.lamp import LOADED, LOADING, NOT_LOADED, lamp, lamp_style
from tui.state import ApiPhase, Phase, WorkbenchState

SPELLED_FROM = 120
"""Cells from which on memory is told in words."""
OWN_BYTES = 1_000_000
"""What MLX may take for itself when nothing is loaded: bytes to kilobytes, which nobody has asked for."""
TEXT_FROM = 100
"""Cells of a screen from which on the models are named that answer where there are no images."""


def roles(state: WorkbenchState) -> list[tuple[str, str | None, str]]:
    """Which models answer, each with its role's name and colour: one for both tiers is named once, and so is the one
    that answers both where there are no images."""
    tiers = [("quick", "$quick"), ("full", "$full")]
    if state.quick is not None and state.quick == state.full:
        shown: list[tuple[str, str | None, str]] = [("quick = full", state.quick, "$secondary")]
    else:
        shown = [(tier, state.answers(tier, images=True), colour) for tier, colour in tiers]
    text = {tier: state.answers(tier, images=False) for tier, _ in tiers}
    other = [(tier, text[tier], colour) for tier, colour in tiers if text[tier] != state.answers(tier, images=True)]
    if len(other) == 2 and text["quick"] == text["full"]:
        return [*shown, ("text", text["quick"], "$secondary")]
    return [*shown, *((f"{tier} text", model, colour) for tier, model, colour in other)]


def header_content(state: WorkbenchState, width: int) -> Content:
    """The line for a screen of `width` cells; model names give way first."""
    dim = "$dim"
    brand = Content.assemble((" assay ", "bold $primary"))
    if state.phase is not Phase.READY:
        says = {
            Phase.STARTING: "starting engine…",
            Phase.FAILED: "the engine did not start: ^] tries again",
            Phase.CLOSING: "closing…",
        }[state.phase]
        style = "$error" if state.phase is Phase.FAILED else "$warning"
        return Content.assemble(brand, "  ", (says, style))

    status = state.status
    memory = ""
    if status:
        nothing = not status.models and status.active_memory < OWN_BYTES
        used, budget = 0 if nothing else status.active_memory, status.memory_budget
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
        (_downloads(state, width), "$secondary"),
        Content.assemble(("!engine stopped ", "bold $error"), ("^]  ", "$primary")) if state.down else "",
        (memory, dim),
        "  ",
        ("API ", dim),
        (api_text, api_style),
        ("  ^t ", "$primary"),
    )
    tiers = roles(state)
    if width < TEXT_FROM:  # the chat's own line names who answers
        tiers = roles(replace(state, text=()))
    names = [one_line(short_name(model)) if model else "none" for _, model, _ in tiers]
    cells_of = [cell_len(name) for name in names]
    fixed = brand.cell_length + right.cell_length + sum(len(label) + 5 for label, _, _ in tiers) + 1
    left_over = max(4 * len(names), width - fixed)
    rooms = [0] * len(names)
    for index in sorted(range(len(names)), key=cells_of.__getitem__):  # what short names leave, others use
        rooms[index] = min(cells_of[index], left_over // rooms.count(0))
        left_over -= rooms[index]
    left = [brand]
    for (tier, model, style), name, cells in zip(tiers, names, rooms, strict=True):
        glyph = lamp(state, model)
        left.append(
            Content.assemble(
                "  ", (tier, style), " ", (glyph, lamp_style(glyph)), " ", (shorten(name, cells), "" if model else dim)
            )
        )
    joined = Content("").join(left).truncate(max(0, width - 1 - right.cell_length))  # the API's end is never cut off
    gap = max(1, width - joined.cell_length - right.cell_length)
    return Content.assemble(joined, " " * gap, right)


def _downloads(state: WorkbenchState, width: int) -> str:
    """The downloads that go on, and two blanks."""
    now = state.downloads
    if now is None:
        return ""
    percent = "" if now.percent is None else f" {now.percent} %"
    return f"{counted(now.count) if width >= SPELLED_FROM else f'↓{now.count}'}{percent}  "


class HeaderLine(Widget):
    """One line, redrawn when the workbench's state changes."""

    DEFAULT_CSS = "HeaderLine { dock: top; height: 1; background: $panel; }"
    ALLOW_SELECT = False

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    def render(self) -> RenderResult:
        return header_content(self.state, self.size.width)
