"""Each program that is installed here calls a tool and tells its result, over Responses and with its own defaults."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.clients.programs import MODEL, PROGRAMS
from tests.conftest import Api


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_finds_out_the_weather(name: str, api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, asks = PROGRAMS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{name} is not installed: uv run --with-requirements tests/clients/requirements.txt pytest …")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{api.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", api.key)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network
    for said in asks(tmp_path):
        assert "21" in said
    mine = [entry for entry in api.server.record.entries() if entry.protocol == "responses"]
    assert {entry.model for entry in mine} == {MODEL}
    assert {entry.status for entry in mine} <= {200, None}
