"""`assay models show` and `assay models delete`: everything known of a model, and the room that it takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.common import WRONG_USAGE, fail, fail_with, say, settings_with
from tui.cli.encoding import clean, shown
from tui.cli.models import as_record
from tui.cli.models_search import machine
from tui.cli.models_search import record as record_of

if TYPE_CHECKING:
    from core.catalog import ModelInfo
    from core.figures.expect import Expected
    from core.figures.summary import Summary
    from core.hub.delete import Deletion
    from core.hub.disk import Disk, Stored
    from core.hub.look import Remote
    from core.hub.records import Record
    from core.settings import Settings

NO = ("", None)
HUB_ONLY = ("licence", "gated", "private", "downloads", "likes", "modified")
STATES = {
    "yes": "the same revision",
    "older": "a newer revision than here",
    "part": "not whole here",
    "no": "not here",
}
MOST_SHOWN = 10


def show(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Its id; without, what all models take.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of the model on the Hub: a branch, tag or commit.")] = None,
    here: Annotated[bool, typer.Option("--here", help="Do not ask the Hub.")] = False,
    card: Annotated[bool, typer.Option("--card", help="Print the model's card, as Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show everything known of a model, here and on the Hub; without a name, what the models on disk take."""
    from core.errors import EngineError
    from core.hub.disk import read_disk

    settings = settings_with()
    try:
        if model is None:
            _show_disk(read_disk(settings), as_json)
        elif card:
            _show_card(settings, model, revision)
        else:
            _show_model(settings, model, revision, here, as_json)
    except EngineError as error:
        fail_with(error)


def delete(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The id of a model on disk, or of an unfinished download.")
    ],
    revision: Annotated[str | None, typer.Option(help="Delete this revision alone: a commit, branch or tag.")] = None,
    own_folder: Annotated[
        bool, typer.Option("--own-folder", help="Delete it from a folder of your own, too; else only from the cache.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Forget the figures that its uses left; the model itself stays.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was freed as JSON.")] = False,
) -> None:
    """Delete a model from disk, after saying what that frees. Refused while some program has it loaded."""
    from core.catalog import Catalog
    from core.errors import EngineError
    from core.hub.delete import delete as delete_model
    from core.hub.delete import plan_deletion
    from tui.figures import size_in_words

    settings = settings_with()
    if figures:
        if revision is not None or own_folder:
            fail("--figures deletes no files: leave --revision and --own-folder out.", WRONG_USAGE)
        _forget_figures(settings, model, yes, as_json)
        return
    try:
        plan = plan_deletion(Catalog(settings), model, revision, own_folder)
        if not yes and not _agreed(plan):
            say("Nothing was deleted.")
            return
        freed = delete_model(settings, plan)
    except EngineError as error:
        fail_with(error)
    if as_json:
        import json

        print(json.dumps({"id": plan.id, "deleted": plan.what, "freed_bytes": freed}))  # noqa: T201
    else:
        say(f"{plan.done}; {size_in_words(freed)} are free again.")


def _agreed(plan: Deletion) -> bool:
    """Ask on a terminal; elsewhere --yes has to be said."""
    from tui.figures import size_in_words

    stays = f" {size_in_words(plan.stays)} of it stay: other revisions use them." if plan.stays else ""
    return _answered(f"Delete {clean(plan.id)}: {clean(plan.what)}?{stays} It frees {size_in_words(plan.frees)}")


def _answered(question: str) -> bool:
    if not sys.stdin.isatty():
        fail(f"{question}. Say --yes to do it: nobody can be asked here.", WRONG_USAGE)
    return typer.confirm(question, err=True)


def _forget_figures(settings: Settings, model: str, yes: bool, as_json: bool) -> None:
    from core.errors import EngineError
    from core.figures.store import forget_figures, read_figures

    try:
        count = len(read_figures(settings.figures_file, model))
        if not count:
            fail(f"There are no figures of {model} on this machine.", WRONG_USAGE)
        if not yes and not _answered(f"Forget the {count} figures of {clean(model)}? The model stays"):
            say("Nothing was deleted.")
            return
        forgotten = forget_figures(settings.figures_file, model)
    except EngineError as error:
        fail_with(error)
    if as_json:
        import json

        print(json.dumps({"id": model, "forgotten_figures": forgotten}))  # noqa: T201
    else:
        say(f"{forgotten} figures of {model} are forgotten.")


