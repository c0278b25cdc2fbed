"""`assay golden accept`, `review` and `accepted`: what a run says otherwise than before, one answer at a time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown, shown_line
from tui.cli.golden_suite import fail, open_kept, open_suite, problem_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from core.golden.baselines.files import Accepted
    from core.golden.baselines.standing import Candidate
    from core.golden.results import RunFolder
    from core.golden.suite import Case, Suite

KEYS = {"a": "accept", "r": "reject", "s": "skip", "q": "quit"}
IMAGE_ROWS, LEAST_ROWS, OTHER_ROWS = 12, 4, 10
"""Cells that an image is high, at most and at least, and what the rest of an answer takes of the screen."""


def accept_answers(run: str, folder: Path | None, cases: Sequence[str], tier: str | None) -> int:
    """Accept what is pending of a run, but for answers that fail; returns the exit code. Raises EngineError."""
    from core.golden.baselines.standing import accept
    from tui.golden.pending import label

    kept, suite, waiting = _waiting(run, folder, cases, tier)
    accepted = 0
    for one in waiting:
        if one.holds:
            path = accept(suite, one).path
            accepted += 1
            print(f"accepted  {shown_line(label(one))}  {shown_line(_relative(path, suite))}")  # noqa: T201
        else:
            print(f"left      {shown_line(label(one))}  it fails: {shown_line(_why(one))}")  # noqa: T201
    left = len(waiting) - accepted
    print(f"{_answers(accepted)} of {kept.id} accepted.")  # noqa: T201
    if left:
        print(f"{_answers(left)} left out: assay golden review accepts also what fails, one at a time.")  # noqa: T201
    return 0


def review_answers(run: str, folder: Path | None, cases: Sequence[str], tier: str | None) -> int:
    """Show what is pending, and do with each what the person's key says; returns the exit code. Raises EngineError."""
    from tui.cli.console import new_console
    from tui.cli.inline_images import ask_terminal
    from tui.cli.keys import single_keys

    kept, suite, waiting = _waiting(run, folder, cases, tier)
    console = new_console()
    if not waiting:
        console.print(f"Nothing of {kept.id} is pending.", soft_wrap=True)
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail(
            f"{_answers(len(waiting))} of {kept.id} pending. A review is by keyboard and needs a terminal: "
            "assay golden accept takes all that pass."
        )
    if any(one.case.all_images for one in waiting):
        ask_terminal()
    with single_keys() as next_key:
        done = _review(console, kept, suite, waiting, next_key)
    counts = [f"{done[choice]} {word}" for choice, word in _DONE.items() if done[choice]]
    left = len(waiting) - sum(done.values())
    console.print(", ".join([*counts, *([f"{left} left"] if left else [])]) + ".", style="bold")
    return 0


def list_accepted(folder: Path | None, *, remove_unused: bool) -> int:
    """List the accepted answers of a suite, those that no case uses last, which are removed if that is asked for."""
    from core.golden.baselines.files import read_accepted, remove, unused

    suite = open_suite(folder)
    found, problems = read_accepted(suite.path)
    for problem in problems:
        print(problem_line(problem), file=sys.stderr)  # noqa: T201
    idle = unused(suite, found.values())
    for one in found.values():
        if one not in idle:
            print(f"used     {shown_line(_place(one))}  {shown_line(_relative(one.path, suite))}")  # noqa: T201
    if remove_unused:
        remove(suite, idle)
    word = "removed" if remove_unused else "unused "
    for one in idle:
        print(f"{word}  {shown_line(_place(one))}  {shown_line(_relative(one.path, suite))}")  # noqa: T201
    rest = "" if remove_unused or not idle else ": --remove-unused deletes them"
    what = "removed" if remove_unused else "used by no case"
    print(f"{_answers(len(found))} accepted, {len(idle)} {what}{rest}.")  # noqa: T201
    return 0


_DONE = {"accept": "accepted", "reject": "rejected", "skip": "skipped"}


def _review(
    console: Console, kept: RunFolder, suite: Suite, waiting: Sequence[Candidate], next_key: Callable[[], str]
) -> Counter[str]:
    """Until the last answer, or until the person leaves; what was done by then stays done."""
    from core.golden.baselines.standing import accept, reject

    done: Counter[str] = Counter()
    for place, one in enumerate(waiting, 1):
        _show(console, one, f"{place} of {len(waiting)}")
        choice = _choice(console, next_key)
        if choice == "quit":
            break
        if choice == "accept":
            written = accept(suite, one)
            console.print(shown_line(f"accepted: {_relative(written.path, suite)}"), style="green", soft_wrap=True)
        elif choice == "reject":
            reject(kept, one)
            console.print("rejected: the accepted answer stays.", style="red")
        else:
            console.print("skipped: it stays pending.", style="dim")
        done[choice] += 1
    return done


