"""How a verdict is shown, in the workbench and on the command line: a sign of its own, and words."""

from __future__ import annotations

from core.golden.results import Verdict

SIGNS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.ERROR: "!",
    Verdict.SKIP: "»",
    Verdict.XFAIL: "x",
    Verdict.XPASS: "+",
    Verdict.INCONCLUSIVE: "?",
}
"""One cell each, and no two the same: a terminal may have no colours."""

WORDS = {
    Verdict.PASS: "passes",
    Verdict.FAIL: "fails",
    Verdict.ERROR: "error",
    Verdict.SKIP: "skipped",
    Verdict.XFAIL: "expected failure",
    Verdict.XPASS: "unexpected pass",
    Verdict.INCONCLUSIVE: "shows nothing",
}
