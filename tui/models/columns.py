"""The columns of the list of models, and what stands in them."""

from __future__ import annotations

from textual.content import Content

from core.catalog import ModelInfo
from tui.figures import number, size
from tui.foreign import plain, shorten_path
from tui.lamp import LOADED, NOT_LOADED, lamp
from tui.models.detail import abilities, kind_name
from tui.models.fit import FIT_CELLS, FIT_STYLE, fit, predicted
from tui.state import WorkbenchState
from tui.widgets.row_table import Column

ROOMY = 95
"""From this width on columns are called what they are."""
COLUMNS = (
    Column("lamp", "", 1),
    Column("name", "model"),
    Column("tier", "tier", 5, 50),
    Column("kind", "kind", 6, 58, roomy=Column("kind", "kind", 10, ROOMY)),
    Column("quant", "quant", 8, 68, roomy=Column("quant", "quantised", 9, ROOMY)),
    Column("parameters", "params", 6, 75, right=True, roomy=Column("parameters", "parameters", 10, ROOMY, right=True)),
    Column("context", "ctx", 5, 83, right=True, roomy=Column("context", "context", 7, ROOMY, right=True)),
    Column("family", "family", 12, 118),
    Column("takes", "takes", 23, 156),
    Column("size", "disk", 5, right=True, roomy=Column("size", "on disk", 7, ROOMY, right=True)),
    Column("memory", "memory", 6, 104, right=True, roomy=Column("memory", "takes memory", 12, 130, right=True)),
    Column("fit", "fit", FIT_CELLS, 40, roomy=Column("fit", "fit", 35, 190)),
)
PINNED = " ◆"


def model_cell(info: ModelInfo, column: Column, cells: int, state: WorkbenchState, marks: str = "") -> Content:
    """What a column says of a model, for a cell of so many cells; `marks` stand behind its name."""
    dim = "$dim"
    match column.key:
        case "lamp":
            if info.problem:
                return Content.styled("!", "$warning" if info.unfinished else "$error")
            glyph = lamp(state, info.id)
            return Content.styled(glyph, {LOADED: "$success", NOT_LOADED: dim}.get(glyph, "$warning"))
        case "name":
            loaded = state.loaded(info.id)
            pinned = PINNED if loaded is not None and loaded.pinned else ""
            name = shorten_path(info.id, cells - len(marks) - len(pinned))
            return Content.assemble(
                plain(name, dim if info.problem else ""), (marks, "$secondary"), (pinned, "$primary")
            )
        case "tier":
            roles = state.roles(info.id)
            if len(roles) == 2:
                return Content("both")
            return Content.styled(roles[0], f"${roles[0]}") if roles else Content("")
        case "kind":
            kind = kind_name(info)
            return plain(kind[:5] if len(kind) > cells else kind, dim)
        case "parameters":
            return Content(number(info.parameters) if info.parameters else "")
        case "quant":
            return plain(info.quantisation or ("none" if info.parameters else ""), dim)
        case "context":
            return Content.styled(number(info.context_length) if info.context_length else "", dim)
        case "family":
            return plain(info.family, dim)
        case "takes":
            return plain(abilities(info), dim)
        case "size":
            return Content(size(info.size_bytes))
        case "memory":
            need, _ = predicted(info, state.status)
            return Content.styled(size(need) if need else "", dim)
        case _:
            found = fit(info, state.status)
            words = found.in_words if cells > FIT_CELLS else found.value
            return Content.styled(words, FIT_STYLE[found])
