"""What huggingface_hub and the network raise, in the words of core.errors: what happened, why, what to do."""

from __future__ import annotations

import contextlib
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from huggingface_hub import errors, get_token

from core.errors import HubBroken, HubBusy, HubError, HubNotFound, HubOffline, HubRefused, ended
from core.text_safety import clean

LOGIN = "log in with `hf auth login` or set HF_TOKEN"
DEFAULT_WAIT_S = 60.0
PROXIED = ("http", "https", "all")
"""What proxies are named for, as far as the Hub is concerned."""
MOST_DIGITS = 18
"""Of a wait: more of them make it no longer for anybody."""


def told(error: BaseException, about: str, hub: str, *, search: bool = False, file: str = "") -> HubError:
    """A failure as a sentence. The Hub at the address `hub` was asked for the model `about`, or a file of it; or it was
    searched for the words `about`."""
    about = clean(about)
    what = f"{clean(file)} of {about}" if file else about
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubOffline("The Hub is not asked: HF_HUB_OFFLINE is set. Unset it to search and download.")
    if isinstance(error, errors.HfHubHTTPError):
        if search and (refused := _of_search(error, hub)):
            return refused
        return _of_model(error, about, what, hub) or _of_status(error, about, what, hub)
    if isinstance(error, errors.HFValidationError):
        return _no_name(about)
    through = proxy_of(hub)
    if isinstance(error, httpx2.TimeoutException):
        by = f" through the proxy {through}" if through else ""
        return HubOffline(f"The Hub at {hub} does not answer{by}. Try again later; HF_ENDPOINT names another one.")
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        if _is_address(hub):
            return HubBroken(
                f"The Hub at {hub} sends on to an address that is none. Try again later; HF_ENDPOINT names another Hub."
            )
        return HubOffline(
            f"The Hub cannot be asked at {clean(hub)!r}: an address begins with https:// or http://, and a host's name "
            "follows. HF_ENDPOINT names it; unset it to ask huggingface.co."
        )
    if isinstance(error, httpx2.TransportError) and through:
        return HubOffline(
            f"The Hub at {hub} cannot be reached through the proxy {through}: {ended(_reason(error))} HTTPS_PROXY, "
            "HTTP_PROXY or ALL_PROXY names the proxy, such as http://HOST:PORT; NO_PROXY names hosts that need none."
        )
    if isinstance(error, httpx2.TransportError | httpx2.TooManyRedirects):
        return HubOffline(
            f"The Hub at {hub} cannot be reached: {ended(_reason(error))} Check the network and the proxy; HF_ENDPOINT "
            "names another Hub."
        )
    if isinstance(error, UnicodeEncodeError) and not (get_token() or "").isascii():
        return HubRefused(f"The token for the Hub holds characters that no token has: {LOGIN} anew.")
    if isinstance(error, OSError):
        return HubError(f"Asking the Hub about {what} failed: {ended(error.strerror or _reason(error))}")
    return HubBroken(
        f"The Hub's answer about {what} cannot be read. {hub} may be no Hub, or a page of a network that wants you to "
        "log in."
    )


def no_such_proxy(error: Exception) -> HubOffline:
    """That the HTTP client cannot be made with the proxies of the environment."""
    named = ", ".join(dict.fromkeys(_shown(proxy) for kind, proxy in getproxies().items() if kind in PROXIED))
    if isinstance(error, ImportError):
        why = "SOCKS takes the package socksio, which is not installed. Install it beside Assay, or change"
    else:
        why = "a proxy that can be used is http://HOST:PORT. Change"
    return HubOffline(
        f"The Hub cannot be asked through the proxies that are named ({named}): {why} HTTPS_PROXY, HTTP_PROXY or "
        "ALL_PROXY."
    )


def proxy_of(hub: str) -> str:
    """Through which proxy an address is asked, without its password; "" where through none."""
    parts = urlsplit(hub) if _is_address(hub) else None
    if parts is None or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    named = getproxies()
    return _shown(named.get(parts.scheme) or named.get("all") or "")


def _shown(proxy: str) -> str:
    """A proxy's address as it may be printed."""
    scheme, slashes, rest = proxy.rpartition("://")
    return clean(f"{scheme}{slashes}{rest.rpartition('@')[2]}")


def _is_address(hub: str) -> bool:
    """Whether a Hub can be asked there at all."""
    try:
        address = httpx2.URL(hub)
    except httpx2.InvalidURL:
        return False
    return address.scheme in ("http", "https") and bool(address.host)


