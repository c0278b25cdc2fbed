"""What huggingface_hub and the network raise, in the words of core.errors: what happened, why, what to do."""

from __future__ import annotations

import re

import httpx2
from huggingface_hub import errors

from core.errors import HubBroken, HubBusy, HubError, HubNotFound, HubOffline, HubRefused, ended
from core.text_safety import clean

LOGIN = "log in with `hf auth login` or set HF_TOKEN"
DEFAULT_WAIT_S = 60.0
LONGEST_WAIT_S = 86_400.0


def told(error: BaseException, about: str, hub: str) -> HubError:
    """A failure as a sentence; `about` is the model or the words that the Hub at the address `hub` was asked for."""
    about = clean(about)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubOffline("The Hub is not asked: HF_HUB_OFFLINE is set. Unset it to search and download.")
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
        return HubNotFound(f"The Hub says that {about} lacks a file that it lists. Try again later.")
    if isinstance(error, errors.HfHubHTTPError):
        return _of_status(error, about, hub)
    if isinstance(error, errors.HFValidationError):
        return _no_name(about)
    if isinstance(error, httpx2.TimeoutException):
        return HubOffline(f"The Hub at {hub} does not answer. Try again later; HF_ENDPOINT names another one.")
    if isinstance(error, httpx2.TransportError | httpx2.InvalidURL | httpx2.TooManyRedirects):
        return HubOffline(
            f"The Hub at {hub} cannot be reached: {ended(_reason(error))} Check the network and the proxy; HF_ENDPOINT "
            "names another Hub."
        )
    if isinstance(error, OSError):
        return HubError(f"Asking the Hub about {about} failed: {ended(error.strerror or _reason(error))}")
    return HubBroken(
        f"The Hub's answer about {about} cannot be read ({type(error).__name__}). {hub} may be no Hub, or a page of a "
        "network that wants you to log in."
    )


def _of_status(error: errors.HfHubHTTPError, about: str, hub: str) -> HubError:
    """An answer with a status that says no."""
    status = error.response.status_code
    if status == 401:
        return HubRefused(f"The Hub does not know the token that was sent (401). To use {about}, {LOGIN}.")
    if status == 403:
        return HubRefused(
            f"The Hub does not let you have {about} (403). If {hub}/{about} asks for a licence to be accepted, accept "
            f"it; else use a token that may read it: {LOGIN}."
        )
    if status == 404 and re.fullmatch(r"[\w.-]+", about):
        return _no_name(about)
    if status == 404:
        return HubNotFound(f"The Hub has nothing at the address of {about} (404).")
    if status == 429:
        wait = wait_of(error.response.headers)
        return HubBusy(
            f"The Hub has had too many requests from here (429). It takes new ones in {wait:.0f} seconds; with a token "
            f"it takes more: {LOGIN}.",
            wait,
        )
    if status >= 500:
        return HubError(f"The Hub at {hub} has a fault of its own ({status}). Try again later.")
    return HubError(f"The Hub refused the request about {about} ({status}).")


def _no_name(about: str) -> HubNotFound:
    return HubNotFound(f"{about!r} is no name of a model on the Hub: it is ORGANISATION/MODEL.")


def wait_of(headers: object) -> float:
    """How many seconds a busy Hub wants to be left alone: Retry-After, or its rate limit's end."""
    get = getattr(headers, "get", lambda _: None)
    limit = re.search(r";\s*t\s*=\s*(\d{1,9})", get("RateLimit") or "")
    after = re.fullmatch(r"\s*(\d{1,9})\s*", get("Retry-After") or "")
    found = after or limit
    return min(float(found.group(1)), LONGEST_WAIT_S) if found else DEFAULT_WAIT_S


def _reason(error: BaseException) -> str:
    """A library's own words, on one line."""
    return " ".join(clean(str(error)).split())[:200] or type(error).__name__
