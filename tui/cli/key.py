"""`assay key`: the API's keys, the owner's own and one for each program."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.common import settings_with

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the key is called, such as the program's name.")]


@app.callback()
def key(context: typer.Context) -> None:
    """Print the key that the API asks for, or make keys of their own for programs.

    A program's own key opens all but /admin, can be taken back alone, and the wire record tells whose requests are
    whose.
    """
    if context.invoked_subcommand is None:
        from core.settings import api_key

        print(api_key(settings_with()))  # noqa: T201


@app.command()
def add(name: Name) -> None:
    """Make a key for a program and print it: it is not shown again."""
    from core.keys import add_key

    print(add_key(settings_with().data_dir, name))  # noqa: T201


@app.command("list")
def list_keys() -> None:
    """List the programs' keys: their names, when they were made, and how they end."""
    from core.keys import named_keys
    from tui.cli.console import new_console

    keys = named_keys(settings_with().data_dir)
    console = new_console()
    if not keys:
        console.print("No program has a key of its own. `assay key add NAME` makes one.")
        return
    from rich.table import Table

    table = Table("name", "made", "ends with", box=None, pad_edge=False)
    for one in keys:
        table.add_row(one.name, one.made.replace("T", " ").removesuffix("+00:00") + " UTC", f"…{one.hint}")
    console.print(table)


@app.command()
def revoke(name: Name) -> None:
    """Take a program's key back: a server that runs refuses it from the next request on."""
    from core.keys import revoke_key

    revoke_key(settings_with().data_dir, name)
    print(f"The key {name!r} opens nothing any more.")  # noqa: T201
