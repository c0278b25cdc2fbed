"""`assay golden check`: the kept answers of a run, held against what the suite expects now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path


def check_run(run: str, folder: Path | None, *, strict: bool, verbose: bool) -> int:
    """Judge a kept run anew and say which verdicts flip; returns the exit code that the run would have now.

    `folder` is the suite; None stands for the one that the run was made with. What has not been answered, or was asked
    otherwise, counts as an attempt that did not come about. Nothing is written. Raises EngineError.
    """
    from core.golden.baselines.standing import against_baseline
    from core.golden.outcome import ExitCode, LeftOut, outcome
    from core.golden.parity import compare_routes
    from core.golden.plan import with_metric
    from core.golden.rejudge import rejudge
    from core.golden.results import RunFolder
    from core.settings import load_settings
    from tui.cli.console import new_console
    from tui.cli.encoding import shown_line
    from tui.cli.golden_run import as_it_was
    from tui.cli.golden_suite import open_suite
    from tui.cli.golden_table import print_outcome, results_table

    kept = RunFolder.open(load_settings().data_dir / "runs", run)
    asked = as_it_was(kept)
    suite = with_metric(open_suite(folder or (Path(asked["suite"]) if asked["suite"] else None)), asked["metric"])
    found = rejudge(suite, kept.header["planned"], kept.attempts())
    parity = compare_routes(found.attempts, suite.gates, own=asked["url"] is None)
    left_out = LeftOut.from_json(kept.header["left_out"])
    baseline = against_baseline(suite, found.attempts)
    weighed = outcome(found.attempts, parity, suite.gates, left_out=left_out, strict=strict, baseline=baseline)
    if absent := found.missing + len(found.other):
        names = ", ".join(dict.fromkeys(one.case for one in found.other))
        unasked = f", and {len(found.other)} answers are to what the suite does not ask now ({names})" if names else ""
        reason = f"{found.missing} attempts of the run have not ended{unasked}: assay golden run --resume {kept.id}."
        code = weighed.code if weighed.code is ExitCode.FAILED else ExitCode.INFRASTRUCTURE
        weighed = replace(weighed, code=code, reasons=(*weighed.reasons, reason))
    console = new_console()
    if verbose:
        console.print(results_table(found.attempts, verbose=True))
    for flip in found.flips:
        after = flip.after
        label = " ".join(filter(None, (after.case, after.tier, after.route, after.control, f"repeat {after.repeat}")))
        why = f": {after.why}" if after.why else ""
        console.print(shown_line(f"{label}: {flip.before.verdict} → {after.verdict}{why}"), soft_wrap=True)
    total = len(found.attempts) + absent
    console.print(
        f"{len(found.attempts)} of {total} answers of {kept.id} judged anew, {len(found.flips)} verdicts flip.",
        soft_wrap=True,
    )
    print_outcome(console, weighed, parity, asked["route"])
    return int(weighed.code)
