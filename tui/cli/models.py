"""`assay models`: what is on disk, as a table or as JSON."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tui.cli.common import fail_with, settings_with
from tui.cli.encoding import clean, legible, shown_line

if TYPE_CHECKING:
    from rich.table import Table

    from core.catalog import ModelInfo
    from core.settings import Settings

app = typer.Typer(name="models", help="Models on disk and on the Hub.", no_args_is_help=True, rich_markup_mode=None)

COLUMNS = ("kind", "family", "quant", "params", "context", "disk")
NUMBERS = ("params", "context", "disk", "size", "memory", "downloads", "likes")
LEAST_DEAR_FIRST = ("context", "family", "params", "quant", "kind", "disk")
GAP = 3
"""Cells between two columns, and one at either edge."""
ID_CELLS = 28
"""What an id gets before other columns get anything; a longer one goes on in the next line."""


@app.callback()
def models() -> None:
    """Models on disk and on the Hub."""


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also show models that cannot be loaded.")] = False,
) -> None:
    """List the models of the Hugging Face cache, of your folders, and the built-in ones."""
    from core.catalog import Catalog
    from core.errors import EngineError

    catalog = Catalog(settings_with())
    try:
        found = catalog.list()
    except EngineError as error:
        fail_with(error)
    for note in catalog.notes():
        print(clean(note), file=sys.stderr)  # noqa: T201
    shown = [info for info in found if everything or not info.problem]
    if as_json:
        import json

        print(json.dumps([as_record(info) for info in shown], indent=2))  # noqa: T201
    else:
        _print_table(shown, hidden=len(found) - len(shown))


@app.command("import")
def import_model(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.gguf", help="A llama-family model in Q4_0, Q4_1, Q8_0, F16 or F32.")
    ],
    name: Annotated[
        str | None, typer.Option(help="What it is called here; made of the file's name when left out.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder of models; the settings' first, or Assay's own.")
    ] = None,
) -> None:
    """Bring a GGUF file of another program into a folder that MLX reads. The file stays as it is."""
    import signal

    from core.errors import EngineError
    from core.importing import import_gguf, models_folder

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    settings = settings_with()
    try:
        made = import_gguf(file.expanduser(), (to or models_folder(settings)).expanduser(), name)
    except EngineError as error:
        fail_with(error)
    print(clean(str(made)))  # noqa: T201
    print(clean(_what_next(made, settings)), file=sys.stderr)  # noqa: T201


def _leave(number: int, _: object) -> NoReturn:
    """End on a signal as on an exception, so that what is half done is removed; the code is the shell's for it."""
    raise SystemExit(128 + number)


def _what_next(made: Path, settings: Settings) -> str:
    """What can be done with a model that was just imported."""
    from core.catalog import Catalog
    from core.catalog.template_features import read_templates

    found = next((info for info in Catalog(settings).list() if info.path.resolve() == made.resolve()), None)
    if found is None:
        return f"Add {made.parent} to model_folders to see it."
    if found.problem:
        return f"It cannot be loaded: {found.problem}."
    if not read_templates(made).chosen:
        return "It has no chat template and completes text alone: `assay serve`, then POST /v1/completions."
    return f"Try it: assay chat --model {shlex.quote(found.id)}"


def as_record(info: ModelInfo) -> dict[str, Any]:
    """A model as JSON values; sizes are bytes."""
    return {
        "id": legible(info.id),
        "kind": info.kind.value,
        "family": info.family,
        "parameters": info.parameters,
        "quantisation": info.quantisation,
        "context_length": info.context_length,
        "size_bytes": info.size_bytes,
        "revision": info.revision,
        "source": info.source,
        "path": legible(str(info.path)),
        "images": info.images,
        "tools": info.tools,
        "thinking": info.thinking,
        "problem": legible(info.problem) if info.problem else info.problem,
    }


