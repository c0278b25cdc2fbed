"""A report as Markdown for a pull request, and as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

from core.golden.reports.report import Entry, Report, held
from core.golden.results import Verdict
from core.text_safety import clean

SIGNS = {
    Verdict.PASS: "✅",
    Verdict.FAIL: "❌",
    Verdict.ERROR: "💥",
    Verdict.SKIP: "⏭️",
    Verdict.XFAIL: "🟡",
    Verdict.XPASS: "🟠",
    Verdict.INCONCLUSIVE: "❔",
}
MOST_SHOWN = 2_000
"""Characters of an answer in Markdown; a comment on a pull request takes 65,536 in all."""
COLUMNS = (
    "case",
    "tier",
    "model",
    "control",
    "route",
    "repeat",
    "verdict",
    "graded",
    "why",
    "answer",
    "finish",
    "ttft_s",
    "total_s",
    "decode_tps",
)
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+-]?\d+([.,]\d+)*$")


def markdown(report: Report) -> str:
    """The report as Markdown: a table of all cases, and below it what failed, with its answers."""
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in report.counts.items())
    lines = [f"## Golden prompts: {_inline(report.suite)}", "", f"{counts or 'Nothing was answered'}."]
    lines += [f"- {_inline(sentence)}" for sentence in report.sentences]
    lines += [
        "",
        f"| case | tier | model | verdict | tries | since {report.since} |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in report.entries:
        control = f" (control: {entry.control})" if entry.control else ""
        cells = (
            _inline(entry.case) + control,
            entry.tier,
            _inline(entry.model),
            f"{SIGNS[entry.verdict]} {entry.verdict.value}{' (graded)' if entry.graded else ''}",
            f"{entry.tries.passes} of {entry.tries.tries}" if entry.tries.tries > 1 else "",
            entry.change.value if entry.change else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    if report.gone:
        lines += ["", f"Answered in {_inline(report.since)} alone: {_inline(', '.join(report.gone))}."]
    for entry in report.entries:
        if not held(entry):
            lines += ["", f"<details><summary>{_html(entry.label)}: {_html(entry.why)}</summary>", ""]
            lines += [_fenced(entry), "", "</details>"]
    lines += ["", f"<sub>Run {report.run}, {_inline(', '.join(report.models))}</sub>", ""]
    return "\n".join(lines)


def table(report: Report) -> str:
    """The report as CSV, a row for each attempt. A cell that a spreadsheet would take for a formula begins with '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in report.entries:
        for one in entry.attempts:
            perf = (one.perf.get(name) for name in ("ttft_s", "total_s", "decode_tps"))
            row = (one.case, one.tier, one.model_id, one.control, one.route, one.repeat, one.verdict.value)
            told = ("yes" if one.by_grades else "", one.why, one.said, one.finish)
            writer.writerow(["" if cell is None else _cell(str(cell)) for cell in (*row, *told, *perf)])
    return out.getvalue()


def _cell(text: str) -> str:
    safe = clean(text)
    return f"'{safe}" if _FORMULA.match(safe) and not _NUMBER.match(safe) else safe


def _fenced(entry: Entry) -> str:
    """The answer in a fence that nothing in it can end."""
    said = clean(entry.answer) or "(nothing)"
    if len(said) > MOST_SHOWN:
        said = f"{said[:MOST_SHOWN]}\n… {len(said) - MOST_SHOWN} more characters"
    longest = max((len(run) for run in re.findall(r"`+", said)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{said}\n{fence}"


def _html(text: str) -> str:
    """Text on one line inside a tag."""
    line = " ".join(clean(text).split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _inline(text: str) -> str:
    """Text on one line that Markdown does not read as markup, nor a forge as a mention."""
    line = re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", _html(text))
    return line.replace("@", "@\u200b")
