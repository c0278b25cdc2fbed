"""A server over a scripted engine, and a client that speaks raw HTTP to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import load_settings
from server.lifecycle import ApiServer
from tests.server.scripted import Script, ScriptedEngine


@dataclass(frozen=True)
class Stage:
    """A scripted engine behind a real uvicorn, and a client with the key."""

    engine: ScriptedEngine
    server: ApiServer
    url: str
    key: str
    http: httpx.Client


Staged = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Staged]:
    """Start a server whose engine plays `script` for each request."""
    opened: list[Stage] = []

    def build(script: Script | None = None, **settings: Any) -> Stage:
        chosen = load_settings(data_dir=tmp_path, hf_cache=tmp_path, port=0, **settings)
        engine = ScriptedEngine(chosen, script)
        server = ApiServer(engine, chosen)  # type: ignore[arg-type]
        url = server.start()
        key = server.key or ""
        http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30)
        opened.append(Stage(engine, server, url, key, http))
        return opened[-1]

    yield build
    for stage in opened:
        stage.http.close()
        stage.server.stop()
