"""`assay golden check`: the kept answers of a run, held against what the suite expects now."""

from __future__ import annotations

from pathlib import Path


def check_run(run: str, folder: Path | None, *, strict: bool, verbose: bool) -> int:
    """Judge a kept run anew and say which verdicts flip; returns the exit code that the run would have now.

    `folder` is the suite; None stands for the one that the run was made with. Nothing is written. Raises EngineError.
    """
    from core.golden.outcome import outcome
    from core.golden.parity import compare_routes
    from core.golden.rejudge import rejudge
    from core.golden.results import RunFolder
    from core.settings import load_settings
    from core.text_safety import clean
    from tui.cli.golden_run import as_it_was
    from tui.cli.golden_suite import new_console, open_suite
    from tui.cli.golden_table import results_table, summary_line

    kept = RunFolder.open(load_settings().data_dir / "runs", run)
    asked = as_it_was(kept)
    suite = open_suite(folder or (Path(asked["suite"]) if asked["suite"] else None))
    found = rejudge(suite, kept.attempts())
    weighed = outcome(found.attempts, compare_routes(found.attempts, suite.gates), suite.gates, strict=strict)
    console = new_console()
    if verbose:
        console.print(results_table(found.attempts, verbose=True))
    for flip in found.flips:
        after = flip.after
        label = " ".join(filter(None, (after.case, after.tier, after.route, after.control, f"repeat {after.repeat}")))
        why = f": {after.why}" if after.why else ""
        console.print(clean(f"{label}: {flip.before.verdict} → {after.verdict}{why}"), soft_wrap=True)
    if found.other:
        names = ", ".join(dict.fromkeys(one.case for one in found.other))
        console.print(
            clean(
                f"{len(found.other)} answers are to other questions than the suite asks now ({names}): run it again."
            ),
            style="yellow",
            soft_wrap=True,
        )
    judged = len(found.attempts) - len(found.other)
    console.print(f"{judged} kept answers of {kept.id} judged anew, {len(found.flips)} verdicts flip.")
    for reason in weighed.reasons:
        console.print(reason)
    console.print(summary_line(weighed))
    return int(weighed.code)
