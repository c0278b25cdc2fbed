"""`assay golden explain` at work: two answers picked, scored, and shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown_line
from tui.cli.golden_suite import fail, open_suite, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from core.calls.scoring import Score, ScoreRequest
    from core.catalog import Catalog
    from core.engine import Engine
    from core.golden.explain.asking import Ask
    from core.golden.explain.explanation import Explanation
    from core.golden.results import Attempt
    from core.golden.suite import Suite
    from core.settings import Settings

ACCEPTED = "accepted"
"""Stands for the accepted answer as the first one."""
MOST_BYTES = 1_000_000
"""Of a file whose text is scored."""


def explain_case(
    case: str,
    base: str,
    run: str,
    under: Sequence[str],
    answer: Path | None,
    suite_folder: Path | None,
    json_file: Path | None,
) -> int:
    """Explain two answers to a case, or one; returns the exit code. Raises EngineError.

    `base` and `run` name runs and parts of them, `under` further models, and `answer` a text to be scored in place of
    the first answer.
    """
    from core.catalog import Catalog
    from core.engine import Engine
    from core.settings import load_settings
    from tui.cli.console import new_console
    from tui.cli.golden_explained import print_explanation

    settings = load_settings()
    text = _read(answer) if answer is not None else None
    console = new_console(stderr=str(json_file) == "-")
    catalog = Catalog(settings)
    for model in under:
        catalog.on_disk(model)
    work = _prepared(case, base, run, suite_folder, settings, catalog)
    with Engine(settings, catalog) as engine, _asking(engine, console) as ask:
        found = work(ask, under, text)
    print_explanation(console, found)
    if json_file is not None:
        write_json(json_file, json.dumps(found.to_json(), indent=2) + "\n")
    return 0


def _prepared(
    case: str, base: str, run: str, folder: Path | None, settings: Settings, catalog: Catalog
) -> Callable[[Ask, Sequence[str], str | None], Explanation]:
    """All that can go wrong before a model is loaded: what runs, suite and records say."""
    from core.golden.compare.sides import open_sides
    from core.golden.explain.asking import trace
    from core.golden.explain.explanation import explain
    from core.golden.explain.picking import pick
    from core.golden.history.joined import meant as meant_run
    from core.golden.plan import select
    from tui.cli.golden_run import as_it_was

    accepted = base == ACCEPTED
    left, right, later = open_sides(settings.data_dir / "runs", run if accepted else base or run, run, meant_run)
    path = as_it_was(later)["suite"]
    suite = open_suite(folder or (Path(path) if path else None))
    meant = select(suite.cases, [case])
    if len(meant) > 1:
        fail(f"{case} means {len(meant)} cases: name one of {', '.join(one.id for one in meant)}.")
    first, second = pick(meant[0].id, left.attempts, right.attempts)
    one = trace(suite, first, catalog.on_disk)
    if accepted:
        kept = _accepted(suite, first)
        return lambda ask, under, text: explain(ask, one, None, under, text or kept)
    two = trace(suite, second, catalog.on_disk) if second is not None else None
    return lambda ask, under, text: explain(ask, one, two, under, text)


def _accepted(suite: Suite, attempt: Attempt) -> str:
    """The text of the answer that was accepted in place of an attempt's."""
    from core.golden.baselines.files import read_accepted

    found, _ = read_accepted(suite.path)
    kept = found.get((attempt.case, attempt.model_id, attempt.repeat))
    if kept is None or not kept.answer:
        fail(
            f"{suite.path} keeps no accepted text of {attempt.model_id} for {attempt.case}: accept one with assay "
            "golden review, or name a file with --answer."
        )
    return kept.answer


def _read(file: Path) -> str:
    from core.regular_files import read_text

    try:
        text = read_text(file, MOST_BYTES, "an answer").strip("\n")
    except (OSError, ValueError) as error:
        fail(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.")
    return text or fail(f"{file} is empty: there is nothing to score.")


@contextmanager
def _asking(engine: Engine, console: Console) -> Iterator[Ask]:
    """What has the engine score, and says on a terminal what is under way."""
    with console.status("") if console.is_terminal else _silence() as status:
        count = 0

        def ask(request: ScoreRequest) -> Score:
            nonlocal count
            count += 1
            if status is not None:
                status.update(shown_line(f"{' and '.join(request.models)} … ({count})"))
            return engine.score(request).result()

        yield ask


@contextmanager
def _silence() -> Iterator[None]:
    yield None
