"""What decoding a body of either protocol gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from core.calls.requests import GenerationRequest
from core.errors import InvalidRequest


@dataclass(frozen=True)
class Decoded:
    """`warnings` name what had no effect; `one_call` asks that an answer hold one tool call at most."""

    request: GenerationRequest
    warnings: tuple[str, ...] = ()
    one_call: bool = False

    def for_model(self, model: str) -> Decoded:
        """The same for a model of the catalog: which one a tier means depends on what was decoded."""
        return replace(self, request=replace(self.request, model=model))


@contextmanager
def own_names(names: Mapping[str, str]) -> Iterator[None]:
    """Errors of the engine's checks name fields as the client called them: `names` tells that of theirs."""
    try:
        yield
    except InvalidRequest as error:
        theirs = error.param or ""
        if theirs in names:
            error.param = names[theirs]
            if error.message.startswith(f"{theirs} "):
                error.message = error.param + error.message.removeprefix(theirs)
                error.args = (error.message,)
        raise


def ineffective(fields: Iterable[str]) -> list[str]:
    """The warning that lists fields which were accepted and had no effect; none when there are none."""
    names = ", ".join(fields)
    return [f"no effect: {names}"] if names else []


def remote_image(url: str) -> bool:
    """Whether an image address has to be fetched. Everything else must be a data URI: a request never names a file."""
    return url[:8].lower().startswith(("http://", "https://"))


def remote_images(urls: Iterable[str]) -> list[str]:
    """Those of image addresses that have to be fetched, each once."""
    return list(dict.fromkeys(filter(remote_image, urls)))
