"""`assay golden record`: what clients ask of a running server becomes a suite."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.golden_suite import fail, sentences
from tui.cli.golden_traffic import For, Held, Key, NoServer, Requests, Traffic, Url, server_of

if TYPE_CHECKING:
    from rich.console import Console

    from core.golden.recorder import Recorder

INTERRUPTED = 130


def record(
    suite: Annotated[Path, typer.Option("--suite", metavar="FOLDER", help="Where the cases go; made if need be.")],
    for_s: For = None,
    requests: Requests = None,
    held: Held = False,
    url: Url = None,
    key: Key = "",
) -> None:
    """Make a suite of what clients ask of a running server, until the time is over or ctrl+c.

    Each question that was answered becomes a case with a check proposed from its answer; equal ones become one.
    Conversations, what failed, and what looks as if it held a secret are left out. Exit codes: 0 when it is done, 2
    when the command line or the suite is wrong or the server keeps nothing, 4 when no server answers, 130 when it was
    stopped before the time or the requests that were asked for; what was recorded is kept then as well.
    """
    with sentences():
        raise typer.Exit(_record(suite, for_s, requests, held, url, key))


def _record(folder: Path, for_s: float | None, requests: int | None, held: bool, url: str | None, key: str) -> int:
    from core.golden.recorder import Recorder
    from core.golden.suite import SuiteError
    from core.settings import load_settings
    from tui.cli.console import new_console

    address, key = server_of(load_settings(), url, key)
    console = new_console()
    recorder = Recorder(folder)
    traffic = Traffic(address, key, lambda text: console.print(text, style="yellow", soft_wrap=True))
    console.print(f"Recording what {address} is asked into {recorder.folder}; ctrl+c ends it.", soft_wrap=True)
    stopped = False
    try:
        asyncio.run(_follow(traffic, recorder, console, for_s, requests, held))
    except NoServer as error:
        fail(str(error), code=4)
    except SuiteError:  # what was recorded before is kept
        _tell(console, recorder, traffic)
        raise
    except KeyboardInterrupt:
        stopped = for_s is not None or requests is not None
    _tell(console, recorder, traffic)
    return INTERRUPTED if stopped else 0


async def _follow(
    traffic: Traffic, recorder: Recorder, console: Console, for_s: float | None, requests: int | None, held: bool
) -> None:
    from core.golden.recorder import Became
    from tui.cli.encoding import shown_line

    async for one in traffic.follow(for_s, requests, held):
        noted = recorder.add(one.request, one.answer)
        label = {
            Became.CASE: f"+ {noted.case}",
            Became.SAME: f"= {noted.case or 'a case of the suite'}",
            Became.LEFT_OUT: f"- left out, {noted.why}",
        }[noted.became]
        style = {Became.CASE: "green", Became.SAME: "dim", Became.LEFT_OUT: "yellow"}[noted.became]
        line = f"{traffic.heard:>4} {label}  ({one.client} → {one.request.model})"
        console.print(shown_line(line), style=style, soft_wrap=True)


def _tell(console: Console, recorder: Recorder, traffic: Traffic) -> None:
    """What came of it, and what to do with it."""
    from core.golden.lint import lint_folder
    from core.golden.recorder import Became
    from tui.cli.encoding import shown_line
    from tui.cli.golden_suite import problem_line

    counts = recorder.counts
    cases = counts[Became.CASE]
    console.print(
        f"{traffic.heard} requests: {cases} new case{'s' * (cases != 1)}, {counts[Became.SAME]} equal to one, "
        f"{counts[Became.LEFT_OUT]} left out."
    )
    for why, count in recorder.left_out.most_common():
        console.print(f"  {count} left out: {why}")
    if traffic.lost:
        console.print(f"  {traffic.lost} more were not kept by the server: too large, or more than wire_mb holds")
    if traffic.unread:
        console.print(f"  {traffic.unread} more could not be read")
    for case in sorted(recorder.varied):
        console.print(
            shown_line(
                f"note: {case} was asked again and got an answer that its check fails: the check may be narrow."
            ),
            style="yellow",
            soft_wrap=True,
        )
    if not recorder.added:
        return
    for problem in lint_folder(recorder.folder)[1]:
        if not problem.warning:
            console.print(problem_line(problem), style="red", soft_wrap=True)
    console.print(
        shown_line(f"Checks are proposals: read them, then `assay golden run {recorder.folder}`."), soft_wrap=True
    )
