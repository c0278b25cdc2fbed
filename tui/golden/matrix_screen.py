"""Cases by tiers, or by models where several answered: verdicts, rates and how often each held, disagreements first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from core.golden.compare.change import Tries
from core.golden.results import Attempt, Verdict, several_models
from tui.actions import bindings
from tui.cli.golden_matrix import WORST, column, columns
from tui.figures import golden_rate
from tui.foreign import plain, short_name, shorten
from tui.golden.answer import STYLES
from tui.golden.verdicts import SIGNS
from tui.widgets.footer import KeyFooter
from tui.widgets.row_table import Column, RowTable

CELLS, ROOMY_CELLS = 10, 18
"""Of a tier's or a model's column: for the sign with k of n, and with a rate beside it."""
DIFFER = "differ"


@dataclass(frozen=True)
class Place:
    """What came of a case in one column."""

    verdict: Verdict
    passes: int
    tries: int
    rate: str
    graded: bool


class Matrix:
    """The attempts as rows of cases and columns of tiers or models; controls are left out. `order` is that of the
    suite's cases."""

    def __init__(self, attempts: Iterable[Attempt], order: Iterable[str] = ()) -> None:
        own = [one for one in attempts if one.control is None]
        by_model = several_models(own)
        self.columns = [(f"{at[0]} {at[1]}", short_name(name)) for at, name in columns(own, by_model=by_model)]
        groups: dict[tuple[str, str], list[Attempt]] = {}
        for one in own:
            tier, model = column(one, by_model=by_model)
            groups.setdefault((one.case, f"{tier} {model}"), []).append(one)
        self.places = {key: _place(group) for key, group in groups.items()}
        answered = dict.fromkeys(one.case for one in own)
        cases = dict.fromkeys([*(case for case in order if case in answered), *answered])
        self.rows = sorted(cases, key=lambda case: (not self.differs(case), self._holds(case)))

    def differs(self, case: str) -> bool:
        """Whether it held in one column, and in another not or less often."""
        told = [(place.passes, place.tries) for place in self._of(case) if place.tries]
        return any(passes * told[0][1] != told[0][0] * tries for passes, tries in told)

    def _holds(self, case: str) -> bool:
        return all(place.passes == place.tries for place in self._of(case))

    def _of(self, case: str) -> list[Place]:
        return [self.places[case, key] for key, _ in self.columns if (case, key) in self.places]


def _place(attempts: Sequence[Attempt]) -> Place:
    tries = Tries.of(attempts)
    worst = min((one.verdict for one in attempts), key=WORST.index)
    rate = next((rate for one in attempts if (rate := golden_rate(one))), "")
    return Place(worst, tries.passes, tries.tries, rate, any(one.by_grades for one in attempts))


class MatrixScreen(ModalScreen[str | None]):
    """Dismissed with the case that the person wants to look at, or with None."""

    BINDINGS: ClassVar = bindings("matrix")

    table = getters.query_one("#matrix-table", RowTable)

    def __init__(self, attempts: Iterable[Attempt], order: Iterable[str]) -> None:
        super().__init__(classes="dialogue")
        self._matrix = Matrix(attempts, order)

    def compose(self) -> ComposeResult:
        told = self._matrix.columns
        needs = 46 + len(told) * (ROOMY_CELLS + 2)
        places = [
            Column(key, shorten(name, CELLS), CELLS, roomy=Column(key, shorten(name, ROOMY_CELLS), ROOMY_CELLS, needs))
            for key, name in told
        ]
        differ = sum(self._matrix.differs(case) for case in self._matrix.rows)
        with Vertical(classes="box matrix-box") as box:
            box.border_title = "Matrix"
            box.border_subtitle = f"{differ} of {len(self._matrix.rows)} differ"
            heads = (Column("case", "prompt"), *places, Column(DIFFER, "", 8))
            yield RowTable(heads, self._cell, empty="Nothing has been answered: R runs the suite.", id="matrix-table")
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.table.widest = max(map(cell_len, self._matrix.rows), default=0)
        self.table.show(self._matrix.rows)
        self.table.rows.focus()

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        if column.key == "case":
            return plain(shorten(key, cells))
        if column.key == DIFFER:
            return Content.styled(DIFFER if self._matrix.differs(key) else "", "$warning")
        place = self._matrix.places.get((key, column.key))
        if place is None:
            return Content.styled("·", "$dim")
        count = f" {place.passes} of {place.tries}" if place.tries > 1 else ""
        rate = f" {place.rate} tok/s" if place.rate and cells >= ROOMY_CELLS else ""
        sign = f"{SIGNS[place.verdict]}{'g' * place.graded}"
        return Content.assemble((f"{sign}{count}", STYLES[place.verdict]), (rate, "$dim"))

    def action_open(self) -> None:
        self.dismiss(self.table.selected)

    def action_close(self) -> None:
        self.dismiss(None)
