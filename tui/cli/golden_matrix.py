"""Cases by models: a sign for each, and below it why answers fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from core.golden.results import Attempt, Verdict
from tui.cli.encoding import shown_line
from tui.golden.verdicts import SIGNS

Column = tuple[str, str]
"""A tier and, where several models answer a case, a model."""

STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "red",
    Verdict.SKIP: "yellow",
    Verdict.XFAIL: "yellow",
    Verdict.XPASS: "yellow",
    Verdict.INCONCLUSIVE: "yellow",
}
WORST = (
    Verdict.ERROR,
    Verdict.FAIL,
    Verdict.XFAIL,
    Verdict.XPASS,
    Verdict.PASS,
    Verdict.INCONCLUSIVE,
    Verdict.SKIP,
)
"""The verdict that stands for several."""


def columns(attempts: Sequence[Attempt], *, by_model: bool) -> list[tuple[Column, str]]:
    """The columns of a table, each with its heading: tiers, or models, with their tier where there are two."""
    found = dict.fromkeys(column(attempt, by_model=by_model) for attempt in attempts)
    if not by_model:
        return [(at, at[0]) for at in sorted(found, reverse=True)]  # quick before full
    several_tiers = len({tier for tier, _ in found}) > 1
    return [(at, shown_line(f"{at[1]} ({at[0]})" if several_tiers else at[1])) for at in found]


def column(attempt: Attempt, *, by_model: bool) -> Column:
    """In which column an attempt stands."""
    return attempt.tier, attempt.model_id if by_model else ""


def matrix_table(attempts: Sequence[Attempt]) -> Table:
    """A row for each case and control, a column for each model, in each cell a sign and, of several tries, k of n."""
    places = columns(attempts, by_model=True)
    table = Table(show_lines=False, expand=False)
    table.add_column("case", overflow="fold")
    for _, name in places:
        table.add_column(name, overflow="fold")
    rows: dict[tuple[str, str | None], dict[Column, list[Attempt]]] = {}
    for attempt in attempts:
        row = rows.setdefault((attempt.case, attempt.control), {})
        row.setdefault(column(attempt, by_model=True), []).append(attempt)
    for (case, control), row in rows.items():
        name = shown_line(case) + (f" ({control})" if control else "")
        table.add_row(name, *(_sign(row.get(at, [])) for at, _ in places))
    return table


def failure_lines(attempts: Sequence[Attempt]) -> Iterator[Text]:
    """A line for each answer that fails, with the reason and what was said; alike ones of one model once."""
    told: set[str] = set()
    for one in attempts:
        if one.verdict in (Verdict.FAIL, Verdict.ERROR):
            control = f" ({one.control})" if one.control else ""
            label = shown_line(f"{one.case}{control} {one.model_id}")
            line = f"{SIGNS[one.verdict]} {label}: {shown_line(one.why)}  {shown_line(one.said)[:120]}".rstrip()
            if line not in told:
                told.add(line)
                yield Text(line, STYLES[one.verdict])


def _sign(attempts: Sequence[Attempt]) -> Text:
    if not attempts:
        return Text("not done", "dim")
    worst = min((one.verdict for one in attempts), key=WORST.index)
    tries = {(one.route, one.repeat): one.verdict for one in attempts}
    passed = sum(verdict in (Verdict.PASS, Verdict.XPASS) for verdict in tries.values())
    count = f" {passed} of {len(tries)}" if len(tries) > 1 else ""
    graded = " (graded)" if any(one.by_grades for one in attempts) else ""
    return Text(f"{SIGNS[worst]}{count}{graded}", STYLES[worst])
