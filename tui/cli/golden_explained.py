"""An explanation of two answers, drawn: where they part, and what models make of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.golden.explain.divergence import Divergence, Kind, Side, spelled
from core.golden.explain.explanation import Explanation
from core.golden.explain.likelihood import LEVELS, Likelihood, Piece, level
from tui.cli.encoding import clean, shown_line

BEFORE = 70
"""Characters shown of what two answers have in common."""
MARGIN = 2
"""Cells left of a strip."""


def print_explanation(console: Console, found: Explanation) -> None:
    """All of it: the place where the answers part, the table, and a strip for each model."""
    console.print(shown_line(found.left.attempt.case), style="bold")
    if found.divergence is None:
        console.print("There is no other answer to hold against this one:")
        console.print(f"  {shown_line(found.left.label)}: {_quoted(found.text)}", soft_wrap=True)
    else:
        _print_divergence(console, found, found.divergence)
    console.print()
    _print_likelihoods(console, found)
    for note in found.notes:
        console.print(shown_line(note), style="yellow", soft_wrap=True)


def _print_divergence(console: Console, found: Explanation, divergence: Divergence) -> None:
    traces = [one for one in (found.left, found.right) if one is not None]
    if divergence.sides is None:
        for one in traces:
            console.print(f"  {shown_line(one.label)}: {_quoted(one.attempt.answer)}", soft_wrap=True)
    else:
        place = f"They part at token {divergence.position + 1}"
        before = divergence.before
        cut = f"…{before[-BEFORE:]}" if len(before) > BEFORE else before
        console.print(shown_line(f"{place}, after {cut!r}." if before else f"{place}, the first."), soft_wrap=True)
        console.print(_sides_table(divergence.sides))
        floors = [f"{side.trace.request.model}: {_floor(side)}" for side in divergence.sides]
        for line in dict.fromkeys(floors):
            console.print(shown_line(f"Noise floor of {line}"), style="dim", soft_wrap=True)
    style = "yellow" if divergence.within_noise else "green" if divergence.kind is Kind.SAME else None
    console.print(shown_line(divergence.verdict), style=style, soft_wrap=True)


def _sides_table(sides: Sequence[Side]) -> Table:
    table = Table(show_lines=True)
    for name in ("", "said", "likely there", "margin"):
        table.add_column(name, overflow="fold")
    for side in sides:
        candidates = "\n".join(
            f"{'▸' if one.token_id == side.said.token_id else ' '} {_words(spelled(one))} {chance(one.logprob)}"
            for one in side.candidates
        )
        said = f"{_words(spelled(side.said))}\n{chance(side.said.logprob)}, rank {side.said.rank}"
        within = "within noise" if side.within_noise else "beyond noise"
        cells = (
            side.trace.label.replace(", ", "\n"),
            said + ("\ndrawn by chance" if side.sampled else ""),
            candidates,
            f"{side.margin:+.3g} nats\n{within}",
        )
        table.add_row(*(Text("\n".join(map(shown_line, cell.split("\n")))) for cell in cells))
    return table


def _floor(side: Side) -> str:
    by = ", ".join(f"{name} {nats:.2g}" for name, nats in side.floor.by.items())
    tokens = f"{side.floor.tokens} token{'' if side.floor.tokens == 1 else 's'}"
    return f"{side.floor.nats:.2g} nats over {tokens} ({by})."


def _print_likelihoods(console: Console, found: Explanation) -> None:
    table = Table(title=f"How likely is {_quoted(found.text)}?", title_justify="left", title_style="")
    for name in ("model", "tokens", "bits/byte", "would rather say", "KL mean", "KL max"):
        table.add_column(name, overflow="fold", justify="right" if name in NUMBERS else "left")
    for one in found.likelihoods:
        table.add_row(*(Text(shown_line(cell)) for cell in _row(one)))
    console.print(table)
    if any(one.score is not None and not one.as_written for one in found.likelihoods):
        console.print("* tokens made of the text, not those that were written", style="dim", soft_wrap=True)
    own, *others = found.likelihoods
    drawn = [one for one in others if one.pieces]
    for one in drawn:
        by = "KL by token" if one.kl is not None else "difference in nats by character"
        console.print(shown_line(f"Where {one.model} parts from {own.model} ({by}):"), soft_wrap=True)
        for line in strip(one.pieces, max(console.width - MARGIN, 10)):
            console.print(" " * MARGIN + line, soft_wrap=True)
    if drawn:
        scale = " ".join(f"{level(bound)} {bound:g}" for bound in LEVELS)
        console.print(f"{' ' * MARGIN}{scale} nats", style="dim", soft_wrap=True)
    for one in found.likelihoods:
        if one.note or one.error:
            console.print(shown_line(f"{one.model}: {one.note or one.error}"), style="yellow", soft_wrap=True)


NUMBERS = {"tokens", "bits/byte", "KL mean", "KL max"}


def _row(one: Likelihood) -> tuple[str, ...]:
    if one.score is None:
        return one.model, "", "", "(not scored)", "", ""
    tokens = f"{len(one.score.tokens)}{'' if one.as_written else '*'}"
    place = one.elsewhere
    rather = "nothing else"
    if place is not None:
        token = one.score.tokens[place]
        rather = f"{_words(spelled(token.top[0]))} for {_words(spelled(token))}, token {place + 1}"
    kl = ("–", "–") if one.kl is None or one.mean_kl is None else (f"{one.mean_kl:.3g}", f"{max(one.kl):.3g}")
    return one.model, tokens, f"{one.bits_per_byte:.3f}", rather, *kl


def strip(pieces: Sequence[Piece], width: int) -> Iterator[str]:
    """Lines of the text, `width` cells at most, and under each the marks that say where the models part."""
    text = marks = ""
    for piece, nats in pieces:
        for character in clean(piece).replace("\t", " "):
            cells = cell_len(character)
            if character == "\n" or cell_len(text) + cells > width:
                yield from _strip_line(text, marks)
                text = marks = ""
            if character != "\n":
                text += character
                marks += level(nats) * cells
    yield from _strip_line(text, marks)


def _strip_line(text: str, marks: str) -> Iterator[str]:
    """The marks of a line in which there are none say nothing."""
    if text:
        yield text
        if marks.strip():
            yield marks.rstrip()


def chance(logprob: float) -> str:
    """A probability as people read it: `73.1 %`, `0.02 %`, `1e-07`."""
    from math import exp

    value = exp(logprob)
    if value >= 0.001:
        return f"{100 * value:.3g} %"
    return f"{value:.0e}"


def _words(text: str) -> str:
    return text or "(nothing)"


def _quoted(text: str) -> str:
    line = shown_line(text)
    return repr(line if len(line) <= BEFORE else f"{line[:BEFORE]}…")
