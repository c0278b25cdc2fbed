"""A SQLite index over the kept runs. The run files are the truth: it follows them, and is made anew when damaged."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from core.database import Database, Kind
from core.errors import EngineError
from core.golden.compare.change import Tries
from core.golden.plan import Planned, matches
from core.golden.results import Attempt, NoSuchRun, RunFolder, run_names

FILE = "index.sqlite"
"""In the folder of runs."""
LATEST = 20
"""Runs that are shown unless more are asked for."""


class HistoryError(EngineError):
    """The index cannot be read or written."""

    code = "history_error"


KIND = Kind(
    name="The index of golden runs",
    what="index",
    entry="A run",
    gone="The run is not in {path} any more; it may have been deleted meanwhile.",
    kept="the runs themselves are whole",
    error=HistoryError,
)
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, mark TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, suite TEXT NOT NULL,
            path TEXT NOT NULL, exit_code INTEGER, models TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE answers (
            run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL, "case" TEXT NOT NULL,
            tier TEXT NOT NULL, model TEXT NOT NULL, passes INTEGER NOT NULL, tries INTEGER NOT NULL,
            PRIMARY KEY (run, "case", tier, model)) WITHOUT ROWID""",
        'CREATE INDEX answers_by_case ON answers ("case", tier, model, run)',
    ),
    (
        "ALTER TABLE runs ADD COLUMN asked INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0",
        "UPDATE runs SET mark = ''",  # they are read anew
    ),
)


@dataclass(frozen=True)
class RunLine:
    """A run in a few words. `held` is by tier how many cases held in every try, of how many that were answered; times
    are ISO 8601. `ended` and `exit_code` are None for a run that goes on or was killed. `asked` cases were to be asked,
    `left_out` others of the suite were not."""

    id: str
    started: str
    ended: str | None
    suite: str
    path: str
    exit_code: int | None
    models: tuple[str, ...]
    held: Mapping[str, tuple[int, int]]
    asked: int = 0
    left_out: int = 0

    @property
    def part(self) -> str:
        """`3 of 40 cases`; "" for a run of the whole suite."""
        return f"{self.asked} of {self.asked + self.left_out} cases" if self.left_out else ""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "models": list(self.models), "held": {tier: list(of) for tier, of in self.held.items()}}


@dataclass(frozen=True)
class Point:
    """What a case came to in a run: passes of tries, no tries where nothing was answered."""

    run: str
    passes: int
    tries: int


@dataclass(frozen=True)
class Trend:
    """A case on one tier by one model, over the runs that asked it; the oldest first."""

    case: str
    tier: str
    model: str
    points: tuple[Point, ...]

    @property
    def turned(self) -> str | None:
        """The latest run in which it held otherwise than in the one before; None where it never did."""
        told = [point for point in self.points if point.tries]
        pairs = itertools.pairwise(told)
        turns = [now.run for was, now in pairs if was.passes * now.tries != now.passes * was.tries]
        return turns[-1] if turns else None

    def to_json(self) -> dict[str, Any]:
        points = [vars(point) for point in self.points]
        return {"case": self.case, "tier": self.tier, "model": self.model, "turned": self.turned, "points": points}


