"""`assay golden shadow`: another model is asked what clients asked, and both answers are compared."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.golden_suite import check_writable, fail, sentences, write_json
from tui.cli.golden_traffic import SHADOW, For, Held, Key, NoServer, Requests, Traffic, Url, server_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from core.golden.routes import Route
    from core.golden.shadow import Pair, Summary
    from server.exchange_json import Heard

LOOK_S = 0.2
"""How often it is looked whether the server is at rest."""
QUIET_S = 30.0
"""How long that is waited for before a request is asked all the same: a server may never be at rest."""
EXCERPT = 160


def shadow(
    model: Annotated[str, typer.Option("--model", metavar="ID", help="The model that is asked as well.")],
    for_s: For = None,
    requests: Requests = None,
    held: Held = False,
    later: Annotated[bool, typer.Option("--later", help="Ask when the time is over, not beside the clients.")] = False,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="The part of the requests that must be answered as well.")
    ] = 1.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all pairs as JSON; - is standard output.")
    ] = None,
    url: Url = None,
    key: Key = "",
) -> None:
    """Ask another model what clients ask of a running server, and compare its answers with those that they got.

    It is asked one request at a time, when the server is at rest, and never by a client's request that it holds up:
    clients get their own model's answers. Exit codes: 0 when it would have answered as well, 1 when not, 2 when the
    command line is wrong or the server keeps nothing, 4 when a request did not come about or nothing came to compare,
    130 stopped.
    """
    with sentences():
        check_writable(json_file)
        raise typer.Exit(_shadow(model, for_s, requests, held, later, at_least, json_file, url, key))


def _shadow(
    model: str,
    for_s: float | None,
    requests: int | None,
    held: bool,
    later: bool,
    at_least: float,
    json_file: Path | None,
    url: str | None,
    key: str,
) -> int:
    from core.golden.outcome import ExitCode
    from core.golden.shadow import Summary
    from core.settings import load_settings
    from tui.cli.console import new_console

    address, key = server_of(load_settings(), url, key)
    console = new_console(stderr=str(json_file) == "-")
    traffic = Traffic(address, key, lambda text: console.print(text, style="yellow", soft_wrap=True))
    work = Shadow(model, traffic, console, later)
    bounded = for_s is not None or requests is not None
    stopped = False
    try:
        asyncio.run(work.run(for_s, requests, held))
    except NoServer as error:
        fail(str(error), code=4)
    except KeyboardInterrupt:
        stopped = bounded or bool(work.waiting)
    summary = Summary.of(model, work.pairs)
    if work.pairs:
        console.print(pairs_table(work.pairs, model))
    for line in _lines(work, summary):
        console.print(line, soft_wrap=True)
    code = ExitCode.INTERRUPTED if stopped else summary.code(at_least)
    console.print(summary.sentence(), style="bold green" if code == 0 else "bold red", soft_wrap=True)
    if json_file is not None:
        told = {
            "summary": {**summary.to_json(), "exit_code": int(code)},
            "pairs": [one.to_json() for one in work.pairs],
        }
        write_json(json_file, json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    return int(code)


@dataclass
class Shadow:
    """Follows the clients, and asks `model` one request after the other. With `later`, when no more come."""

    model: str
    traffic: Traffic
    console: Console
    later: bool
    pairs: list[Pair] = field(default_factory=list)
    waiting: deque[Heard] = field(default_factory=deque)
    """Heard, and not asked yet."""
    left_out: Counter[str] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _over: bool = False

    async def run(self, for_s: float | None, requests: int | None, held: bool) -> None:
        """Raises NoServer, and typer.Exit with a sentence for a model that is not there."""
        from core.golden.routes.http import HttpRoute
        from core.golden.routes.openai import OpenAI

        await self._look_at_the_model()
        route = HttpRoute(OpenAI(), self.traffic.url, self.traffic.key, SHADOW)
        asking = asyncio.ensure_future(self._ask_all(route))
        try:
            async with aclosing(self.traffic.follow(for_s, requests, held)) as heard:  # type: ignore[type-var]
                async for one in heard:
                    self._take(one)
            self._over = True
            self._more.set()
            if self.waiting:
                self.console.print(f"{len(self.waiting)} to be asked yet; ctrl+c leaves them out.", style="dim")
            await asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await route.aclose()

    def _take(self, one: Heard) -> None:
        from core.golden.shadow import request_digest

        digest = request_digest(one.request)
        if one.answer is None:
            self.left_out["failed or stopped"] += 1
        elif one.request.prompt is not None:
            self.left_out["plain completions"] += 1
        elif one.request.model == self.model:
            self.left_out[f"answered by {self.model} itself"] += 1
        elif digest in self._seen:
            self.left_out["equal to another"] += 1
        else:
            self._seen.add(digest)
            self.waiting.append(one)
            self._more.set()

    async def _ask_all(self, route: Route) -> None:
        async with self.traffic.client() as http:
            while self.waiting or not self._over:
                if not self.waiting or (self.later and not self._over):
                    self._more.clear()
                    await self._more.wait()
                    continue
                await self._quiet(http)
                pair = await _asked(route, self.waiting[0], self.model)
                self.waiting.popleft()
                self.pairs.append(pair)
                self._say(pair)

    async def _quiet(self, http: Any) -> None:
        """Until the server works on nothing, or that has been waited for long enough."""
        import httpx

        for _ in range(round(QUIET_S / LOOK_S)):
            try:
                queue = (await http.get("/health")).json()["queue"]
                if not queue["running"] and not queue["waiting"]:
                    return
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                pass  # it is asked again, and what is asked then says why it fails
            await asyncio.sleep(LOOK_S)

    async def _look_at_the_model(self) -> None:
        """Refuse a model that the server lacks, or that writes nothing; put it off where it has no room beside those
        that are in memory."""
        import httpx

        from core.catalog import ModelKind

        ids = await asyncio.to_thread(_models, self.traffic)
        if self.model not in ids:
            fail(f"The server has no model {self.model}. It has {', '.join(sorted(ids)) or 'none'}.")
        try:
            async with self.traffic.client() as http:
                kind = (await http.get(f"/v1/models/{self.model}")).json().get("kind", ModelKind.TEXT)
                if kind not in (ModelKind.TEXT, ModelKind.VISION):
                    fail(f"{self.model} is a model of kind {kind}, which answers nothing. Name a text or vision model.")
                told = (await http.get("/admin/models")).json()
            if self.model not in [one["id"] for one in told["data"]] and (why := _no_room(self.model, told)):
                self.later = True
                self.traffic.note(f"{why}: it is asked when the time is over, so that it drives out no client's model.")
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return  # who follows next hears what is wrong

    def _say(self, pair: Pair) -> None:
        from core.golden.shadow import question
        from tui.cli.encoding import shown_line

        found = pair.compared
        label = found.likeness.value if found else f"failed: {pair.error}"
        line = f"{len(self.pairs):>4} {label}: {shown_line(question(pair.request))[:EXCERPT]}"
        self.console.print(shown_line(line), style="dim", soft_wrap=True)


def _models(traffic: Traffic) -> list[str]:
    from core.golden.routes import RouteError
    from core.golden.routes.http import list_models

    try:
        return list_models(traffic.url, traffic.key)
    except RouteError as error:
        if "cannot be reached" not in error.message:
            raise
        raise NoServer(
            f"{error.message} Start a server with `assay serve`, or switch the API on in the workbench with ctrl+t; "
            "--url names another address."
        ) from error


def _no_room(model: str, told: dict[str, Any]) -> str:
    """Why a model does not fit beside those in memory, as far as this machine knows it; "" where it does."""
    from core.catalog import Catalog
    from core.errors import ModelNotFound
    from core.settings import load_settings
    from core.sizes import readable_size

    try:
        info = Catalog(load_settings()).get(model)
    except ModelNotFound:
        return ""
    memory = told["memory_bytes"]
    left = memory["budget"] - (memory["active"] - memory["kept"])
    if info.size_bytes <= left:
        return ""
    return f"{model} takes {readable_size(info.size_bytes)} and {readable_size(max(left, 0))} of the memory are free"


async def _asked(route: Route, one: Heard, model: str) -> Pair:
    from core.calls.events import GenerationResult
    from core.errors import EngineError
    from core.golden.shadow import Pair

    assert one.answer is not None
    pair = Pair(one.id, one.client, one.request, one.answer)
    result = GenerationResult()
    try:
        async with aclosing(route.stream(replace(one.request, model=model))) as events:  # type: ignore[type-var]
            async for event in events:
                result.add(event)
    except EngineError as error:
        return replace(pair, error=error.message)
    return replace(pair, other=result)


def pairs_table(pairs: list[Pair], model: str) -> Table:
    """A row for each pair: the request, both answers with tokens and time, and what they have in common."""
    from rich.table import Table
    from rich.text import Text

    from core.golden.shadow import AS_WELL, Likeness, question
    from tui.cli.encoding import shown_line

    theirs = ", ".join(dict.fromkeys(pair.request.model for pair in pairs))
    table = Table(show_lines=True, expand=True)
    for name, ratio in (("request", 2), (shown_line(theirs), 3), (shown_line(model), 3), ("compared", 2)):
        table.add_column(name, ratio=ratio, overflow="fold")
    for pair in pairs:
        found = pair.compared
        if found is None:
            label, style, why = "failed", "red", pair.error
        else:
            label, why = found.likeness.value, "; ".join(found.missed) or found.expects
            style = "green" if found.likeness in AS_WELL else "yellow" if found.likeness is Likeness.UNTOLD else "red"
        verdict = Text(label, style).append(f"\n{_cut(why)}" if why else "", "dim")
        asked = Text(_cut(question(pair.request))).append(f"\n{shown_line(pair.client)}", "dim")
        table.add_row(asked, _answer(pair.theirs), _answer(pair.other) if pair.other else Text("–", "dim"), verdict)
    return table


def _answer(result: Any) -> Any:
    from rich.text import Text

    from core.golden.shadow import tokens, work_s
    from tui.figures import seconds

    calls = [f"{call.name}({call.arguments})" for call in result.tool_calls]
    said = _cut(" ".join(filter(None, (result.text.strip(), *calls))) or "(nothing)")
    return Text(said).append(f"\n{tokens(result)} tokens · {seconds(work_s(result))}", "dim")


def _cut(text: str) -> str:
    from tui.cli.encoding import shown_line

    line = shown_line(text)
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…"


def _lines(work: Shadow, summary: Summary) -> list[str]:
    """What else there is to say."""
    from core.golden.shadow import Likeness
    from tui.figures import seconds

    told = [f"{count} left out: {why}" for why, count in work.left_out.most_common()]
    if work.traffic.lost:
        told.append(f"{work.traffic.lost} more were not kept by the server: too large, or more than wire_mb holds")
    if work.waiting:
        told.append(f"{len(work.waiting)} were not asked any more")
    if untold := summary.counts[Likeness.UNTOLD]:
        told.append(f"{untold} cannot be told: another text, and the first answer was cut off or proposes no check")
    if summary.counts:
        first, second = summary.work_s
        told.append(
            f"median answer: {summary.tokens[0]:.0f} tokens in {seconds(first)} for the clients, "
            f"{summary.tokens[1]:.0f} tokens in {seconds(second)} from {summary.model}"
        )
    return told
