"""What a run leaves behind: a record of each attempt, and a folder in which a killed run can be taken up again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from io import BufferedRandom, TextIOWrapper
from pathlib import Path
from typing import Any

from core.errors import EngineError
from core.golden.checks import Check, Hit
from core.regular_files import read_text

RECORD_VERSION = 2
MOST_BYTES = 1024**3
"""Of a file of a run."""


class Status(StrEnum):
    """Whether an attempt came about."""

    OK = "ok"
    ERROR = "error"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What became of an attempt. `XPASS` passed where a failure was expected, and `INCONCLUSIVE` is a control that can
    show nothing, because the case itself did not pass."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    XFAIL = "xfail"
    XPASS = "xpass"
    INCONCLUSIVE = "inconclusive"


class NoSuchRun(EngineError):
    """There is no run of that name, or its record cannot be read."""

    code = "no_such_run"


@dataclass(frozen=True)
class Attempt:
    """One prompt answered once. The mappings are ready for JSON; docs/golden.md lists their keys.

    Positions in `checks` count characters of `answer`, which holds no thinking. `why` says in a phrase for what the
    verdict is not a plain pass. `key` identifies the attempt across resumed runs. `witness` is what the engine told of
    it (`core.calls.witness`); without one, as from a server that is none of ours, what was `sent` is only claimed.
    `same_as` is the id of the attempt whose answer this is: one model stands for both tiers, and was asked once.
    `came` holds the digests of what came, to the letter. Of a case of several turns, `answer` and all that goes with it
    is the last, and `turns` are the answers before it: `answer`, `reasoning`, `tool_calls`, `finish`.
    `graded` holds what models and programs said of the answers for graded checks.
    """

    id: str
    key: str
    case: str
    case_sha: str
    ask_sha: str
    tier: str
    route: str
    repeat: int
    status: Status
    verdict: Verdict
    model: Mapping[str, Any] = field(default_factory=dict)
    control: str | None = None
    turns: tuple[Mapping[str, Any], ...] = ()
    sent: Mapping[str, Any] = field(default_factory=dict)
    witness: Mapping[str, Any] | None = None
    same_as: str | None = None
    came: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""
    reasoning: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    perf: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    graded: tuple[Mapping[str, Any], ...] = ()
    why: str = ""
    error: Mapping[str, str] | None = None

    @property
    def claimed(self) -> bool:
        """Whether only the request says what was done for the answer."""
        return self.status is Status.OK and self.witness is None

    @property
    def model_id(self) -> str:
        """The model that answered; "" where none did."""
        return str(self.model.get("id", ""))

    @property
    def by_grades(self) -> bool:
        """Whether it passes, and only because a model or a program said so."""
        passed = self.verdict in (Verdict.PASS, Verdict.XPASS) and self.control is None
        return passed and any(check.graded for check in self.checks)

    @property
    def said(self) -> str:
        """The answer, and below it the calls as a program would write them; "" for nothing."""
        return said(self.answer, self.tool_calls)

    @property
    def earlier(self) -> list[str]:
        """What was said before it in a case of several turns, each as `said`."""
        return [said(came["answer"], came["tool_calls"]) for came in self.turns]

    def to_json(self) -> dict[str, Any]:
        """The record as one JSON object."""
        checks = [
            {
                "name": check.name,
                "expr": check.expr,
                "pass": check.passed,
                "hits": [[hit.text, hit.start, hit.end] for hit in check.hits],
                "failed": list(check.failed),
                **({"graded": True} if check.graded else {}),
            }
            for check in self.checks
        ]
        return {"v": RECORD_VERSION} | asdict(self) | {"checks": checks, "claimed": self.claimed}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Attempt:
        """The attempt of a record that `to_json` wrote. Raises KeyError, TypeError or ValueError for any other."""
        values = {name: value for name, value in record.items() if name in cls.__dataclass_fields__}
        checks = tuple(
            Check(
                item["name"],
                item["expr"],
                item["pass"],
                tuple(Hit(*hit) for hit in item["hits"]),
                tuple(item["failed"]),
                bool(item.get("graded", False)),
            )
            for item in record["checks"]
        )
        changes = {
            "status": Status(record["status"]),
            "verdict": Verdict(record["verdict"]),
            "tool_calls": tuple(record["tool_calls"]),
            "turns": tuple({**turn, "tool_calls": tuple(turn["tool_calls"])} for turn in record.get("turns", ())),
            "checks": checks,
            "graded": tuple(record.get("graded", ())),
        }
        return cls(**values | changes)


def said(answer: str, calls: Iterable[Mapping[str, Any]]) -> str:
    """An answer as one text, with its calls below it, each with `name` and `arguments`."""
    made = (f"{call['name']}({json.dumps(call['arguments'], ensure_ascii=False)})" for call in calls)
    return "\n".join(filter(None, (answer.strip(), *made)))


def mark(attempt: Attempt) -> str:
    """What tells an answer from others of its run, also once it has been asked again."""
    return hashlib.sha256(f"{attempt.key}\0{attempt.said}".encode("utf-8", "replace")).hexdigest()[:16]


class RunBusy(EngineError):
    """Another process is writing the run."""

    code = "run_busy"


class RunFolder:
    """A run on disk: run.json says what was run, attempts.jsonl gains a line when an attempt ends.

    Each line is handed to the system before the next attempt is judged: a killed process loses none that ended. One
    process at a time writes: it holds the lock of the file `lock` until `close`.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header: dict[str, Any] = dict(header)
        self._file: TextIOWrapper | None = None
        self._lock: BufferedRandom | None = None

    @property
    def id(self) -> str:
        return self.path.name

    @classmethod
    def create(cls, runs: Path, header: Mapping[str, Any]) -> RunFolder:
        """A new folder in `runs`, named by the time, to the microsecond: of two begun in one second the later is the
        last by name, too. Raises OSError when the disk does not let us."""
        name = f"{datetime.now():%Y%m%d-%H%M%S-%f}"
        path = runs / name
        path.mkdir(parents=True)
        folder = cls(path, {"v": RECORD_VERSION, "id": name, "started": _now(), **header})
        folder.take()
        folder._write_header()
        return folder

    @classmethod
    def open(cls, runs: Path, name: str) -> RunFolder:
        """The folder of a run by its name, or the latest for "last", to be read; see `take`. Raises NoSuchRun."""
        names = run_names(runs)
        if name == "last" and names:
            name = names[-1]
        try:
            return cls(runs / name, json.loads(read_text(runs / name / "run.json", MOST_BYTES, "a run")))
        except (OSError, ValueError) as error:
            latest = f"The latest is {names[-1]}." if names else "There is none yet."
            raise NoSuchRun(f"There is no run {name} in {runs} ({error}). {latest}") from error

    def plan_anew(self, header: Mapping[str, Any]) -> None:
        """A resumed run is what its suite and models are now; when it began stays. Raises RunBusy and OSError."""
        self.take()
        self.header |= dict(header)
        self.header.pop("outcome", None)
        self._write_header()

    def take(self) -> None:
        """Be the one that writes, until `close`. Raises RunBusy when another process is, and OSError."""
        if self._lock is not None:
            return
        handle = (self.path / "lock").open("a+b")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read(20).decode("ascii", "replace").strip() or "unknown"
            handle.close()
            raise RunBusy(
                f"The run {self.id} is being written by another process (number {owner}): wait until it has ended, or "
                "start a run of its own."
            ) from None
        except OSError:  # a file system without locks: two writers are for the user to avoid
            handle.close()
            return
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n".encode())
        handle.flush()
        self._lock = handle

    def attempts(self) -> list[Attempt]:
        """The attempts that have ended, of several records of one the last, which was judged last. A last line that a
        kill tore is left out. Raises NoSuchRun for a file that is none."""
        found: dict[str, Attempt] = {}
        try:
            lines = read_text(self.path / "attempts.jsonl", MOST_BYTES, "a run", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise NoSuchRun(f"The attempts of the run {self.id} cannot be read: {error.strerror}.") from error
        for line in lines:
            try:
                attempt = Attempt.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue
            found[attempt.key] = attempt
        return list(found.values())

    def as_planned(self) -> list[Attempt]:
        """The attempts of the plan that have ended, in its order; others were overtaken when the run was resumed.
        Raises NoSuchRun."""
        places = {key: place for place, key in enumerate(self.header.get("planned", ()))}
        return sorted((one for one in self.attempts() if one.key in places), key=lambda one: places[one.key])

    @property
    def left_out(self) -> int:
        """How many cases of its suite it was not to ask."""
        return int((self.header.get("left_out") or {}).get("cases", 0))

    def is_whole(self, ended: Iterable[Attempt]) -> bool:
        """Whether it asked every case of its suite, and all of it is among these attempts."""
        return not self.left_out and {one.key for one in ended}.issuperset(self.header.get("planned", ()))

    @property
    def suite(self) -> Path | None:
        """The folder of the suite that was asked, which may have moved since; None where the record names none."""
        path = (self.header.get("suite") or {}).get("path")
        return Path(path) if path else None

    def append(self, attempt: Attempt) -> None:
        """Add an attempt. Raises OSError when the disk is full."""
        if self._file is None:
            self._file = _open_after_whole_line(self.path / "attempts.jsonl")
        self._file.write(json.dumps(attempt.to_json(), ensure_ascii=False) + "\n")
        self._file.flush()

    def note(self, name: str, line: Mapping[str, Any]) -> None:
        """Add a line to a file of what people said of the run, with the time. Raises RunBusy, and OSError."""
        self.take()
        try:
            with _open_after_whole_line(self.path / name) as file:
                file.write(json.dumps({"v": 1, **line, "at": _now()}, ensure_ascii=False) + "\n")
        finally:
            self.close()

    def notes(self, name: str) -> list[dict[str, Any]]:
        """The lines of such a file, but for those that cannot be read. Raises NoSuchRun where the file cannot."""
        try:
            lines = read_text(self.path / name, MOST_BYTES, "notes of a run", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise NoSuchRun(f"{self.path / name} cannot be read: {error.strerror or error}.") from error
        found = []
        for line in lines:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                found.append(value)
        return found

    def finish(self, outcome: Mapping[str, Any]) -> None:
        """Close the record with how it went."""
        self.take()
        self.header |= {"ended": _now(), "outcome": dict(outcome)}
        self._write_header()
        self.close()

    def close(self) -> None:
        """Let others write."""
        for handle in (self._file, self._lock):
            if handle is not None:
                handle.close()
        self._file = self._lock = None

    def _write_header(self) -> None:
        draft = self.path / "run.json.new"
        draft.write_text(json.dumps(self.header, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, self.path / "run.json")


def several_models(attempts: Iterable[Attempt]) -> bool:
    """Whether several models answered one case on one tier, so that results are told by model."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in attempts:
        found.setdefault((one.case, one.tier), set()).add(one.model_id)
    return any(len(models) > 1 for models in found.values())


def latest_of(runs: Path, suite: Path | None, before: str = "", *, whole: bool = False) -> RunFolder | None:
    """The latest run of a suite that answered anything, before the one of a name; with `whole`, that asked all of it
    and was not stopped. None where there is none."""
    for name in reversed([name for name in run_names(runs) if not before or name < before]):
        run = RunFolder.open(runs, name)
        if run.suite == suite and (ended := run.attempts()) and (not whole or run.is_whole(ended)):
            return run
    return None


def run_names(runs: Path) -> list[str]:
    """The names of the runs that are kept, the latest last."""
    return sorted(path.parent.name for path in runs.glob("*/run.json"))


def document(
    header: Mapping[str, Any],
    attempts: Iterable[Attempt],
    parity: Sequence[Mapping[str, Any]],
    cases: Sequence[Mapping[str, Any]],
) -> str:
    """The whole run as one JSON document. `cases` is what it came to case by case."""
    told = [attempt.to_json() for attempt in attempts]
    whole = {"run": dict(header), "cases": list(cases), "attempts": told, "parity": list(parity)}
    return json.dumps(whole, indent=2) + "\n"


def _open_after_whole_line(path: Path) -> TextIOWrapper:
    """Open for appending; a torn last line is ended first, so that it spoils no other."""
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    # A lone surrogate, which a model can write, becomes the JSON escape that it is.
    file = path.open("a", encoding="utf-8", errors="backslashreplace")
    if torn:
        file.write("\n")
    return file


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
