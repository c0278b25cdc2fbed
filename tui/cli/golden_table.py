"""The outcome of a golden run as a table: both answers, their verdicts, what matched, and times."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.golden.outcome import Outcome
from core.golden.parity import Parity
from core.golden.plan import Plan
from core.golden.results import Attempt, Status, Verdict, several_models
from core.golden.verdict import CACHED
from core.tiers import Tier
from tui.cli.encoding import shown, shown_line
from tui.cli.golden_matrix import STYLES, column, columns
from tui.figures import golden_rate, loaded_in, seconds
from tui.golden.verdicts import SIGNS

EXCERPT = 160
"""Characters of an answer that are shown unless all of it is asked for."""


def verdict_line(verdict: Verdict, *, graded: bool = False) -> Text:
    """The verdict as a mark and a word: colour alone would be lost in a pipe. `graded` marks a pass that is not
    exact."""
    return Text(f"{SIGNS[verdict]} {verdict.value}{' (graded)' if graded else ''}", STYLES[verdict])


def results_table(
    attempts: Sequence[Attempt],
    *,
    verbose: bool = False,
    images: Mapping[str, Sequence[RenderableType]] = MappingProxyType({}),
) -> Table:
    """A row for each case, repeat and control, with a column for each tier, or for each model where several answer a
    case; routes that agree share a row. `images` are shown below the name of a case, once."""
    table = Table(show_lines=True, expand=True)
    table.add_column("case", max_width=26, overflow="fold")
    matrix = several_models(attempts)
    places = columns(attempts, by_model=matrix)
    for _, heading in places:
        table.add_column(heading, ratio=1, overflow="fold")
    several_routes = len({attempt.route for attempt in attempts}) > 1
    repeated = {attempt.case for attempt in attempts if attempt.repeat > 0}
    pictured: set[str] = set()
    for row in _rows(attempts):
        first = row[0][0]
        label = [
            first.case,
            f"control: {first.control}" if first.control else "",
            ", ".join(dict.fromkeys(attempt.route for cell in row for attempt in cell)) if several_routes else "",
            f"repeat {first.repeat}" if first.case in repeated and not first.control else "",
        ]
        cells = {column(cell[0], by_model=matrix): cell for cell in row}
        name = Text("\n".join(map(shown_line, filter(None, label))))
        below = images.get(first.case, ()) if first.case not in pictured else ()
        pictured.add(first.case)
        table.add_row(Group(name, *below), *(_cell(cells.get(at, []), verbose) for at, _ in places))
    return table


def _rows(attempts: Sequence[Attempt]) -> Iterator[list[list[Attempt]]]:
    """Rows of cells; a cell holds one tier's attempts, one for each route that said the same on both tiers."""
    by_route: dict[tuple[str, int, str, str], list[Attempt]] = {}
    for attempt in attempts:
        by_route.setdefault((attempt.case, attempt.repeat, attempt.control or "", attempt.route), []).append(attempt)
    rows: dict[str, list[list[Attempt]]] = {}
    for (case, repeat, control, _), tiers in by_route.items():
        said = [[one.tier, one.verdict, one.why, one.answer, list(one.tool_calls)] for one in tiers]
        row = rows.setdefault(json.dumps([case, repeat, control, said]), [[] for _ in tiers])
        for cell, attempt in zip(row, tiers, strict=True):
            cell.append(attempt)
    yield from rows.values()


def _cell(attempts: Sequence[Attempt], verbose: bool) -> RenderableType:
    """Verdict and model, answer, what matched or why not, and each route's times, one below the other."""
    if not attempts:
        return Text("not done", "dim")
    first = attempts[0]
    name = f"  {shown_line(first.model_id)}".rstrip()
    lines = [verdict_line(first.verdict, graded=first.by_grades).append(name, "dim")]
    if first.same_as is not None:
        lines.append(Text("the same answer: this model was asked once, for both tiers", "dim"))
    elif first.status is Status.OK:
        lines.append(Text(_said(first, verbose)))
    if first.why:
        lines.append(Text(_cut(first.why, verbose), "yellow"))
    elif found := (_missed(first) if first.control else _matched(first)):
        lines.append(Text(found, "dim"))
    if first.status is Status.OK and first.same_as is None:
        lines.append(Text(_figures(attempts), "dim"))
    return Group(*lines)


def progress_line(attempt: Attempt, done: int, total: int) -> Text:
    """An attempt on one line, for a pipe."""
    label = " ".join(filter(None, (attempt.case, attempt.tier, attempt.model_id, attempt.route, attempt.control)))
    line = (
        Text(f"{done:>{len(str(total))}}/{total} ")
        .append(verdict_line(attempt.verdict, graded=attempt.by_grades))
        .append(f" {shown_line(label)}")
    )
    rest = attempt.why or (_said(attempt, verbose=False) if attempt.status is Status.OK else "")
    return line.append(f": {shown_line(rest)}" if rest else "", "dim")


