"""What is told of a model on the Hub: in the cells of its row, and in the panel under the list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.content import Content

from core.status import EngineStatus
from tui.figures import number, size, size_in_words
from tui.foreign import one_line, plain, shorten_path
from tui.hub.marks import CODE, GATED, HERE, OLDER, PART
from tui.models.detail import abilities, kind_name, laid_out, memory_words
from tui.models.fit import CHAT_TOKENS, FIT_STYLE, Fit, fit, predicted
from tui.widgets.row_table import Column

if TYPE_CHECKING:
    from core.hub.look import Remote
    from core.hub.repository import Facts

ROOMY = 124
"""From this width on columns are called what they are."""
COLUMNS = (
    Column("mark", "", 1),
    Column("name", "model"),
    Column("kind", "kind", 6, 44, roomy=Column("kind", "kind", 10, ROOMY)),
    Column("parameters", "params", 6, 62, right=True, roomy=Column("parameters", "parameters", 10, 160, right=True)),
    Column("quant", "quant", 9, 72, roomy=Column("quant", "quantised", 10, ROOMY)),
    Column("context", "ctx", 5, 110, right=True, roomy=Column("context", "context", 7, ROOMY, right=True)),
    Column("size", "size", 5, right=True, roomy=Column("size", "download", 8, ROOMY, right=True)),
    Column("memory", "memory", 6, 96, right=True, roomy=Column("memory", "takes memory", 12, 160, right=True)),
    Column("fit", "fit", 6, 36),
    Column("downloads", "↓", 5, 84, right=True, roomy=Column("downloads", "downloads", 9, ROOMY, right=True)),
    Column("likes", "likes", 5, 118, right=True),
    Column("here", "here", 5, 136),
    Column("needs", "needs", 10, 150),
)
_HERE = {"yes": (HERE, "$success"), "older": (OLDER, "$warning"), "part": (PART, "$warning")}
_WAITS = "·"


def fits(remote: Remote, status: EngineStatus | None) -> Fit:
    """Whether a model fits; not known of one that may not be looked at yet."""
    hidden = remote.facts.gated and remote.info.kind == "unknown"
    return Fit.UNKNOWN if hidden else fit(remote.info, status)


def needs(remote: Remote | None, facts: Facts) -> str:
    """What has to be done before its download, or before it runs."""
    code = remote is not None and remote.info.needs_code
    return " ".join(word for word, has in (("gated", facts.gated), ("code", code)) if has)


def doubt(facts: Facts, remote: Remote | None, status: EngineStatus | None) -> str:
    """What is asked before a download of what is of no use here; "" where there is nothing to ask."""
    if remote is None:
        return ""
    info = remote.info
    if info.memory and status and fits(remote, status) is Fit.NO:
        need, budget = size_in_words(info.memory.total(CHAT_TOKENS)), size_in_words(status.memory_budget)
        return f"{facts.id} does not fit: it takes {need}, and models may take {budget} here. Download it?"
    if info.problem and (info.family or info.foreign):
        return f"{facts.id} cannot be loaded here: {one_line(info.problem)} Download it?"
    return ""


def mark(remote: Remote | None, facts: Facts, problem: str) -> Content:
    """One cell before the name."""
    if remote is not None and remote.on_disk.value in _HERE:
        return Content.styled(*_HERE[remote.on_disk.value])
    if problem or (remote is not None and remote.info.problem and not facts.gated):
        return Content.styled("!", "$error")
    if facts.gated:
        return Content.styled(GATED, "$warning")
    return Content.styled(CODE, "$warning") if remote is not None and remote.info.needs_code else Content("")


def cell(
    facts: Facts, remote: Remote | None, problem: str, status: EngineStatus | None, column: Column, cells: int
) -> Content:
    """A cell of a model's row; what is not known yet is a dot."""
    match column.key:
        case "mark":
            return mark(remote, facts, problem)
        case "name":
            bad = problem or (remote is not None and remote.info.problem)
            return plain(shorten_path(facts.id, cells), "$dim" if bad else "")
        case "downloads":
            return Content(number(facts.downloads))
        case "likes":
            return Content.styled(number(facts.likes), "$dim")
        case "needs":
            return Content.styled(needs(remote, facts), "$warning")
    if remote is None:
        return Content("") if problem else Content.styled(_WAITS, "$dim")
    info = remote.info
    match column.key:
        case "kind":
            kind = kind_name(info) or "?"
            return plain(kind[:5] if len(kind) > cells else kind, "$dim")
        case "quant":
            return plain(info.quantisation or "", "$dim")
        case "parameters":
            return Content(number(info.parameters) if info.parameters else "")
        case "context":
            return Content.styled(number(info.context_length) if info.context_length else "", "$dim")
        case "size":
            return Content(size(info.size_bytes) if info.size_bytes else "")
        case "memory":
            need, _ = predicted(info, status)
            return Content.styled(size(need) if need else "", "$dim")
        case "here":
            state = remote.on_disk.value
            return Content.styled(state, _HERE[state][1]) if state in _HERE else Content.styled(state, "$dim")
        case _:
            found = fits(remote, status)
            return Content.styled(found.value, FIT_STYLE[found])


def detail_content(
    facts: Facts,
    remote: Remote | None,
    problem: str,
    status: EngineStatus | None,
    width: int,
    hub: str,
    figures: Iterable[tuple[str, str]] = (),
) -> Content:
    """The lines of the panel in `width` cells, figures with their labels among them; `hub` is the Hub's address."""
    lines = [plain(facts.id, "bold")]
    told = one_line(problem or (remote.info.problem if remote is not None and remote.info.problem else ""))
    if told:
        lines.append(plain(told, "$error"))
    elif facts.gated and remote is None:
        page = f"{hub}/{facts.id}"
        lines.append(plain(f"Gated: accept its licence at {page}, then log in with `hf auth login`.", "$warning"))
    if remote is not None and remote.info.needs_code:
        lines.append(
            plain("It needs code of its own, which is run only where the setting allow_code names it.", "$warning")
        )
    fields = (
        _fields(remote, status) if remote is not None else [] if problem else [("", "its files are being looked at…")]
    )
    fields += figures
    changed = f"changed {facts.modified:%Y-%m-%d}" if facts.modified else ""
    popular = f"{number(facts.downloads)} downloads · {number(facts.likes)} likes"
    fields += [
        ("Hub", " · ".join(filter(None, (popular, changed, facts.licence, "private" if facts.private else "")))),
        ("revision", facts.commit[:12]),
    ]
    return Content("\n").join([*lines, *laid_out(fields, width)])


def _fields(remote: Remote, status: EngineStatus | None) -> list[tuple[str, str]]:
    info = remote.info
    kind = kind_name(info) or remote.facts.purpose
    weights = (
        f"{number(info.parameters)} parameters" if info.parameters else "",
        info.quantisation or "",
        f"{size_in_words(info.size_bytes)} to download" if info.size_bytes else "",
    )
    here = {"yes": "on this disk", "older": "another revision: d fetches this one", "part": "a part of it: d goes on"}
    return [
        ("kind", " · ".join(filter(None, (kind, info.family)))),
        ("weights", " · ".join(filter(None, weights))),
        ("memory", memory_words(info, status)),
        ("context", f"{info.context_length:,} tokens" if info.context_length else ""),
        ("takes", abilities(info)),
        ("here", here.get(remote.on_disk.value, "")),
    ]
