"""`assay serve`: what can be asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.common import ENGINE_DIED, fail, fail_with, leave_to_rank_0, settings_with


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: the settings']")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A model to load at once; may be repeated.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that running requests get when it is stopped.")] = 10.0,
) -> None:
    """Serve the OpenAI and the Anthropic protocol without the workbench, until ctrl+c.

    What goes wrong with requests is in assay.log in the data folder, under the ids that clients are told. The address
    is printed once it answers, and an engine that dies is started anew, twice at most. Exit codes: 0 when
    it was stopped, 2 when what was asked for is wrong, 4 when the machine is at fault (a port that is taken, a model
    that does not load), 5 when the engine could not start or died once more.
    """
    from core.errors import EngineClosed, EngineError
    from core.log_file import logged
    from tui.cli.serve_loop import serve_until_stopped

    leave_to_rank_0()
    changed: dict[str, object] = {"host": host, "port": port}
    try:
        settings = settings_with(**changed)
        with logged(settings.data_dir):
            serve_until_stopped(settings, model or [], drain)
    except EngineClosed as error:
        fail(error.message, ENGINE_DIED)
    except EngineError as error:
        fail_with(error)
