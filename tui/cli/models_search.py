"""`assay models search`: models on the Hub, each told from its files, and whether it fits here, before a download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.common import WRONG_USAGE, fail, fail_with, say, settings_with
from tui.cli.encoding import shown
from tui.cli.models import as_record, cells, print_rows

if TYPE_CHECKING:
    from core.hub.find import Query
    from core.hub.look import Remote
    from core.status import EngineStatus

COLUMNS = (
    "kind",
    "family",
    "quant",
    "params",
    "context",
    "size",
    "memory",
    "fit",
    "here",
    "downloads",
    "likes",
    "date",
)
LEAST_DEAR_FIRST = (
    *("date", "likes", "context", "family", "downloads", "memory", "params", "here", "quant", "kind", "fit", "size"),
)
KINDS = ("text", "vision", "embeddings", "reranker", "audio")
SORTS = {"downloads": "DOWNLOADS", "likes": "LIKES", "date": "DATE"}


def search(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORDS", help="What the models' names hold.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"Only models of a kind: {', '.join(KINDS)}.")] = None,
    quant: Annotated[str, typer.Option(help="Only models packed so: 4bit, 8bit, mxfp4, bf16, ...")] = "",
    max_gb: Annotated[float | None, typer.Option(help="Only downloads of at most so many GB.", min=0)] = None,
    licence: Annotated[str, typer.Option("--licence", "--license", help="Only this one: apache-2.0, mit, ...")] = "",
    sort: Annotated[str, typer.Option(help=f"The greatest first: {', '.join(SORTS)}.")] = "downloads",
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=500)] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Also show models that MLX cannot run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Search the Hugging Face Hub: mlx-community's models first, then anyone's MLX weights."""
    if kind is not None and kind not in KINDS:
        fail(f"There is no kind {kind!r}; there are {', '.join(KINDS)}.", WRONG_USAGE)
    if sort not in SORTS:
        fail(f"Models cannot be sorted by {sort!r}, but by {', '.join(SORTS)}.", WRONG_USAGE)
    from dataclasses import replace

    from core.catalog import ModelKind
    from core.errors import EngineError
    from core.hub.find import Query, Sort

    query = Query(
        words=" ".join(words or ()),
        sort=Sort[SORTS[sort]],
        kind=None if kind is None else ModelKind(kind),
        most_bytes=None if max_gb is None else int(max_gb * 1e9),
        quantisation=quant,
        licence=licence,
        everything=everything,
    )
    try:
        found, status = _found(query, limit)
        foreign = not (found or everything or as_json) and bool(_found(replace(query, everything=True), 1)[0])
    except EngineError as error:
        fail_with(error)
    if as_json:
        import json

        print(json.dumps([record(remote, status) for remote in found], indent=2))  # noqa: T201
    elif not found:
        say(nothing(query, foreign))
    else:
        rows = [row(remote, status) for remote in found]
        print_rows(rows, [problem(remote) for remote in found], COLUMNS, LEAST_DEAR_FIRST)


def _found(query: Query, limit: int) -> tuple[list[Remote], EngineStatus]:
    """What the Hub has, and this machine's memory. A terminal sees meanwhile that something goes on."""
    from rich.markup import escape

    from core.hub.find import search as search_hub
    from core.hub.look import Looker
    from tui.cli.console import new_console

    settings = settings_with()
    found: list[Remote] = []
    console = new_console(stderr=True)
    with console.status("asking the Hub") as line, Looker(settings) as looker:
        for remote in search_hub(query, looker, limit):
            found.append(remote)
            line.update(f"{len(found)} of {limit}: {escape(remote.id)}")
        return found, machine()


def nothing(query: Query, foreign: bool) -> str:
    """That nothing was found, and what finds more; `foreign` where MLX cannot run what there is."""
    like = f"like {query.words!r}" if query.words else "at all"
    if foreign:
        return f"The Hub has nothing {like} that MLX can run. --all shows what it cannot run, and says why."
    if query.kind or query.most_bytes is not None or query.quantisation or query.licence:
        return f"The Hub has nothing {like} that the filters let through. Fewer words or filters find more."
    return f"The Hub has nothing {like}. Fewer or other words find more."


def machine() -> EngineStatus:
    """This machine as an engine without a model would see it."""
    from core.hub.use import memory_budget
    from core.status import EngineStatus

    return EngineStatus(alive=False, device="", memory_budget=memory_budget(settings_with()))


def row(remote: Remote, status: EngineStatus) -> dict[str, str]:
    """A model's cells by column."""
    from core.hub.look import OnDisk
    from tui.figures import number, size
    from tui.models.fit import predicted

    facts, need = remote.facts, predicted(remote.info, status)[0]
    return {
        "model": shown(remote.id),
        **cells(remote.info),
        "size": size(remote.info.size_bytes) if remote.info.size_bytes else "",
        "memory": size(need) if need else "",
        "fit": fits(remote, status),
        "here": "" if remote.on_disk is OnDisk.NO else remote.on_disk.value,
        "downloads": number(facts.downloads),
        "likes": number(facts.likes),
        "date": f"{facts.modified:%Y-%m-%d}" if facts.modified else "",
    }


def fits(remote: Remote, status: EngineStatus) -> str:
    """Whether a model fits; "?" for one that may not be looked at yet."""
    from core.catalog import ModelKind
    from tui.models.fit import Fit, fit

    hidden = remote.facts.gated and remote.info.kind is ModelKind.UNKNOWN
    return (Fit.UNKNOWN if hidden else fit(remote.info, status)).value


def problem(remote: Remote) -> str:
    """What stands against a model; "" where nothing. Of a gated one whose files could not be read, what to do."""
    from tui.foreign import one_line

    return one_line(remote.info.problem or "")


def record(remote: Remote, status: EngineStatus) -> dict[str, Any]:
    """A model as JSON values; sizes are bytes."""
    from tui.models.fit import predicted

    facts = remote.facts
    return {
        **as_record(remote.info),
        "needs_code": remote.info.needs_code,
        "memory_bytes": predicted(remote.info, status)[0] or None,
        "fit": fits(remote, status),
        "on_disk": remote.on_disk.value,
        "gated": facts.gated,
        "private": facts.private,
        "licence": facts.licence,
        "downloads": facts.downloads,
        "likes": facts.likes,
        "modified": facts.modified.isoformat() if facts.modified else None,
    }
