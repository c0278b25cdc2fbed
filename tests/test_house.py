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

PACKAGES = ("core", "pytest_assay", "server", "tui")
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


MLX = ("mlx", "mlx_lm", "mlx_vlm", "mlx_audio", "miniaudio", "transformers")
DRAWN = """
tui > chats, golden, engine, server
server > engine
golden > engine
engine > mlx.thread, mlx.commands, calls, catalog
calls > catalog, media
mlx.thread > mlx.commands
mlx.commands > mlx.scheduler
mlx.scheduler > mlx.loads
mlx.loads > mlx.pool
mlx.pool > mlx.runtimes
mlx.runtimes > mlx.embeddings, mlx.audio, mlx.decoding
mlx.embeddings > mlx.models
mlx.audio > mlx.models
mlx.decoding > mlx.prompt, mlx.kv
mlx.prompt > mlx.models
mlx.models > mlx.ranks
"""
"""The picture of ARCHITECTURE.md, an arrow for each pair."""


def room(module: str) -> str:
    """The room of a module: a folder or file of core or core.mlx, or one of the other packages. The engine has two."""
    package, *parts = module.replace("core.engine_life", "core.engine").split(".")
    return ".".join(parts[: 2 if parts[:1] == ["mlx"] else 1]) if package == "core" and parts else package


def test_the_picture_shows_arrows_that_are_there_and_go_one_way() -> None:
    there = {(room(module), room(other)) for module, others in arrows().items() for other in others}
    for line in filter(None, DRAWN.splitlines()):
        start, _, ends = line.partition(" > ")
        for end in ends.split(", "):
            assert (start, end) in there, f"{start} no longer imports {end}"
            assert (end, start) not in there, f"{end} imports {start}"


def test_only_the_mlx_thread_and_the_training_program_touch_mlx() -> None:
    graph = grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)
    libraries = [name for name in MLX if name in graph.modules]
    importers = {module for name in libraries for module in graph.find_modules_that_directly_import(name)}
    assert [module for module in importers if not module.startswith(("core.mlx.", "core.pocket.train"))] == []
    assert len(importers) > 20


def test_all_of_core_but_two_rooms_is_named_by_the_contract() -> None:
    """`core.mlx` is for it, and `core.pocket.train` trains with it."""
    (contract,) = [contract for contract in CONTRACTS if contract["name"].startswith("Only core.mlx touches MLX")]
    rooms = {f"core.{path.stem}" for path in (ROOT / "core").iterdir() if path.suffix == ".py" or _is_package(path)}
    rooms -= {"core.__init__", "core.mlx", "core.pocket"}
    assert rooms | {"server", "tui"} == set(contract["source_modules"])


def test_every_folder_of_code_is_a_package() -> None:
    """A folder without __init__.py is seen by no contract."""
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not _is_package(folder)] == []


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