def _show_card(settings: Settings, model: str, revision: str | None) -> None:
    from core.hub.card import read_card
    from core.hub.repository import read_repository

    print(read_card(read_repository(model, revision).facts))  # noqa: T201


def _show_model(settings: Settings, model: str, revision: str | None, here: bool, as_json: bool) -> None:
    """What is on disk and what the Hub says; one of them is enough. Raises EngineError where neither knows it."""
    from core.catalog import Catalog
    from core.errors import EngineError, ModelNotFound
    from core.hub.disk import read_disk
    from core.hub.look import Looker
    from core.hub.records import read_records
    from core.hub.use import last_used

    local: ModelInfo | None = None
    remote: Remote | None = None
    absent: EngineError | None = None
    try:
        local = Catalog(settings).get(model)
    except ModelNotFound as error:
        absent = error
    if not here and (local is None or local.source == "cache"):
        try:
            with Looker(settings) as looker:
                remote = looker.look(model, revision)
        except EngineError as error:
            if local is None:
                raise
            say(error.message)
    if local is None and remote is None and absent is not None:
        raise absent
    about = _about(local, remote, read_disk(settings).model(model), last_used(settings).get(model))
    about["downloads"] = [_unfinished(settings, record) for record in read_records(settings) if record.id == model]
    info = local or (remote.info if remote is not None else None)
    measured, expected = _figures(settings, model, info)
    if as_json:
        import json

        about["figures"] = measured.record() if measured else None
        about["expected"] = expected.record() if expected else None
        print(json.dumps(about, indent=2))  # noqa: T201
    else:
        from tui.models.figure_lines import known_lines

        _print_about(about, known_lines(measured, expected))


def _figures(settings: Settings, model: str, info: ModelInfo | None) -> tuple[Summary | None, Expected | None]:
    """What was measured of a model on this machine; where nothing was, what is expected of it. Says what is broken."""
    from core.errors import FiguresError
    from core.figures.expect import known_figures, this_machine

    if not settings.figures_file.is_file():
        return None, None
    try:
        return known_figures(settings.figures_file, model, info, this_machine(), machine().memory_budget)
    except FiguresError as error:
        say(error.message)
        return None, None


def _unfinished(settings: Settings, record: Record) -> dict[str, Any]:
    from core.hub.records import is_running

    return {
        "id": record.id,
        "revision": record.revision,
        "commit": record.commit,
        "done_bytes": sum(map(record.on_disk, record.files)),
        "total_bytes": sum(file.size for file in record.files),
        "running": is_running(settings, record.key),
        "problem": record.problem or None,
    }


def _about(local: ModelInfo | None, remote: Remote | None, stored: Stored | None, used: float | None) -> dict[str, Any]:
    """All of it as JSON values: of the model, `here` and on the `hub`."""
    from tui.models.fit import fit, predicted

    about: dict[str, Any] = {}
    if local is not None:
        status = machine()
        room = {"memory_bytes": predicted(local, status)[0] or None, "fit": fit(local, status).value}
        about |= {"here": {**as_record(local), "needs_code": local.needs_code, **room}}
    if stored is not None:
        revisions = [
            {"commit": one.commit, "refs": list(one.refs), "size_bytes": one.size_bytes, "frees_bytes": one.frees}
            for one in stored.revisions
        ]
        about |= {
            "disk": {"size_bytes": stored.size_bytes, "unfinished_bytes": stored.unfinished},
            "revisions": revisions,
        }
    about["last_used"] = None if used is None else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(used))
    if remote is not None:
        told = record_of(remote, machine())
        about["hub"] = {name: value for name, value in told.items() if name not in ("source", "path")}
    return about