def _of_search(error: errors.HfHubHTTPError, hub: str) -> HubError | None:
    """An answer with a status that has another meaning for a search than for a model."""
    match error.response.status_code:
        case 401 if _has_token(error):
            return HubRefused(f"The Hub does not know the token that was sent (401). To search, {LOGIN} anew.")
        case 401:
            return HubRefused(f"The Hub wants to know who searches (401): {LOGIN}.")
        case 403:
            return HubRefused(f"The Hub does not let you search (403). Use a token that may: {LOGIN}.")
        case 404:
            return HubBroken(f"{hub} has no list of models (404), so it may be no Hub. HF_ENDPOINT names another one.")
    return None


def _of_model(error: errors.HfHubHTTPError, about: str, what: str, hub: str) -> HubError | None:
    """An answer whose meaning huggingface_hub knows."""
    if isinstance(error, errors.GatedRepoError):
        return HubRefused(
            f"{about} is gated: its licence has to be accepted first. Accept it at {hub}/{about}, then {LOGIN}."
        )
    if isinstance(error, errors.DisabledRepoError):
        return HubRefused(f"The Hub has switched {about} off: nobody can download it.")
    if isinstance(error, errors.RevisionNotFoundError):
        return HubNotFound(f"{about} has no such revision on the Hub. Name a branch, a tag or a whole commit.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubNotFound(
            f"The Hub has no model {about}, or it is private. Search for its name: `assay models search WORDS`. "
            f"If it is private, {LOGIN}."
        )
    if isinstance(error, errors.EntryNotFoundError):
        return HubNotFound(f"The Hub lists {what} and does not have it. Try again later.")
    return None


def _of_status(error: errors.HfHubHTTPError, about: str, what: str, hub: str) -> HubError:
    """An answer with a status that says no."""
    status = error.response.status_code
    if status == 401 and _has_token(error):
        return HubRefused(f"The Hub does not know the token that was sent (401). To use {about}, {LOGIN} anew.")
    if status == 401:
        return HubRefused(f"The Hub wants to know who asks for {what} (401): {LOGIN}.")
    if status == 403:
        return HubRefused(
            f"The Hub does not let you have {what} (403). If {hub}/{about} asks for a licence to be accepted, accept "
            f"it; else use a token that may read it: {LOGIN}."
        )
    if status == 404 and re.fullmatch(r"[\w.-]+", about):
        return _no_name(about)
    if status == 404:
        return HubNotFound(f"The Hub has nothing at the address of {what} (404).")
    if status == 429:
        wait = wait_of(error.response.headers)
        return HubBusy(
            f"The Hub has had too many requests from here (429). {_until(wait)}; with a token it takes more: {LOGIN}.",
            wait,
        )
    if status >= 500:
        return HubError(f"The Hub at {hub} has a fault of its own ({status}). Try again later.")
    return HubError(f"The Hub refused the request about {what} ({status}).")


def _has_token(error: errors.HfHubHTTPError) -> bool:
    return "authorization" in error.response.request.headers


def _until(wait: float) -> str:
    """When a busy Hub takes requests again."""
    if wait < 1:
        return "It takes new ones by now, so try again"
    for most, seconds, unit in ((120, 1, "seconds"), (7200, 60, "minutes"), (172_800, 3600, "hours")):
        if wait <= most:
            count = math.ceil(wait / seconds)
            return f"It takes new ones in {count} {unit.removesuffix('s') if count == 1 else unit}"
    return "It takes new ones in more than two days"


def _no_name(about: str) -> HubNotFound:
    return HubNotFound(f"{about!r} is no name of a model on the Hub: it is ORGANISATION/MODEL.")


def wait_of(headers: object) -> float:
    """How many seconds a busy Hub wants to be left alone: Retry-After, a number or a date, or its rate limit's end."""
    get = getattr(headers, "get", lambda _: None)
    after = get("Retry-After") or ""
    found = re.fullmatch(r"\s*(\d+)\s*", after, re.ASCII)
    if found is None:
        with contextlib.suppress(ValueError, OverflowError):
            return max((parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds(), 0.0)
        found = re.search(r";\s*t\s*=\s*(\d+)", get("RateLimit") or "", re.ASCII)
    return float(found.group(1)[:MOST_DIGITS]) if found else DEFAULT_WAIT_S


def _reason(error: BaseException) -> str:
    """A library's own words, on one line, without the number of the error."""
    words = re.sub(r"\[Errno -?\d+\] ?", "", " ".join(clean(str(error)).split()))
    return words[:200] or "the connection broke off"