def _choice(console: Console, next_key: Callable[[], str]) -> str:
    """What the next key means; others are passed over, and the end of the input leaves."""
    console.print("a accept · r reject · s skip · q quit", style="bold")
    while key := next_key():
        if key in KEYS:
            return KEYS[key]
    return "quit"


def _show(console: Console, one: Candidate, place: str) -> None:
    """The case with its images, what was accepted against what is said now, and why it fails if it does."""
    from rich.text import Text

    from tui.golden.changes import SIGNS, STYLES
    from tui.golden.pending import ASKED_OTHERWISE, label

    console.rule(style="dim")
    head = Text(f"{SIGNS[one.change]} {one.change.value}  ", STYLES[one.change]).append(shown_line(label(one)), "bold")
    console.print(head.append(f"  {place}", "dim"), soft_wrap=True)
    console.print(Text(shown(one.case.prompt), "dim"))
    for turn, came in zip(one.case.turns, one.attempt.turns, strict=False):
        console.print(Text(shown(str(came["answer"])), "italic"))
        console.print(Text(shown(turn.text), "dim"))
    print_images(console, one.case)
    if one.asked_otherwise:
        console.print(ASKED_OTHERWISE, style="yellow")
    console.print()
    console.print(diff_text(one))
    console.print()
    for line in _verdicts(one):
        console.print(line)


def print_images(console: Console, case: Case) -> None:
    """A case's images, as high as they may be together."""
    from tui.cli.inline_images import print_image

    images = case.all_images
    for image in images:
        rows = (console.height - OTHER_ROWS) // len(images) - 1  # its name stands above it
        print_image(console, image.path, max(LEAST_ROWS, min(IMAGE_ROWS, rows)))


def diff_text(one: Candidate) -> Text:
    """The accepted answer and this one as one text, [-what went-] and {+what came+}; a first answer as it is."""
    from rich.text import Text

    from core.golden.baselines.word_diff import Kind, word_diff
    from tui.golden.pending import MARKS

    if one.accepted is None:
        return Text(shown(one.attempt.said) or "(nothing)", "green")
    found = Text()
    styles = {Kind.OLD: "red", Kind.NEW: "green"}
    for piece in word_diff(one.accepted.said, one.attempt.said):
        left, right = MARKS.get(piece.kind, ("", ""))
        found.append(left + shown(piece.text) + right, styles.get(piece.kind, ""))
    return found


def _verdicts(one: Candidate) -> Iterator[Text]:
    """A line for each tier that judges it."""
    from rich.text import Text

    from tui.cli.golden_matrix import STYLES
    from tui.golden.pending import verdicts

    for verdict, line in verdicts(one):
        yield Text(shown_line(line), STYLES[verdict])


def _waiting(
    run: str, folder: Path | None, cases: Sequence[str], tier: str | None
) -> tuple[RunFolder, Suite, list[Candidate]]:
    """The run, the suite as it is now, and what is pending of the cases and the tier that are meant."""
    from core.golden.baselines.files import read_accepted, require_own
    from core.golden.baselines.standing import candidates, pending, rejected
    from core.golden.plan import select

    kept = open_kept(run)
    suite = open_suite(folder or kept.suite)
    require_own(suite)
    meant = {case.id for case in select(suite.cases, cases)}
    accepted, problems = read_accepted(suite.path)
    for problem in problems:
        print(problem_line(problem), file=sys.stderr)  # noqa: T201
    attempts = [one for one in kept.as_planned() if one.case in meant and tier in (None, one.tier)]
    return kept, suite, pending(candidates(suite, accepted, attempts), rejected(kept))


def _why(one: Candidate) -> str:
    return next((attempt.why for attempt in one.attempts if attempt.why), "")


def _place(one: Accepted) -> str:
    return f"{one.case}{f' repeat {one.repeat}' if one.repeat else ''} ({one.model})"


def _relative(path: Path, suite: Suite) -> str:
    return str(path.relative_to(suite.path)) if path.is_relative_to(suite.path) else str(path)


def _answers(count: int) -> str:
    return f"{count} answer{'' if count == 1 else 's'}"
