"""`assay bench`: a model's figures taken on purpose, as tables and bars or as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.common import INTERRUPTED, WRONG_USAGE, exit_code, fail, fail_with, leave_to_rank_0, say, settings_with

if TYPE_CHECKING:
    from core.bench.plan import Wanted
    from core.bench.run import ModelResult
    from core.settings import Settings

K = 1024
MOST_DIGITS = 7


def bench(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Ids of models on disk.")],
    prompts: Annotated[
        str, typer.Option(metavar="TOKENS,...", help="Lengths of prompts in tokens; 8k is 8,192. 0 leaves them out.")
    ] = "32,1k,8k",
    rows: Annotated[str, typer.Option(metavar="N,...", help="How many requests at once.")] = "1,8",
    tokens: Annotated[int, typer.Option(help="Length of an answer, in tokens.", min=16, max=100_000)] = 128,
    repeats: Annotated[int, typer.Option(help="Counted runs of each test, and loads.", min=1, max=100)] = 3,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Show vision models an image, too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every run, instead of tables.")] = False,
) -> None:
    """Measure how fast models load, read and write here, and what memory they take.

    Each test asks for one answer, or for several at once, through the engine that answers every request. A run that
    does not count comes before the others (the warm-up). Prompts are words in no order, no two of which begin alike;
    answers are drawn at temperature 1 and go on to their full length; nothing is taken over from earlier prompts. A
    test that does not fit the model's context or the memory is left out, and it is said why. After a minute a test is
    not repeated again.

    \b
    Examples:
      assay bench mlx-community/Qwen3-4B-4bit
      assay bench MODEL OTHER --prompts 1k --rows 1,4,16 --repeats 5
      assay bench MODEL --prompts 0 --rows 1               images alone
      assay bench MODEL --json > figures.json

    \b
    What the table says, as a median and in brackets the middle half (of fewer than four values: the range):
      first token      seconds from the request to the first token of its answer
      prompt tokens/s  tokens of the prompts of all rows, until each has its first token
      answer tokens/s  tokens of each answer, from its first one on
      all rows         tokens of all answers together, from the first one on
      peak             memory of the model and of the requests

    The figures are kept on this machine beside those of other uses, marked as a benchmark's: see
    `assay models show MODEL`. ctrl+c ends it and shows what was measured. Let nothing else run meanwhile.
    """
    from core.bench.plan import Wanted
    from core.catalog import Catalog
    from core.errors import EngineError

    leave_to_rank_0()
    wanted = Wanted(_numbers("--prompts", prompts, 0), _numbers("--rows", rows, 1), tokens, repeats, images)
    settings = settings_with(cache_budget_gb=0.0, cache_on_disk_gb=0.0)
    ids = list(dict.fromkeys(models))
    try:
        catalog = Catalog(settings)
        for model in ids:
            catalog.get(model)
    except EngineError as error:
        fail_with(error)
    results, machine, interrupted = _measure(settings, ids, wanted)
    _report(results, machine, as_json)
    if interrupted:
        say("Stopped. What is shown was measured before.")
        sys.exit(INTERRUPTED)
    failed = [result.error for result in results if result.error is not None]
    if failed:
        sys.exit(exit_code(failed[0]))


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """Whole numbers with commas between them; 8k is 8,192, and 0 alone is none. Exits with a sentence otherwise."""
    found = []
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        digits = word.removesuffix("k")
        if not digits.isascii() or not digits.isdigit() or len(digits) > MOST_DIGITS:
            told = f"{option} takes whole numbers with commas between them, each of at most {MOST_DIGITS} digits"
            fail(f"{told}, such as 32,1k,8k, not {word!r}.", WRONG_USAGE)
        found.append(int(digits) * (K if word.endswith("k") else 1))
    if not found or min(found) < least:
        fail(f"{option} takes numbers of at least {least}, not {text!r}.", WRONG_USAGE)
    return tuple(dict.fromkeys(number for number in found if number))


def _measure(settings: Settings, ids: list[str], wanted: Wanted) -> tuple[list[ModelResult], str, bool]:
    """The results, the machine's name, and whether it was interrupted. What is being done is said meanwhile."""
    from rich.markup import escape

    from core.bench.patience import result_of
    from core.bench.run import Bench, ModelResult
    from core.engine import Engine
    from core.errors import EngineError
    from tui.cli.console import new_console

    results: list[ModelResult] = []
    machine = ""
    console = new_console(stderr=True)
    try:
        with console.status("starting the engine") as line, Engine(settings) as engine:

            def doing(words: str) -> None:
                line.update(escape(words))
                if not console.is_terminal:
                    say(words)

            result_of(engine.ready())
            machine = engine.status().machine
            bench = Bench(engine, wanted, doing)
            for model in ids:
                results.append(ModelResult(model))
                bench.measure(results[-1])
    except KeyboardInterrupt:
        return results, machine, True
    except EngineError as error:
        fail_with(error)
    return results, machine, False


def _report(results: list[ModelResult], machine: str, as_json: bool) -> None:
    from tui.cli.bench_table import print_results, record

    if as_json:
        import json

        print(json.dumps(record(results, machine), indent=2))  # noqa: T201
    else:
        print_results(results, machine)
    for result in results:
        if result.error is not None:
            say(result.error.message)
