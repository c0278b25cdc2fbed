"""The tests pass whatever the person who runs them has set: some that would notice, in such an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

SET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": "/nowhere",
    "HF_TOKEN": "hf_of_somebody",
    "TRANSFORMERS_OFFLINE": "1",
    "NO_COLOR": "1",
    "FORCE_COLOR": "1",
    "COLUMNS": "40",
    "TERM": "dumb",
    "TEXTUAL_THEME": "nord",
    "ASSAY_PORT": "1",
    "ASSAY_QUICK_MODEL": "somebody/else",
    "ASSAY_CPU_FLOAT32": "false",
    "ASSAY_MAX_QUEUE": "1",
    "MLX_RANK": "3",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "PYTHONDONTWRITEBYTECODE": "1",
}
WOULD_NOTICE = (
    "tests/core/test_settings.py",
    "tests/core/test_engine_audio.py::test_a_family_that_reaches_for_the_network_is_stopped",
    "tests/tui/cli/test_main.py::test_the_version_is_one_line",
    "tests/server/openai/test_client.py::test_a_stream_says_the_same_token_by_token",
    "tests/tui/test_snapshots.py::test_first_frame",
)


@pytest.mark.parametrize("locale", ["C", "tr_TR.ISO-8859-9"])
def test_what_is_set_outside_changes_nothing(locale: str, tmp_path: Path) -> None:
    chosen = WOULD_NOTICE if locale == "C" else WOULD_NOTICE[:1]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "--basetemp", tmp_path / "t"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LC_"))}
    settings = SET | {"LANG": locale, "LC_ALL": locale}
    done = subprocess.run(
        [*command, *chosen], cwd=ROOT, env=env | settings, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_variable_that_no_end_to_end_test_asks_for_is_told() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/e2e"]
    env = os.environ | {"ASSAY_E2E_TXT": "/nowhere", "ASSAY_E2E_SPEAKER": "/nowhere"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    told = "ASSAY_E2E_TXT: no test asks for that. There are ASSAY_E2E_TEXT, ASSAY_E2E_VISION_QUICK,"
    assert told in done.stdout + done.stderr
