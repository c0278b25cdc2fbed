"""How images are drawn, chosen by what the terminal has answered, and without textual-image asking it anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from tui.graphics import ANSWER, Graphics
graphics = Graphics()
for answer in ANSWER.finditer(sys.argv[1].encode().decode("unicode_escape")):
    graphics.take(answer)
print(graphics.widget_class().__module__, graphics.widget_class().__name__, graphics.cell_size())
"""


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        (r"\x1b[6;18;9t\x1b[?62;4c", "textual_image.widget.sixel Image (9, 18)"),
        (r"\x1b_Gi=31;OK\x1b\\\x1b[?62c", "textual_image.widget TGPImage (10, 20)"),
        (r"\x1b_Gi=31;OK\x1b\\\x1b[?62;4c", "textual_image.widget.sixel Image (10, 20)"),
        (r"\x1b_Gi=31;ENOTSUP\x1b\\\x1b[?1;2c", "textual_image.widget HalfcellImage (10, 20)"),
        (r"\x1b[6;0;0t\x1b[?62c", "textual_image.widget HalfcellImage (10, 20)"),
        ("", "textual_image.widget HalfcellImage (10, 20)"),
    ],
)
def test_the_answers_decide(answers: str, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HALF_CELLS", "")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, answers], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert run.stdout.strip() == chosen, run.stderr
    assert "\x1b" not in run.stdout
