"""What clients ask of a running server and are answered, followed from outside: for `golden record` and `shadow`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.golden_suite import fail

if TYPE_CHECKING:
    import httpx

    from core.settings import Settings
    from server.exchange_json import Heard

ADDRESS = "/admin/exchanges"
WAIT_S = 20.0
"""How long the server holds an answer back until a request has ended."""
ANSWER_S = 60.0
"""More than that is not waited for what it says at once."""
AGAIN_S = 1.0
"""After which a server that has gone is asked again."""
SHADOW = "assay-golden-shadow"
"""What `shadow` is called as a client: its own requests are no traffic."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_SPAN = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def span_s(text: str) -> float:
    """Seconds of a time such as 90s, 10m, 1h30m or 45. Raises typer.BadParameter for anything else."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time: write 90s, 10m, 1h or 1h30m.")
    return sum(float(one or 0) * unit for one, unit in zip(match.groups(), _UNITS.values(), strict=True))


For = Annotated[
    float | None,
    typer.Option("--for", parser=span_s, metavar="TIME", help="How long to follow: 90s, 10m, 1h. [default: ctrl+c]"),
]
Requests = Annotated[int | None, typer.Option("--requests", min=1, help="How many requests to follow at most.")]
Held = Annotated[bool, typer.Option("--held", help="Begin with the requests that the server still holds.")]
Url = Annotated[str | None, typer.Option(help="The server. [default: the settings' host and port]")]
Key = Annotated[str, typer.Option(envvar="ASSAY_GOLDEN_KEY", show_envvar=True, help="The owner's key to --url.")]


class NoServer(Exception):
    """Nothing answers there; the message says so."""


@dataclass
class Traffic:
    """Requests of clients that end on a server. `lost` ended and were not kept there; `unread` could not be read.

    `note` is told in a sentence what a person should know meanwhile.
    """

    url: str
    key: str
    note: Callable[[str], None]
    lost: int = 0
    unread: int = 0
    heard: int = 0
    _gone: bool = field(default=False, init=False)

    async def follow(self, for_s: float | None, requests: int | None, held: bool) -> AsyncIterator[Heard]:
        """The requests in the order in which they ended, until the time is over or as many have come.

        Raises NoServer where none answers at the beginning; typer.Exit with a sentence for one that refuses.
        """
        ends = None if for_s is None else time.monotonic() + for_s
        async with self.client() as http:
            cursor = "" if held else (await self._page(http, "now", 0.0))["next"]
            while True:
                left = WAIT_S if ends is None else min(WAIT_S, ends - time.monotonic())
                page = await self._again(http, cursor, max(left, 0.0))
                if page is not None:
                    cursor, self.lost = page["next"], self.lost + page["lost"]
                    for told in page["data"]:
                        if (one := self._read(told)) is None:
                            continue
                        self.heard += 1
                        yield one
                        if self.heard == requests:
                            return
                over = ends is not None and time.monotonic() >= ends
                if over and (page is None or not page["data"]):  # what came at the last moment is taken along
                    return
                if page is None:
                    await asyncio.sleep(AGAIN_S)

    def client(self) -> httpx.AsyncClient:
        """A client with the key, for the server."""
        import httpx

        from core.golden.routes.http import bearer, is_loopback, root

        return httpx.AsyncClient(
            base_url=root(self.url),
            headers=bearer(self.key),
            timeout=httpx.Timeout(ANSWER_S, connect=10.0),
            trust_env=not is_loopback(self.url),
        )

    async def _again(self, http: httpx.AsyncClient, cursor: str, wait_s: float) -> dict[str, Any] | None:
        """The next page; None while the server does not answer, which is said once."""
        try:
            page = await self._page(http, cursor, wait_s)
        except NoServer:
            if not self._gone:
                self.note("The server does not answer any more; it is looked for again until it does.")
            self._gone = True
            return None
        if self._gone:
            self.note("The server answers again.")
        self._gone = False
        return page

    async def _page(self, http: httpx.AsyncClient, cursor: str, wait_s: float) -> dict[str, Any]:
        import httpx

        try:
            answer = await http.get(ADDRESS, params={"after": cursor, "wait_s": wait_s})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoServer(
                f"No server answers at {self.url} ({error or type(error).__name__}). Start one with `assay serve`, or "
                "switch the API on in the workbench with ctrl+t; --url names another address."
            ) from error
        if answer.status_code >= 500:
            raise NoServer(f"{self.url} answered {answer.status_code}.")
        if answer.status_code != 200:
            fail(f"{self.url} answered {answer.status_code}: {_said(answer)}")
        page: dict[str, Any] = answer.json()
        return page

    def _read(self, told: dict[str, Any]) -> Heard | None:
        """A request as it came; None for our own, and for one that cannot be read."""
        from core.errors import InvalidImage
        from server.exchange_json import exchange_from_json

        if told.get("client") == SHADOW:
            return None
        try:
            return exchange_from_json(told)
        except (KeyError, TypeError, ValueError, InvalidImage):
            self.unread += 1
            return None


def _said(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "it is no server of Assay, or an older one." if answer.status_code == 404 else answer.text[:200]


def server_of(settings: Settings, url: str | None, key: str) -> tuple[str, str]:
    """Address and key of the server that is meant: the settings' own, with its owner's key, unless one is named."""
    from core.settings import api_key

    if url is not None:
        return url, key
    if not settings.port:
        fail("The settings leave the port to the system (port 0): name the server with --url and --key.")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    address = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    return address, key or (api_key(settings) if settings.api_key_required else "")
