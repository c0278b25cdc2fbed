"""The outcome of a golden run as a table: both answers, their verdicts, what matched, and times."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.golden.outcome import Outcome
from core.golden.parity import Break
from core.golden.plan import Plan
from core.golden.results import Attempt, Status, Verdict
from core.text_safety import clean
from core.tiers import Tier
from tui.figures import rate, seconds

MARKS = {
    Verdict.PASS: ("✓", "green"),
    Verdict.FAIL: ("✗", "red"),
    Verdict.ERROR: ("!", "red"),
    Verdict.SKIP: ("–", "yellow"),
    Verdict.XFAIL: ("✗", "yellow"),
    Verdict.XPASS: ("✓", "yellow"),
}
EXCERPT = 160
"""Characters of an answer that are shown unless all of it is asked for."""


def verdict_line(verdict: Verdict) -> Text:
    """The verdict as a mark and a word: colour alone would be lost in a pipe."""
    mark, style = MARKS[verdict]
    return Text(f"{mark} {verdict.value}", style)


def results_table(attempts: Sequence[Attempt], *, verbose: bool = False) -> Table:
    """A row for each case, route, repeat and control, with a column for each tier."""
    table = Table(show_lines=True, expand=True)
    table.add_column("case", max_width=24, overflow="fold")
    for tier in Tier:
        table.add_column(tier.value, ratio=1, overflow="fold")
    rows: dict[tuple[str, str, int, str], dict[str, Attempt]] = {}
    for attempt in attempts:
        row = (attempt.case, attempt.route, attempt.repeat, attempt.control or "")
        rows.setdefault(row, {})[attempt.tier] = attempt
    several_routes = len({route for _, route, _, _ in rows}) > 1
    several_repeats = len({repeat for _, _, repeat, _ in rows}) > 1
    for (case, route, repeat, control), tiers in rows.items():
        label = [
            case,
            f"control: {control}" if control else "",
            route if several_routes else "",
            f"repeat {repeat}" if several_repeats else "",
        ]
        name = Text(clean("\n".join(filter(None, label))))
        table.add_row(name, *(attempt_cell(tiers.get(tier), verbose=verbose) for tier in Tier))
    return table


def attempt_cell(attempt: Attempt | None, *, verbose: bool = False) -> RenderableType:
    """Verdict, answer, what matched or why not, and times, one below the other."""
    if attempt is None:
        return Text("not done", "dim")
    lines = [verdict_line(attempt.verdict)]
    if attempt.status is Status.OK:
        lines.append(Text(_said(attempt, verbose)))
    if attempt.why:
        lines.append(Text(_cut(attempt.why, verbose), "yellow"))
    elif matched := _matched(attempt):
        lines.append(Text(matched, "dim"))
    if attempt.status is Status.OK:
        lines.append(Text(_figures(attempt), "dim"))
    return Group(*lines)


def progress_line(attempt: Attempt, done: int, total: int) -> Text:
    """An attempt on one line, for a pipe."""
    label = " ".join(filter(None, (attempt.case, attempt.tier, attempt.route, attempt.control)))
    line = Text(f"{done:>{len(str(total))}}/{total} ").append(verdict_line(attempt.verdict)).append(f" {clean(label)}")
    rest = attempt.why or (_said(attempt, verbose=False) if attempt.status is Status.OK else "")
    return line.append(f": {_one_line(rest)}" if rest else "", "dim")


def model_lines(plan: Plan) -> Iterator[str]:
    """Which models stand for the tiers, a line each, and a note where one stands for both."""
    used: dict[Tier, dict[str, list[str]]] = {tier: {} for tier in Tier}
    for planned in plan.attempts:
        if planned.model:
            kinds = used[planned.tier].setdefault(planned.model.id, [])
            kinds.append("images" if planned.case.images else "text")
    for tier, models in used.items():
        named = ", ".join(f"{model} ({' and '.join(dict.fromkeys(kinds))})" for model, kinds in models.items())
        yield clean(f"{tier.value:5}  {named or 'no model'}")
    for model in used[Tier.QUICK].keys() & used[Tier.FULL].keys():
        yield clean(f"note   {model} stands for both tiers: it answers the same prompts twice.")


def summary_line(outcome: Outcome, elapsed_s: float) -> Text:
    """`quick 7/8 · full 8/8 · 12.3 s`, and what else there was."""
    parts = [_tier_part(tier, counts) for tier, counts in outcome.tiers.items()]
    for verdict in (Verdict.SKIP, Verdict.ERROR, Verdict.XFAIL, Verdict.XPASS):
        if count := outcome.verdicts.get(verdict):
            parts.append(f"{count} {verdict.value}")
    style = "bold green" if outcome.code == 0 else "bold red"
    return Text(" · ".join([*parts, seconds(elapsed_s)]), style)


def parity_lines(parity: Sequence[Break], routes: Sequence[str]) -> Iterator[str]:
    """What the routes disagree in, or that they agree."""
    if len(routes) > 1 and not parity:
        yield f"{', '.join(routes)} agree."
    yield from (clean(str(found)) for found in parity)


def _tier_part(tier: Tier, counts: Mapping[Verdict, int]) -> str:
    judged = sum(count for verdict, count in counts.items() if verdict is not Verdict.SKIP)
    return f"{tier.value} {counts.get(Verdict.PASS, 0)}/{judged}"


def _said(attempt: Attempt, verbose: bool) -> str:
    """The answer, and the calls as a program would write them."""
    calls = [f"{call['name']}({json.dumps(call['arguments'], ensure_ascii=False)})" for call in attempt.tool_calls]
    said = "\n".join(filter(None, (attempt.answer.strip(), *calls))) or "(nothing)"
    thought = f"({len(attempt.reasoning)} characters of thinking) " if attempt.reasoning else ""
    return thought + _cut(said, verbose)


def _cut(text: str, verbose: bool) -> str:
    text = clean(text) if verbose else _one_line(text)
    return text if verbose or len(text) <= EXCERPT else f"{text[: EXCERPT - 1]}…"


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _matched(attempt: Attempt) -> str:
    """`red at 2, square at 6`."""
    hits = [f"{hit.text} at {hit.start}" for check in attempt.checks for hit in check.hits]
    return clean(", ".join(hits[:6]) + (" …" if len(hits) > 6 else ""))


def _figures(attempt: Attempt) -> str:
    perf = attempt.perf
    loaded = f" after {seconds(perf['load_s'])} of loading" if perf["load_s"] else ""
    return f"first token {seconds(perf['ttft_s'])}{loaded} · {rate(perf['decode_tps'])}"
