"""Generated requests, right and wrong, by the published types: none ends in a 500, and no answer has another form.

`CONFORMANCE_EXAMPLES=500 uv run pytest -n 0 tests/conformance` looks for longer.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conformance.document import POSTS, document
from tests.conftest import Api

EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "6"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LET_BE = ("stream_options", "store", "background")
"""Of a request that is not streamed, or that nobody comes back for."""


@pytest.fixture(scope="module")
def schema(tiny_api: Api) -> Any:
    made = schemathesis.openapi.from_dict(document())
    made.config.update(base_url=tiny_api.url, headers={"authorization": f"Bearer {tiny_api.key}"})
    return made


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_answer_is_one_that_the_protocol_knows(schema: Any, path: str, mode: GenerationMode) -> None:
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path]["POST"].as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict):
            for name in LET_BE:
                case.body.pop(name, None)
        answer = case.call(timeout=60)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    ask()
    assert statuses.total() >= min(EXAMPLES, 5)
    assert 401 not in statuses
    if mode is GenerationMode.POSITIVE:
        assert statuses[200], statuses
