"""`assay models download`: bars while it goes, a sentence when it cannot, and the way to go on when it is stopped."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tui.cli.common import INTERRUPTED, exit_code_of, fail_with, say, settings_with
from tui.cli.encoding import clean

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from core.catalog import Catalog
    from core.hub.downloads import Downloads
    from core.hub.progress import Progress

LOOK_S = 0.1
FILES_SHOWN = 4
BAR_CELLS = 24


def download(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="ORGANISATION/MODEL, as search names it.")],
    revision: Annotated[
        str | None, typer.Option(help="A branch, tag or commit; the main branch when left out.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also fetch files that MLX does not read: pickles, GGUF, ONNX, pictures.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of it as JSON, without bars.")] = False,
) -> None:
    """Download models into the Hugging Face cache, or go on with downloads that were stopped."""
    from core.errors import EngineError
    from core.hub.downloads import downloading

    settings = settings_with()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        with downloading(settings) as downloads:
            keys = [downloads.add(model, revision, everything) for model in dict.fromkeys(models)]
            try:
                ended = _watch(downloads, keys, bars=not as_json)
            except KeyboardInterrupt:
                _say_paused(downloads, keys)
                sys.exit(INTERRUPTED)
    except EngineError as error:
        fail_with(error)
    _report([downloads.get(key) for key in ended], as_json)


def _leave(number: int, _: object) -> NoReturn:
    """End on a signal as on an exception, so that downloads are paused; the code is the shell's for it."""
    raise SystemExit(128 + number)


def _watch(downloads: Downloads, keys: list[str], bars: bool) -> list[str]:
    """Wait until none of these moves; returns their keys."""
    from rich.live import Live

    from tui.cli.console import new_console

    console = new_console(stderr=True)
    if not (bars and console.is_terminal):
        for key in keys:
            while downloads.wait(key, LOOK_S).stage.moves:
                pass
        return keys
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        while any(downloads.wait(key, LOOK_S / len(keys)).stage.moves for key in keys):
            live.update(_bars([downloads.get(key) for key in keys], console))
    return keys


def _bars(all_progress: list[Progress], console: Console) -> RenderableType:
    """A line for each download, and under it one for each of the files that are coming."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from tui.figures import size
    from tui.foreign import shorten_path

    table = Table.grid(padding=(0, 1))
    room = max(console.width - BAR_CELLS - 42, 12)
    for progress in all_progress:
        done, total = progress.done, max(progress.total, 1)
        rate = f"{size(progress.speed)}/s" if progress.speed else ""
        bar = ProgressBar(total=total, completed=done, width=BAR_CELLS, pulse=not progress.total)
        sizes = f"{size(done)}/{size(progress.total)}" if progress.total else ""
        table.add_row(Text(shorten_path(progress.key, room), style="bold"), bar, sizes, rate, _state(progress))
        coming = [file for file in progress.files if 0 < file.done < file.size]
        for file in coming[:FILES_SHOWN]:
            bar = ProgressBar(total=file.size, completed=file.done, width=BAR_CELLS)
            name = Text(f"  {shorten_path(file.name, room - 2)}", style="dim")
            table.add_row(name, bar, f"{size(file.done)}/{size(file.size)}", "", "")
    return table


def _state(progress: Progress) -> str:
    """The last cell of a download's line: what it waits for, or the time left."""
    from core.hub.progress import Stage
    from tui.figures import seconds
    from tui.foreign import one_line

    if progress.waiting:
        return one_line(progress.waiting)
    if progress.stage is Stage.RUNNING:
        return f"{seconds(progress.left_s)} left" if progress.left_s is not None else ""
    return {Stage.LOOKING: "asking the Hub"}.get(progress.stage, progress.stage.value)


def _say_paused(downloads: Downloads, keys: list[str]) -> None:
    """What has come, and how to go on."""
    from core.sizes import readable_size

    for key in keys:
        progress = downloads.get(key)
        if progress.stage.moves:
            downloads.pause(key)
            there = f" at {readable_size(progress.done)} of {readable_size(progress.total)}" if progress.total else ""
            named = f" --revision {shlex.quote(progress.revision)}" if progress.revision else ""
            say(f"{progress.key} is paused{there}. Go on with: assay models download {shlex.quote(progress.id)}{named}")


def _report(ended: list[Progress], as_json: bool) -> None:
    """Say what became of each, and leave with the code of the first failure."""
    from core.catalog import Catalog
    from core.catalog.places import cache_folder
    from core.hub.cache import snapshot_folder
    from core.hub.progress import Stage
    from core.sizes import readable_size

    settings = settings_with()
    catalog = Catalog(settings)
    paths = {one.key: snapshot_folder(cache_folder(settings), one.id, one.commit) for one in ended if one.commit}
    if as_json:
        import json

        print(json.dumps([_record(one, str(paths.get(one.key, ""))) for one in ended], indent=2))  # noqa: T201
    for one in ended:
        if one.stage is Stage.DONE and not as_json:
            print(clean(str(paths[one.key])))  # noqa: T201
            say(f"{one.key} is there: {readable_size(one.total)}. {_hint(catalog, one)}")
        elif one.stage is not Stage.DONE:
            say(one.problem or f"{one.key} is {one.stage.value}.")
    failed = [one for one in ended if one.stage is not Stage.DONE]
    if failed:
        sys.exit(exit_code_of(failed[0].code))


def _hint(catalog: Catalog, one: Progress) -> str:
    """How to try a model, or why it cannot be; of a revision that its name does not mean, which one that is."""
    from core.errors import ended

    found = next((info for info in catalog.list(all=True) if info.id == one.id), None)
    meant = found.revision if found is not None else None
    if found is not None and found.problem and meant in (None, one.commit):
        return f"But it cannot be loaded: {ended(clean(found.problem))}"
    if meant in (None, one.commit):
        return f"Try it: assay chat --model {shlex.quote(one.id)}"
    return f"But --model {one.id} is revision {str(meant)[:8]}, which is here, too: the folder above holds this one."


def _record(one: Progress, path: str) -> dict[str, object]:
    return {
        "id": one.id,
        "revision": one.revision,
        "commit": one.commit,
        "state": one.stage.value,
        "path": path if one.stage.value == "done" else None,
        "done_bytes": one.done,
        "total_bytes": one.total,
        "files": [{"name": file.name, "done_bytes": file.done, "size_bytes": file.size} for file in one.files],
        "problem": one.problem or None,
    }
