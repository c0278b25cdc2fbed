"""The SQLite file of figures: one row a use, old ones thinned. Several programs may write it at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Self

from core.database import Database, Kind
from core.errors import FiguresError
from core.figures.figure import BENCHMARK, Figure, Use
from core.figures.shape import Shape

KIND = Kind(
    name="The file of figures",
    what="file of figures",
    entry="A figure",
    gone="The figure is not in {path} any more; it may have been deleted elsewhere.",
    kept="earlier figures are whole, and later ones are not kept",
    error=FiguresError,
)
KEPT = 60
"""The newest uses of a model that are kept of each sort: on a machine with its versions, of a kind, a size of prompt, a
number of rows, taken on purpose or not."""
SHORT, MIDDLE, LONG = 256, 2048, 16384
"""Prompt tokens up to which a prompt is short, of about 1k, and of about 8k."""
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE environments (
            id INTEGER PRIMARY KEY, machine TEXT NOT NULL, assay TEXT NOT NULL, mlx TEXT NOT NULL,
            mlx_lm TEXT NOT NULL, mlx_vlm TEXT NOT NULL, UNIQUE (machine, assay, mlx, mlx_lm, mlx_vlm))""",
        """CREATE TABLE models (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL, revision TEXT NOT NULL, kind TEXT NOT NULL,
            family TEXT NOT NULL, quantisation TEXT NOT NULL, parameters INTEGER NOT NULL, active INTEGER NOT NULL,
            token_bytes INTEGER NOT NULL, weights INTEGER NOT NULL, held TEXT NOT NULL,
            UNIQUE (name, revision, kind, family, quantisation, parameters, active, token_bytes, weights, held))""",
        """CREATE TABLE uses (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,
            environment INTEGER NOT NULL REFERENCES environments, model INTEGER NOT NULL REFERENCES models,
            use TEXT NOT NULL, source TEXT NOT NULL, precision TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, rows INTEGER NOT NULL,
            load_s REAL, ttft_s REAL, prefill_tps REAL, decode_tps REAL, peak INTEGER)""",
        "CREATE INDEX uses_by_model ON uses (model, id)",
    ),
)
_SIZE = (
    f"CASE WHEN prompt_tokens <= {SHORT} THEN 0 WHEN prompt_tokens <= {MIDDLE} THEN 1 "
    f"WHEN prompt_tokens <= {LONG} THEN 2 ELSE 3 END"
)
_COLUMNS = (
    *("at", "use", "source", "precision", "prompt_tokens", "cached_tokens", "completion_tokens", "rows"),
    *("load_s", "ttft_s", "prefill_tps", "decode_tps", "peak"),
)
_SHAPE = tuple(field.name for field in fields(Shape))


@dataclass(frozen=True)
class Versions:
    """Of the programs that a figure was taken with."""

    assay: str
    mlx: str
    mlx_lm: str
    mlx_vlm: str

    @property
    def libraries(self) -> tuple[str, str, str]:
        """Those that set a model's pace."""
        return self.mlx, self.mlx_lm, self.mlx_vlm


@dataclass(frozen=True)
class Kept:
    """A figure with what it was taken of and with. `shape` is that of the model then, as it was held."""

    figure: Figure
    revision: str
    shape: Shape
    versions: Versions


class Figures:
    """The file of figures. Any thread may call; every method waits for the disk, and raises FiguresError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = Database(path, KIND, MIGRATIONS)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, kept: Sequence[Kept]) -> None:
        """Write figures down, all of them or none, and let go of the oldest of the same sort."""
        with self._db.write() as db:
            models = {self._add(db, one) for one in kept}
            for model in models:
                _thin(db, model)

    def of(self, model: str | None = None, machine: str | None = None) -> list[Kept]:
        """The figures of a model, or of all, on a machine, or on any: the oldest first."""
        columns = ", ".join(
            [f"uses.{name}" for name in _COLUMNS]
            + ["machine", "name", "revision", "assay", "mlx", "mlx_lm", "mlx_vlm"]
            + [f"models.{name}" for name in _SHAPE]
        )
        with self._db.read() as db:
            rows = db.execute(
                f"SELECT {columns} FROM uses JOIN models ON models.id = uses.model "
                "JOIN environments ON environments.id = uses.environment "
                "WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR machine = ?2) ORDER BY uses.id",
                (model, machine),
            ).fetchall()
            return [_kept(row) for row in rows]

    def last_used(self) -> dict[str, float]:
        """By model, when it last answered or was loaded, on any machine: seconds since the epoch."""
        with self._db.read() as db:
            return dict(
                db.execute("SELECT name, max(at) FROM uses JOIN models ON models.id = uses.model GROUP BY name")
            )

    def forget(self, model: str) -> int:
        """Delete the figures of a model; returns how many there were."""
        with self._db.write() as db:
            count = db.execute(
                "DELETE FROM uses WHERE model IN (SELECT id FROM models WHERE name = ?)", (model,)
            ).rowcount
            db.execute("DELETE FROM models WHERE name = ?", (model,))
        return count

    def _add(self, db: sqlite3.Connection, kept: Kept) -> int:
        figure, versions = kept.figure, kept.versions
        environment = _id(
            db,
            "environments",
            ("machine", "assay", "mlx", "mlx_lm", "mlx_vlm"),
            (figure.machine, *astuple(versions)),
        )
        named = (figure.model, kept.revision, *astuple(kept.shape))
        model = _id(db, "models", ("name", "revision", *_SHAPE), named)
        values = [getattr(figure, name) for name in _COLUMNS]
        db.execute(
            f"INSERT INTO uses (environment, model, {', '.join(_COLUMNS)}) "
            f"VALUES (?, ?, {', '.join('?' * len(_COLUMNS))})",
            (environment, model, *values),
        )
        return model


def read_figures(path: Path, model: str | None = None, machine: str | None = None) -> list[Kept]:
    """As `Figures.of`, for whoever only looks: nothing where there is no file. Raises FiguresError."""
    if not path.is_file():
        return []
    with Figures(path) as figures:
        return figures.of(model, machine)


def forget_figures(path: Path, model: str) -> int:
    """As `Figures.forget`; 0 where there is no file. Raises FiguresError."""
    if not path.is_file():
        return 0
    with Figures(path) as figures:
        return figures.forget(model)


def _id(db: sqlite3.Connection, table: str, columns: Iterable[str], values: Sequence[Any]) -> int:
    """The row of a table that holds these values, written if there is none."""
    names = tuple(columns)
    db.execute(
        f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", tuple(values)
    )
    where = " AND ".join(f"{name} = ?" for name in names)
    (found,) = db.execute(f"SELECT id FROM {table} WHERE {where}", tuple(values)).fetchone()
    return int(found)


def _thin(db: sqlite3.Connection, model: int) -> None:
    db.execute(
        "DELETE FROM uses WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER ("
        f"PARTITION BY environment, use, source = ?, rows, {_SIZE} ORDER BY id DESC) AS place "
        "FROM uses WHERE model = ?) WHERE place > ?)",
        (BENCHMARK, model, KEPT),
    )


def _kept(row: Sequence[Any]) -> Kept:
    told = dict(zip(_COLUMNS, row, strict=False))
    machine, name, revision, *versions = row[len(_COLUMNS) : len(_COLUMNS) + 7]
    figure = Figure(model=name, machine=machine, **told | {"use": Use(told["use"])})
    return Kept(figure, revision, Shape(*row[len(_COLUMNS) + 7 :]), Versions(*versions))
