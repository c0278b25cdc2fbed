"""The one way to the Hub: huggingface_hub's own client, with limits for what a Hub may answer and how long it may take.

huggingface_hub reads HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the proxies. Its session has no limits of time and
size, and waits minutes by itself where a Hub is busy; a face would rather say so at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import httpx2
import huggingface_hub
from huggingface_hub import HfApi, constants
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from core.errors import HubBroken
from core.hub.sentences import no_such_proxy, told

PROGRAM = "mlx-assay"
REPLY_BYTES = 32_000_000
"""The most that an answer may have that is no file of a download."""
REPLY_S = 60.0
"""The most time that such an answer may take."""
MOST_REQUESTS = 50
"""The most requests that one answer may take: empty pages, each with a link to the next, are no answer."""
CONNECT_S, READ_S = 10.0, 20.0
"""How long a Hub may take to answer the telephone, and be silent between two pieces."""


ODD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError)
"""What reading an answer raises that has another shape than was meant."""


class TooMuch(Exception):
    """An answer is beyond REPLY_BYTES, REPLY_S or MOST_REQUESTS; which of them, as the end of a sentence."""


def _check_reply(size: int, began: float) -> None:
    if size > REPLY_BYTES:
        raise TooMuch(f"is longer than {REPLY_BYTES / 1e6:.0f} MB")
    if time.monotonic() - began > REPLY_S:
        raise TooMuch(f"takes longer than {REPLY_S:.0f} seconds")


class _Asking(threading.local):
    """Whether the thread is in `asking`: what other parts of the process do with huggingface_hub is left as it is."""

    here = False
    requests = 0


_asking = _Asking()


class _Client(httpx2.Client):
    """Reads what is no stream within the limits, and raises for a failure before huggingface_hub tries again."""

    def send(self, request: Any, *, stream: bool = False, **how: Any) -> Any:
        if not _asking.here:
            return super().send(request, stream=stream, **how)
        _asking.requests += 1
        if _asking.requests > MOST_REQUESTS:
            raise TooMuch(f"has more than {MOST_REQUESTS} pages")
        request.extensions["timeout"] = httpx2.Timeout(READ_S, connect=CONNECT_S).as_dict()
        try:
            response = super().send(request, stream=True, **how)
            if stream and response.is_success:
                return response
            try:
                whole = _whole(response)
            finally:
                response.close()
        except httpx2.TransportError as error:
            raise told(error, str(request.url), endpoint()) from error
        hf_raise_for_status(whole)
        return whole


def _whole(response: Any) -> Any:
    """The same response with its content read."""
    pieces, size, began = [], 0, time.monotonic()
    if response.request.method != "HEAD":
        for piece in response.iter_bytes():
            size += len(piece)
            _check_reply(size, began)
            pieces.append(piece)
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() != "content-encoding"]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=b"".join(pieces) if pieces else None,
        request=response.request,
        history=response.history,
    )


def _make_client() -> httpx2.Client:
    from huggingface_hub.utils._http import hf_request_event_hook  # what its own factory installs; it has no other name

    try:
        return _Client(event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=None)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:  # the proxies of the environment
        raise no_such_proxy(error) from error


_set_up = threading.Lock()


@cache
def _limited() -> None:
    huggingface_hub.set_client_factory(_make_client)
    if "HF_HUB_VERBOSITY" not in os.environ:  # its warnings hold what a Hub wrote, and go to the terminal as they are
        huggingface_hub.logging.set_verbosity_error()


def api() -> HfApi:
    """huggingface_hub's interface, under our name and limits."""
    with _set_up:
        _limited()
    return HfApi(library_name=PROGRAM, library_version=version(PROGRAM))


def session() -> Any:
    """The httpx client behind it, shared by all threads."""
    api()
    return get_session()


def endpoint() -> str:
    """The address of the Hub: HF_ENDPOINT, or huggingface.co."""
    return str(constants.ENDPOINT)


def file_url(model_id: str, name: str, commit: str) -> str:
    """Where a file of a model is asked for."""
    return str(huggingface_hub.hf_hub_url(model_id, name, revision=commit))


def headers(**more: str) -> dict[str, str]:
    """Who asks, with the user's token, if there is one; bytes are wanted as they lie there."""
    own = build_hf_headers(library_name=PROGRAM, library_version=version(PROGRAM))
    return {**own, "Accept-Encoding": "identity", **more}


def read_bytes(model_id: str, name: str, commit: str, first: int = 0, last: int | None = None) -> bytes:
    """A file's bytes from `first` to `last`, both counted, by a range request; all of them where `last` is None.

    Raises HubError. No more than REPLY_BYTES are read.
    """
    ranged = {"Range": f"bytes={first}-{'' if last is None else last}"} if first or last is not None else {}
    with (
        asking(model_id, file=name),
        session().stream("GET", file_url(model_id, name, commit), headers=headers(**ranged)) as reply,
    ):
        wanted = None if last is None else last - first + 1
        skip = first if ranged and reply.status_code == 200 else 0  # a Hub that knows no ranges sends everything
        return _read(reply, skip, wanted)


def _read(reply: Any, skip: int, wanted: int | None) -> bytes:
    content, began = bytearray(), time.monotonic()
    for piece in reply.iter_bytes():
        content += piece
        if wanted is not None and len(content) >= skip + wanted:
            break
        _check_reply(len(content), began)
    return bytes(content[skip:] if wanted is None else content[skip : skip + wanted])


@contextmanager
def asking(about: str, *, search: bool = False, file: str = "") -> Iterator[None]:
    """Turn whatever goes wrong between here and the Hub into a HubError whose sentence names what was asked for:
    a model, a file of it, or the words of a search."""
    before, _asking.here, _asking.requests = _asking.here, True, 0
    try:
        yield
    except TooMuch as error:
        what = f"{file} of {about}" if file else about
        raise HubBroken(f"The Hub's answer about {what} {error}, so it was not read to its end.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, *ODD) as error:
        raise told(error, about, endpoint(), search=search, file=file) from error
    finally:
        _asking.here = before