def _print_table(models: list[ModelInfo], hidden: int) -> None:
    """On a terminal as many columns as it has room for; in a pipe all of them, a line for each model, nothing cut."""
    from tui.cli.console import new_console

    rows = [{"model": shown_line(info.id)} | cells(info) for info in models]
    problems = [shown_line(info.problem or "") for info in models]
    print_rows(rows, problems)
    if hidden:
        piped = not new_console().is_terminal
        new_console(stderr=piped).print(f"{hidden} more cannot be loaded; --all shows them and says why.", style="dim")


def print_rows(
    rows: Sequence[Mapping[str, str]],
    problems: Sequence[str],
    columns: Sequence[str] = COLUMNS,
    least_dear_first: Sequence[str] = LEAST_DEAR_FIRST,
    first: str = "model",
) -> None:
    """A row for each model, or whatever stands `first`: its cells by column, and what stands against it or ""."""
    from tui.cli.console import new_console

    console = new_console()
    if console.is_terminal:
        console.print(_table(rows, problems, fitting(rows, console.width, columns, least_dear_first, first), first))
    else:
        print("\n".join(_lines(rows, problems, columns, first)))  # noqa: T201


def _table(rows: Sequence[Mapping[str, str]], problems: Sequence[str], labels: Sequence[str], first: str) -> Table:
    """For a terminal: a problem stands under the model's id, and what is too long goes on in the next line."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(first, overflow="fold")
    for label in labels:
        table.add_column(label, justify="right" if label in NUMBERS else "left", no_wrap=True)
    for row, problem in zip(rows, problems, strict=True):
        name = Text(row[first], style="dim" if problem else "")
        if problem:
            name.append(f"\n{problem}", style="red")
        table.add_row(name, *(Text(row[label]) for label in labels))
    return table


def _lines(rows: Sequence[Mapping[str, str]], problems: Sequence[str], columns: Sequence[str], first: str) -> list[str]:
    """For a pipe: one line for the columns' names and one for each model, in columns as wide as they have to be.

    Written here because rich takes as long for a table of thousands as reading the models does.
    """
    from rich.cells import cell_len

    labels = [first, *columns, *(["problem"] if any(problems) else [])]
    cells = [[row[label] for label in (first, *columns)] for row in rows]
    for row, problem in zip(cells, problems, strict=True):
        row += [problem] if any(problems) else []
    filled = [[label, *column] for label, column in zip(labels, zip(*cells, strict=True), strict=True)]
    padded = []
    for label, column in zip(labels, filled, strict=True):
        widths = [cell_len(text) for text in column]
        widest = max(widths)
        spaces = [" " * (widest - width) for width in widths]
        right = label in NUMBERS
        padded.append([space + text if right else text + space for text, space in zip(column, spaces, strict=True)])
    return ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]


def cells(info: ModelInfo) -> dict[str, str]:
    """What the columns beside the model's id say of it."""
    from tui.figures import number, size

    return {
        "kind": info.kind.value,
        "family": shown_line(info.family),
        "quant": shown_line(info.quantisation or "none"),
        "params": number(info.parameters) if info.parameters else "",
        "context": number(info.context_length) if info.context_length else "",
        "disk": size(info.size_bytes),
    }


def fitting(
    rows: Sequence[Mapping[str, str]],
    width: int,
    columns: Sequence[str] = COLUMNS,
    least_dear_first: Sequence[str] = LEAST_DEAR_FIRST,
    first: str = "model",
) -> list[str]:
    """The columns beside the id for which a terminal of `width` cells has room, the dearest kept longest."""
    from rich.cells import cell_len

    def cells(label: str) -> int:
        return max(cell_len(row[label]) for row in [*rows, {label: label}])

    left = width - 2 - min(cells(first), ID_CELLS)
    kept = list(columns)
    for label in least_dear_first:
        if sum(cells(one) + GAP for one in kept) <= left:
            break
        kept.remove(label)
    return kept
