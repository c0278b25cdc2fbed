"""What the shape of the house promises: no circle of imports, walls that stand everywhere, tests where the code is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests import ROOT

PACKAGES = ("core", "server", "tui")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next and the last the first; none where imports go one way."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def arrows() -> dict[str, set[str]]:
    """Every module, and those it imports anywhere: inside functions, and for type checkers alone, too."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = arrows()
    assert len(found) > 150
    assert circle(found) == []


def test_a_circle_would_be_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()})) == {"b", "c"}


def test_all_of_core_but_two_rooms_is_kept_from_mlx() -> None:
    """`core.mlx` is for it, and `core.pocket.train` trains with it."""
    (contract,) = [contract for contract in CONTRACTS if contract["name"].startswith("Only core.mlx touches MLX")]
    rooms = {f"core.{path.stem}" for path in (ROOT / "core").iterdir() if path.suffix == ".py" or _is_package(path)}
    rooms -= {"core.__init__", "core.mlx", "core.pocket"}
    assert rooms | {"server", "tui"} == set(contract["source_modules"])


def _is_package(path: Path) -> bool:
    return (path / "__init__.py").exists()


def _tests() -> Iterator[Path]:
    yield from sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_lie_where_the_code_does(package: str) -> None:
    """Each folder of tests has a folder of code of the same name, except for benchmarks and pocket models."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in _tests()}
    for folder in sorted(folder for folder in folders if folder.parts[:1] == (package,)):
        assert (ROOT / folder).is_dir(), f"tests/{folder} mirrors no folder"


def test_the_page_names_every_file_of_the_engine_and_none_that_is_not_there() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"[\w/]+\.(?:py|tcss)\b", page))
    files = [path.relative_to(ROOT) for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*")]
    there = {str(Path(*path.parts[start:])) for path in files for start in range(len(path.parts))}
    assert named - there == set()
    rooms = [path for path in files if path.parts[0] == "core" and path.parts[1] not in ("catalog", "golden", "pocket")]
    modules = {path.name for path in rooms if path.suffix == ".py" and path.name != "__init__.py"}
    assert modules - {name.rsplit("/", 1)[-1] for name in named} == set()