def model_lines(plan: Plan) -> Iterator[str]:
    """Which models stand for the tiers, a line each, and a note where one stands for both."""
    used: dict[Tier, dict[str, list[str]]] = {tier: {} for tier in plan.options.tiers}
    for planned in plan.attempts:
        if planned.model:
            kinds = used[planned.tier].setdefault(planned.model.id, [])
            kinds.append("images" if planned.case.all_images else "text")
    for tier, models in used.items():
        named = ", ".join(f"{model} ({' and '.join(dict.fromkeys(kinds))})" for model, kinds in models.items())
        yield f"{tier.value:5}  {shown_line(named) or 'no model'}"
    for model in dict.fromkeys(one.model.id for one in plan.attempts if one.model and one.same_as is not None):
        yield f"note   {shown_line(model)} stands for both tiers: it is asked once, and its answers count on both."


def print_outcome(
    console: Console, outcome: Outcome, parity: Parity, routes: Sequence[str], elapsed_s: float | None = None
) -> None:
    """What a run came to, below its table."""
    for line in (*rate_lines(outcome), *parity_lines(parity, routes), *outcome.reasons):
        console.print(line)
    for note in outcome.notes:
        console.print(f"note: {note}", style="yellow")
    console.print(summary_line(outcome, elapsed_s))


def summary_line(outcome: Outcome, elapsed_s: float | None = None) -> Text:
    """`quick 7/8 · full 8/8 · 12.3 s`, in cases, and what else there was."""
    parts = []
    for group in outcome.groups:
        parts.append(f"{shown_line(group.model) or group.tier.value} {group.held}/{group.judged}")
        if group.judged and group.value not in (group.held / group.judged, 1.0):
            parts[-1] += f" ({group.value:.0%})"
    if outcome.shared:
        parts[-1] += f" ({outcome.shared} of them the same answers)"
    if outcome.controls:
        parts.append(_share("controls", outcome.controls))
    if outcome.graded:
        parts.append(f"{len(outcome.graded)} by graded checks")
    for verdict in (Verdict.SKIP, Verdict.ERROR, Verdict.XFAIL, Verdict.XPASS):
        if count := outcome.verdicts.get(verdict):
            parts.append(f"{count} {verdict.value}")
    style = "bold green" if outcome.code == 0 else "bold red"
    return Text(" · ".join([*parts, *([] if elapsed_s is None else [seconds(elapsed_s)])]), style)


def parity_lines(parity: Parity, routes: Sequence[str]) -> Iterator[str]:
    """What the routes disagree in, or that they agree; nothing when there was nothing to compare."""
    if parity.compared and not parity.breaks:
        seen = " and with what the engine witnessed" if parity.witnessed and not parity.claimed else ""
        yield f"{', '.join(routes)} agree in all {parity.compared} comparisons{seen}."
    yield from (shown_line(str(found)) for found in parity.breaks)


def rate_lines(outcome: Outcome) -> Iterator[str]:
    """How often each case that was asked with several seeds held, with the 95 % interval of its rate."""
    for rate in outcome.rates:
        if rate.tries > 1:
            yield shown_line(
                f"{rate.case} ({rate.tier}): {rate.passes} of {rate.tries} held ({rate.low:.0%} to {rate.high:.0%})."
            )


def _share(name: str, counts: Mapping[Verdict, int]) -> str:
    idle = counts.get(Verdict.INCONCLUSIVE, 0)
    judged = sum(counts.values()) - counts.get(Verdict.SKIP, 0) - idle
    more = f" and {idle} inconclusive" if idle else ""
    return f"{name} {counts.get(Verdict.PASS, 0)}/{judged}{more}"


def _said(attempt: Attempt, verbose: bool) -> str:
    """The answer, and the calls as a program would write them."""
    said = attempt.said or "(nothing)"
    thought = f"({len(attempt.reasoning)} characters of thinking) " if attempt.reasoning else ""
    return thought + _cut(said, verbose)


def _cut(text: str, verbose: bool) -> str:
    text = shown(text) if verbose else shown_line(text)
    return text if verbose or len(text) <= EXCERPT else f"{text[: EXCERPT - 1]}…"


def _matched(attempt: Attempt) -> str:
    """`red at 2, square at 6`."""
    hits = [f"{hit.text} at {hit.start}" for check in attempt.checks for hit in check.hits]
    return shown_line(", ".join(hits[:6]) + (" …" if len(hits) > 6 else ""))


def _missed(attempt: Attempt) -> str:
    """What a control's answer lacks, as it must."""
    return shown_line("; ".join(phrase for check in attempt.checks[:1] for phrase in check.failed))


def _figures(attempts: Sequence[Attempt]) -> str:
    """`TTFT 0.31 s · 88 tok/s`, of several `TTFT 0.31 / 0.05 (cached) s · 88 / too short tok/s`; loading stands apart.

    A rate is left out where no answer was long enough to tell one.
    """
    waits = " / ".join(
        f"{attempt.perf['ttft_s']:.2f}{' (cached)' if attempt.perf['warmth'] == CACHED else ''}" for attempt in attempts
    )
    known = [golden_rate(attempt) for attempt in attempts]
    rates = f"{' / '.join(rate or 'too short' for rate in known)} tok/s" if any(known) else ""
    return " · ".join(filter(None, (f"TTFT {waits} s", rates, *map(loaded_in, attempts))))
