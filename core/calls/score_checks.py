"""What can be said of a request for a score without its model in memory: values, types and sizes."""

from __future__ import annotations

from dataclasses import replace

from core.calls.generation_checks import check_request
from core.calls.requests import Sampling
from core.calls.scoring import MOST_ALTERNATIVES, MOST_COPIES, ScoreRequest
from core.catalog import Catalog
from core.errors import InvalidRequest


def check_score(request: ScoreRequest, catalog: Catalog) -> None:
    """Raises ModelNotFound, UnsupportedInput or InvalidRequest, with the value and what is allowed."""
    for model in request.models:
        check_request(replace(request.prompt, model=model, sampling=Sampling()), catalog)
    if request.against == request.model:
        raise InvalidRequest(f"{request.model} is held against itself; name another model.", "against")
    if not request.answer:
        raise InvalidRequest("The answer is empty: there is nothing to score.", "answer")
    if not isinstance(request.answer, str) and not all(_is_whole(token) for token in request.answer):
        raise InvalidRequest("The answer must be a text, or whole numbers that are ids of tokens.", "answer")
    _check("top", request.top, MOST_ALTERNATIVES, "alternatives are told", least=0)
    how = request.conditions
    if how.rows is not None:
        _check("rows", how.rows, MOST_COPIES, "are computed side by side")
    if how.pace is not None:
        _check("pace", how.pace, 1 << 31, "tokens are read at once")


def _check(name: str, value: object, most: int, what: str, least: int = 1) -> None:
    if not _is_whole(value):
        raise InvalidRequest(f"{name} is {value!r}; it must be a whole number.", name)
    assert isinstance(value, int)
    if not least <= value <= most:
        raise InvalidRequest(f"{name} is {value}; {least} to {most} {what}.", name)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