class RunIndex:
    """The index of one folder of runs, brought up to date when it is opened. Raises HistoryError; `with` closes it."""

    def __init__(self, runs: Path, *, rebuild: bool = False) -> None:
        self._runs = runs
        if rebuild:
            self._drop()
        try:
            self._db = self._open(runs / FILE)
        except HistoryError:  # damaged, or of another version: nothing in it is not in the runs as well
            self._drop()
            try:
                self._db = self._open(runs / FILE)
            except HistoryError:  # a disk that is full or may not be written
                self._db = self._open(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def runs(self, suite: Path | None = None, limit: int = LATEST) -> list[RunLine]:
        """The latest runs, of one suite or of all, the latest first."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT id, started, ended, suite, path, exit_code, models, asked, left_out FROM runs "
                "WHERE ?1 IS NULL OR path = ?1 ORDER BY id DESC LIMIT ?2",
                (str(suite) if suite else None, limit),
            ).fetchall()
            return [
                RunLine(run, started, ended, name, path, code, tuple(json.loads(models)), _held(db, run), *asked)
                for run, started, ended, name, path, code, models, *asked in rows
            ]

    def trends(self, suite: Path | None, globs: Sequence[str] = (), limit: int = LATEST) -> list[Trend]:
        """How the cases that match went in the latest runs of a suite, or of all suites, in the order of the latest."""
        ids = [run.id for run in self.runs(suite, limit)]
        found: dict[tuple[str, str, str], list[Point]] = {}
        with self._db.read() as db:
            for run in ids:
                for case, tier, model, passes, tries in db.execute(
                    'SELECT "case", tier, model, passes, tries FROM answers WHERE run = ? ORDER BY place', (run,)
                ):
                    if not globs or any(matches(case, glob) for glob in globs):
                        found.setdefault((case, tier, model), []).append(Point(run, passes, tries))
        return [Trend(*place, tuple(reversed(points))) for place, points in found.items()]

    def _drop(self) -> None:
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self._runs / FILE}{ending}").unlink()

    def _open(self, path: Path | None) -> Database:
        """The index, up to date; None is a place in memory."""
        index = Database(path, KIND, MIGRATIONS)
        try:
            self._follow(index)
        except BaseException:
            index.close()
            raise
        return index

    def _follow(self, index: Database) -> None:
        """Read the runs that are new or have changed, and forget those that are gone."""
        there = {name: _mark(self._runs / name) for name in run_names(self._runs)}
        with index.read() as db:
            known = dict(db.execute("SELECT id, mark FROM runs"))
        with index.write() as db:
            for name in known.keys() - there.keys():
                db.execute("DELETE FROM runs WHERE id = ?", (name,))
            for name, mark in there.items():
                if known.get(name) != mark:
                    with contextlib.suppress(NoSuchRun):
                        _add(db, RunFolder.open(self._runs, name), mark)


def _mark(folder: Path) -> str:
    """What changes whenever a run's files do."""
    parts = []
    for name in ("run.json", "attempts.jsonl"):
        with contextlib.suppress(OSError):
            about = (folder / name).stat()
            parts.append(f"{about.st_size}.{about.st_mtime_ns}")
    return " ".join(parts)


def _add(db: sqlite3.Connection, run: RunFolder, mark: str) -> None:
    groups: dict[tuple[str, str, str], list[Attempt]] = {}
    for attempt in run.as_planned():
        if attempt.control is None:
            groups.setdefault((attempt.case, attempt.tier, attempt.model_id), []).append(attempt)
    head = run.header
    suite = head.get("suite") or {}
    models = list(dict.fromkeys(model for _, _, model in groups if model))
    outcome = head.get("outcome") or {}
    about = (str(head.get("started", "")), head.get("ended"), str(suite.get("name", "")), str(suite.get("path", "")))
    db.execute("DELETE FROM runs WHERE id = ?", (run.id,))
    db.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.id,
            mark,
            *about,
            outcome.get("exit_code"),
            json.dumps(models),
            len(Planned.cases_of(head.get("planned", ()))),
            run.left_out,
        ),
    )
    told = ((place, at, Tries.of(group)) for place, (at, group) in enumerate(groups.items()))
    rows = ((run.id, place, *at, tries.passes, tries.tries) for place, at, tries in told)
    db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _held(db: sqlite3.Connection, run: str) -> dict[str, tuple[int, int]]:
    rows = db.execute(
        "SELECT tier, sum(passes = tries), count(*) FROM answers WHERE run = ? AND tries > 0 GROUP BY tier "
        "ORDER BY tier DESC",
        (run,),
    )
    return {tier: (held, answered) for tier, held, answered in rows}