def _print_about(about: dict[str, Any], figures: Iterable[tuple[str, str]]) -> None:
    """A line for each thing known: of the model as it is here, or else on the Hub; then what only the Hub says."""
    from rich.table import Table
    from rich.text import Text

    from tui.cli.console import new_console
    from tui.figures import size
    from tui.foreign import one_line
    from tui.models.fit import Fit

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")

    def line(name: str, value: Any) -> None:
        if value not in NO and value is not False:
            value = Fit(value).in_words if name == "fit" else value
            text = size(value) if name.endswith("_bytes") else "yes" if value is True else one_line(str(value))
            table.add_row(Text(name.removesuffix("_bytes").replace("_", " "), style="dim"), Text(text))

    hub, model = about.get("hub", {}), about.get("here") or about["hub"]
    for name, value in model.items():
        line(name, value)
    if "here" in about:
        for name in HUB_ONLY:
            line(name, hub.get(name))
        line("on_the_hub", STATES[hub["on_disk"]] if hub else None)
    line("last_used", about["last_used"])
    for one in about.get("revisions", ()):
        refs = f" ({', '.join(one['refs'])})" if one["refs"] else ""
        line(
            "revision_here",
            f"{one['commit'][:12]}{refs} {size(one['size_bytes'])}, of which {size(one['frees_bytes'])} only there",
        )
    line("unfinished_bytes", about.get("disk", {}).get("unfinished_bytes") or None)
    for one in about["downloads"]:
        there = f"{size(one['done_bytes'])} of {size(one['total_bytes'])}"
        named = f" --revision {one['revision']}" if one["revision"] else ""
        stopped = f"stopped at {there}: assay models download {one['id']}{named}"
        line("download", f"under way, {there} are here" if one["running"] else stopped)
    for name, value in figures:
        line(name, value)
    new_console().print(table, soft_wrap=True)


def _show_disk(disk: Disk, as_json: bool) -> None:
    """What the cache holds, the largest first, and what of it is there twice or unfinished."""
    from core.sizes import readable_size
    from tui.cli.console import new_console
    from tui.cli.models import print_rows
    from tui.figures import size

    if as_json:
        import json

        print(json.dumps(_disk_record(disk), indent=2))  # noqa: T201
        return
    rows = [
        {
            "model": shown(one.id),
            "size": size(one.size_bytes),
            "revisions": str(len(one.revisions)),
            "unfinished": size(one.unfinished) if one.unfinished else "",
        }
        for one in disk.models
    ]
    columns = ("size", "revisions", "unfinished")
    if rows:
        print_rows(rows, [""] * len(rows), columns, columns[::-1])
    console = new_console()
    console.print(
        f"{len(rows)} model{' takes' if len(rows) == 1 else 's take'} {readable_size(disk.size_bytes)} in "
        f"{disk.cache}; {readable_size(disk.free)} are free.",
        soft_wrap=True,
    )
    for twice in disk.duplicates[:MOST_SHOWN]:
        models = ", ".join(twice.models)
        console.print(
            f"{twice.name} is the same in {models}: {readable_size(twice.wasted)} more than once.",
            soft_wrap=True,
        )
    if len(disk.duplicates) > MOST_SHOWN:
        console.print(
            f"{len(disk.duplicates) - MOST_SHOWN} more files are there more than once; --json names them.",
            soft_wrap=True,
        )


def _disk_record(disk: Disk) -> dict[str, Any]:
    return {
        "cache": str(disk.cache),
        "size_bytes": disk.size_bytes,
        "free_bytes": disk.free,
        "models": [
            {
                "id": one.id,
                "size_bytes": one.size_bytes,
                "unfinished_bytes": one.unfinished,
                "revisions": [
                    {"commit": r.commit, "refs": list(r.refs), "size_bytes": r.size_bytes} for r in one.revisions
                ],
            }
            for one in disk.models
        ],
        "duplicates": [
            {"name": d.name, "sha256": d.digest, "size_bytes": d.size_bytes, "models": list(d.models)}
            for d in disk.duplicates
        ],
    }
