"""Fetching an image that a client named by address, without letting the client reach what only this machine can reach.

A name is resolved once, every address it has must be public, and the connection goes to the address that was checked:
a second look-up inside the HTTP library could give another answer (DNS rebinding). Each redirect starts over.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from core.errors import InvalidImage, InvalidRequest
from core.media.images import MAX_BYTES, ImageData, check_image
from core.settings import Settings

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 3
MAX_URL = 4096
TIMEOUT_S = 15.0
"""For the whole fetch, redirects included."""

_REDIRECTS = {301, 302, 303, 307, 308}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: how an IPv6-only network reaches IPv4 addresses

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) to its addresses; raises OSError when there are none."""

Allowed = Callable[[str], bool]
"""Whether an address may be connected to."""


async def fetch_image(
    url: str, settings: Settings, *, resolve: Resolve | None = None, allowed: Allowed | None = None
) -> ImageData:
    """Fetch and check one image.

    Raises InvalidRequest when the address must not be fetched (scheme, non-public host, fetching switched off), and
    InvalidImage when what it leads to cannot be had within the limits or is no image. Messages name the host alone:
    the rest of an address may hold keys.
    """
    if not settings.fetch_images:
        raise InvalidRequest(
            "Fetching images by address is switched off (fetch_images = false in settings.toml). "
            "Send the image as a data URI instead."
        )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _follow(url, resolve or _resolve, allowed or is_public)
    except TimeoutError as error:
        raise InvalidImage(f"The image at {_host(url)} did not arrive within {TIMEOUT_S:.0f} s.") from error


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    False for loopback, private, link-local, multicast, reserved, unspecified and shared (100.64/10) ranges, for scoped
    addresses, and for IPv6 that wraps an IPv4 address (mapped, 6to4, Teredo); NAT64 is judged by what it wraps.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.scope_id or ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.is_site_local:
            return False
        if ip in _NAT64:
            return is_public(str(IPv4Address(ip.packed[-4:])))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


async def _follow(url: str, resolve: Resolve, allowed: Allowed) -> ImageData:
    import httpx

    target = _parse(url)
    # No proxies from the environment: a proxy would resolve the name again. No connection is kept: to the pool, two
    # names at one address are one place, so that a redirect could reuse a connection whose certificate is another's.
    async with httpx.AsyncClient(
        verify=_tls(),
        trust_env=False,
        follow_redirects=False,
        timeout=TIMEOUT_S,
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        for _ in range(MAX_REDIRECTS + 1):
            address = await _checked_address(target, resolve, allowed)
            try:
                response = await client.send(_request(client, target, address), stream=True)
            except (httpx.HTTPError, ssl.SSLError, OSError, ValueError) as error:
                raise InvalidImage(f"The image at {target.host} could not be fetched: {_why(error)}.") from error
            try:
                if response.status_code not in _REDIRECTS:
                    return check_image(await _body(response, target.host), _name(target))
                location = response.headers.get("location", "")
            finally:
                await response.aclose()
            target = _parse(location, target)
    raise InvalidImage(f"The image at {_host(url)} was redirected more than {MAX_REDIRECTS} times.")


def _parse(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """A URL that may be looked at further: http or https, a host, nobody's password. Raises InvalidRequest."""
    import httpx

    try:
        if len(url) > MAX_URL:
            raise InvalidRequest(f"An image address may have {MAX_URL} characters; this one has {len(url)}.")
        parsed = base.join(url) if base is not None else httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise InvalidRequest("An image address cannot be read as a URL.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequest(f"Images are fetched from http and https addresses, not from {parsed.scheme or 'paths'}.")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise InvalidRequest(f"The image address at {parsed.host} has the port {parsed.port}, which cannot exist.")
    if parsed.userinfo:
        raise InvalidRequest(f"The image address at {parsed.host} holds a user name or password; leave it out.")
    return parsed


async def _checked_address(url: httpx.URL, resolve: Resolve, allowed: Allowed) -> str:
    """The address to connect to. Refused when any address of the host is: the others may be there as a blind."""
    host = url.raw_host.decode("ascii")  # punycode, as it goes over the wire
    try:
        addresses = await resolve(host.strip("[]"), url.port or (443 if url.scheme == "https" else 80))
    except (OSError, UnicodeError) as error:
        raise InvalidImage(f"The image's host {url.host} cannot be found.") from error
    if not addresses or not all(allowed(address) for address in addresses):
        raise InvalidRequest(
            f"The image's host {url.host} is not on the public internet, and nothing else is fetched for clients. "
            "Send the image as a data URI instead."
        )
    return addresses[0]


def _request(client: httpx.AsyncClient, url: httpx.URL, address: str) -> httpx.Request:
    """A request to `address` that names the URL's own host, in the Host header and to TLS."""
    request = client.build_request(
        "GET",
        url.copy_with(host=address, fragment=None),
        headers={
            "Host": url.netloc.decode("ascii"),
            "User-Agent": _user_agent(),
            "Accept": "image/png, image/jpeg, image/webp, image/gif",
            "Accept-Encoding": "identity",  # a compressed answer could unfold past the limit
        },
    )
    request.extensions["sni_hostname"] = url.raw_host.decode("ascii")
    return request


async def _body(response: httpx.Response, host: str) -> bytes:
    import httpx

    if response.status_code != 200:
        raise InvalidImage(f"The image at {host} could not be fetched: the server answered {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise InvalidImage(f"The image at {host} came compressed although that was declined.")
    body = bytearray()
    declared = response.headers.get("content-length", "")
    too_large = declared.isdecimal() and len(declared) < 20 and int(declared) > MAX_BYTES
    try:
        if not too_large:
            async for piece in response.aiter_raw():
                body += piece
                if too_large := len(body) > MAX_BYTES:
                    break
    except (httpx.HTTPError, OSError) as error:
        raise InvalidImage(f"The image at {host} broke off: {_why(error)}.") from error
    if too_large:
        raise InvalidImage(f"The image at {host} is larger than {MAX_BYTES / 1e6:.0f} MB.")
    return bytes(body)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _name(url: httpx.URL) -> str:
    """The file's name, for messages; never used as a path."""
    from core.text_safety import clean

    return clean(url.path.rsplit("/", 1)[-1])[:80]


def _host(url: str) -> str:
    try:
        return _parse(url).host
    except InvalidRequest:
        return "that address"


def _why(error: Exception) -> str:
    return {"ConnectError": "no connection", "RemoteProtocolError": "the server broke the protocol"}.get(
        type(error).__name__, type(error).__name__
    )


@cache
def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


@cache
def _user_agent() -> str:
    """Some hosts refuse requests that do not say who asks."""
    try:
        return f"Assay/{version('mlx-assay')}"
    except PackageNotFoundError:
        return "Assay"
