"""`assay models`: what is on disk, as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from core.catalog import ModelInfo

app = typer.Typer(name="models", help="Models on disk.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def models() -> None:
    """Models on disk."""


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also show models that cannot be loaded.")] = False,
) -> None:
    """List the models of the Hugging Face cache, of your folders, and the built-in ones."""
    from core.catalog import Catalog
    from core.errors import EngineError
    from tui.cli import fail_with, settings_with

    try:
        found = Catalog(settings_with()).list()
    except EngineError as error:
        fail_with(error)
    shown = [info for info in found if everything or not info.problem]
    if as_json:
        import json

        print(json.dumps([as_record(info) for info in shown], indent=2))  # noqa: T201
    else:
        _print_table(shown, hidden=len(found) - len(shown))


def as_record(info: ModelInfo) -> dict[str, Any]:
    """A model as JSON values; sizes are bytes."""
    return {
        "id": info.id,
        "kind": info.kind.value,
        "family": info.family,
        "parameters": info.parameters,
        "quantisation": info.quantisation,
        "context_length": info.context_length,
        "size_bytes": info.size_bytes,
        "revision": info.revision,
        "source": info.source,
        "path": str(info.path),
        "images": info.images,
        "tools": info.tools,
        "thinking": info.thinking,
        "problem": info.problem,
    }


def _print_table(models: list[ModelInfo], hidden: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from core.text_safety import clean
    from tui.figures import number, size

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold")
    for label in ("kind", "family", "quant"):
        table.add_column(label, no_wrap=True)
    for label in ("params", "context", "disk"):
        table.add_column(label, justify="right", no_wrap=True)
    for info in models:
        name = Text(clean(info.id), style="dim" if info.problem else "")
        if info.problem:
            name.append(f"\n{clean(info.problem)}", style="red")
        table.add_row(
            name,
            Text(info.kind.value),
            Text(clean(info.family)),
            Text(clean(info.quantisation or "none")),
            Text(number(info.parameters) if info.parameters else ""),
            Text(number(info.context_length) if info.context_length else ""),
            Text(size(info.size_bytes)),
        )
    console = Console()
    console.print(table)
    if hidden:
        console.print(f"{hidden} more cannot be loaded; --all shows them and says why.", style="dim", highlight=False)
