"""What is printed: rows as they come, and at the end what grew, why, and what broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.soak.load import Load
from tests.soak.place import Place
from tests.soak.tally import End, Tally
from tests.soak.watch import HEAD, MB, UNITS, Sample, Watch, quantile

MORE_THREADS, MORE_FILES = 8, 8
"""What pools may still add after the first rest; what leaks, leaks with each request."""
SHOWN = 20
WIDTHS = tuple(max(len(head), 5) for head in HEAD)


def say(*lines: str) -> None:
    """To standard output, at once."""
    print("\n".join(lines), flush=True)


def row(cells: Iterable[str]) -> str:
    """The cells, each under its head."""
    return " ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def head() -> None:
    """The table's."""
    say(row(HEAD), row(UNITS))


def growth(samples: Sequence[Sample]) -> list[str]:
    """Sentences on threads and descriptors that grew from the first rest to the last of one server."""
    found: list[str] = []
    for life in sorted({sample.life for sample in samples}):
        rests = [sample for sample in samples if sample.life == life and sample.rest]
        if len(rests) > 1:
            first, last = rests[0], rests[-1]
            for what, before, after, most in (
                ("threads", first.threads, last.threads, MORE_THREADS),
                ("descriptors", first.files, last.files, MORE_FILES),
                ("processes under it", first.processes, last.processes, 2),
            ):
                if after > before + most:
                    found.append(f"Server {life} had {before} {what} at its first rest and {after} at its last.")
    return found


def requests(tally: Tally) -> None:
    """A table by kind."""
    say("", "requests".ljust(18) + "".join(end.value.rjust(10) for end in End))
    for kind in sorted({kind for kind, _ in tally.ends}):
        say(kind.ljust(18) + "".join(str(tally.ends[kind, end]).rjust(10) for end in End))
    totals = tally.totals()
    say("all".ljust(18) + "".join(str(totals[end]).rjust(10) for end in End))
    say("", "What they were told, beside answers:")
    say(*(f"{count:7}  {error}" for error, count in tally.errors.most_common(SHOWN)))


def memory(samples: Sequence[Sample]) -> None:
    """Of each server: what its memory is at its first rest and at its last, and the most that was kept."""
    say("", "Memory at rest, MB: what grew, and why")
    for life in sorted({sample.life for sample in samples}):
        mine = [sample for sample in samples if sample.life == life]
        rests = [sample for sample in mine if sample.rest] or mine[:1]
        first, last = rests[0], rests[-1]
        parts = {
            "models": [one.stats["active"] - one.stats["kept"] for one in (first, last)],
            "kept KV": [one.stats["kept"] for one in (first, last)],
            "MLX's cache": [one.stats["cache"] for one in (first, last)],
            "all else": [one.other for one in (first, last)],
        }
        told = ", ".join(f"{name} {before / MB:.1f} → {after / MB:.1f}" for name, (before, after) in parts.items())
        most = {name: max(one.stats[name] for one in mine) / MB for name in ("kept", "kept_budget")}
        say(
            f"server {life}, {first.at:.0f} → {last.at:.0f} s: RSS {first.rss / MB:.0f} → {last.rss / MB:.0f}: {told}",
            f"  at most {most['kept']:.1f} kept of a budget of {most['kept_budget']:.1f}; "
            f"RSS under load at most {max(one.rss for one in mine) / MB:.0f}",
            f"  threads {first.threads} → {last.threads}, files {first.files} → {last.files}; "
            f"threads by name: {', '.join(f'{name} {count}' for name, count in last.stats['threads'].items())}",
        )


def report(place: Place, tally: Tally, load: Load, watch: Watch) -> int:
    """All of it; returns the exit code."""
    requests(tally)
    say("", "Faults: " + ", ".join(f"{name} {len(at)}" for name, at in sorted(place.faults.items()) if name != "stats"))
    slowest = sorted(((took, name) for name, took in place.longest.items() if took > 1), reverse=True)
    say("Those that took long: " + (", ".join(f"{name} {took:.1f} s" for took, name in slowest) or "none"))
    say("Golden prompts: " + (", ".join(f"{name} {count}" for name, count in sorted(load.golden.items())) or "none"))
    took = [1000 * seconds for seconds in watch.health]
    say(
        f"/health, {len(took)} answers: p50 {quantile(took, 0.5):.0f} ms, p99 {quantile(took, 0.99):.0f} ms, "
        f"max {max(took, default=0.0):.0f} ms"
    )
    memory(watch.samples)
    before, after = watch.trimmed
    say(
        f"At the end the C library gave {(before - after) / MB:.0f} MB of RSS back that were free and that it had kept "
        f"for later ({before / MB:.0f} → {after / MB:.0f})."
    )
    broken = Counter([*place.broken, *growth(watch.samples)])
    if not broken:
        say("", "Nothing broke.")
        return 0
    say("", f"{broken.total()} broken:")
    say(*(f"  {count} x {sentence}" for sentence, count in broken.most_common(SHOWN)))
    return 1
