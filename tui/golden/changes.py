"""How the class of a case is shown, in the workbench and on the command line: a sign of its own, and a style."""

from __future__ import annotations

from core.golden.compare.change import Change

SIGNS = {
    Change.REGRESSED: "✗",
    Change.IMPROVED: "✓",
    Change.FLAKY: "~",
    Change.CHANGED: "≠",
    Change.NEW: "+",
    Change.GONE: "-",
    Change.SAME: "=",
}
"""One cell each, and no two the same: a terminal may have no colours."""

STYLES = {
    Change.REGRESSED: "red",
    Change.IMPROVED: "green",
    Change.FLAKY: "yellow",
    Change.CHANGED: "yellow",
    Change.NEW: "cyan",
    Change.GONE: "dim",
    Change.SAME: "dim",
}

COLOURS = {
    Change.REGRESSED: "$error",
    Change.IMPROVED: "$success",
    Change.FLAKY: "$warning",
    Change.CHANGED: "$warning",
    Change.NEW: "$secondary",
    Change.GONE: "$dim",
    Change.SAME: "$dim",
}
"""The same in the workbench's own colours."""
