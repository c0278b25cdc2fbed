"""The ways to the models that a golden run on the command line was asked for: an engine, a server, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from core.catalog import Catalog, ModelInfo
from core.engine import Engine
from core.errors import ModelNotFound
from core.golden.models import Chooser, from_disk, from_server
from core.golden.plan import on_this_disk
from core.golden.routes import InProcess, Route
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.http import Dialect, HttpRoute, list_models, model_fingerprint
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.golden.suite import ROUTES, SuiteError
from core.settings import Settings
from core.tiers import Tier

ALL = "all"
"""What stands for every route."""


def open_routes(
    stack: ExitStack, asked: Mapping[str, Any], key: str, settings: Settings
) -> tuple[Engine | None, dict[str, Route], Chooser, Callable[[ModelInfo], str]]:
    """The engine if one is needed, a route for each name, how to choose models, and how to tell the states of their
    files apart; what is started ends with `stack`.

    `asked` holds what the command line said: route, url, quick and full; `key` is the key to its url. Without a url the
    HTTP routes lead to a server of the run's own, over the same engine. Raises EngineError.
    """
    names = route_names(asked["route"])
    url: str | None = asked["url"]
    own = {tier: asked[tier.value] for tier in Tier if asked[tier.value]}
    models: list[str] = asked["model"]
    if own and models:
        raise SuiteError("--model names who answers, and --quick and --full name others: leave one of them out.")
    if url and asked["isolated"]:
        raise SuiteError("--isolated-times needs an engine that nothing else uses: leave out --url.")
    if url and "in-process" not in names:
        known = {info.id: info for info in Catalog(settings).list()}
        served = list_models(url, key)
        if absent := [model for model in models if model not in served]:
            raise ModelNotFound(f"The server has no model {absent[0]}. It has {', '.join(sorted(served)) or 'none'}.")
        chooser = from_server(served, known, own)
        return None, _http_routes(names, url, key), chooser, lambda model: model_fingerprint(url, key, model.id)
    if asked["isolated"]:  # what is kept of prompts would make later attempts quicker than the first
        settings = settings.model_copy(update={"cache_budget_gb": 0.0})
    tiers = [] if not models else list(Tier)  # what the settings name does not come before them
    settings = settings.model_copy(
        update={f"{tier.value}_model": None for tier in tiers}
        | {f"{tier.value}_model": model for tier, model in own.items()}
    )
    catalog = Catalog(settings)
    for model in models:
        catalog.get(model)  # a wrong name is said before anything is loaded
    choose = from_disk(catalog, settings)
    engine = stack.enter_context(Engine(settings, catalog))
    routes: dict[str, Route] = {"in-process": InProcess(engine)} if "in-process" in names else {}
    if names != ["in-process"]:
        if not url:
            url, key = _serve(stack, engine, settings)
        routes |= _http_routes(names, url, key)
    return engine, routes, choose, on_this_disk


def route_names(asked: Sequence[str]) -> list[str]:
    """The routes in their usual order, each once."""
    return [name for name in ROUTES if name in asked or ALL in asked]


def _serve(stack: ExitStack, engine: Engine, settings: Settings) -> tuple[str, str]:
    """Address and key of a server over the engine, on a free port."""
    from server.lifecycle import ApiServer

    server = ApiServer(engine, settings.model_copy(update={"host": "127.0.0.1", "port": 0}))
    stack.callback(server.stop)
    return server.start(0), server.key or ""


def _http_routes(names: Sequence[str], url: str, key: str) -> dict[str, Route]:
    dialects: dict[str, Dialect] = {"openai": OpenAI(), "responses": Responses(), "anthropic": Anthropic()}
    return {name: HttpRoute(dialects[name], url, key) for name in names if name in dialects}
