"""A regression planted in a real model, which comparing it with itself has to find and name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

import core.pocket
from core.engine import Engine
from core.golden.compare.change import Change
from core.golden.compare.comparison import breaches, compare
from core.golden.compare.sides import open_sides
from core.golden.models import from_disk
from core.golden.plan import RunOptions, make_plan
from core.golden.provenance import header
from core.golden.reading import load_suite
from core.golden.results import RunFolder
from core.golden.routes import InProcess
from core.golden.run import GoldenRun
from core.settings import Settings
from core.tiers import Tier

CAPITALS = {
    "Austria": "Vienna",
    "Egypt": "Cairo",
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Norway": "Oslo",
    "Spain": "Madrid",
}
GOLDEN_TOML = """
[defaults]
temperature = 0.0
thinking = false
max_tokens = 24
[tiers]
quick = "mine/qwen3"
full = "mine/qwen3"
[gates]
full = { pass = 0.0, max_regressions = 0 }
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of pocket/qwen3 that a test may damage."""
    folder = tmp_path_factory.mktemp("models") / "mine" / "qwen3"
    shutil.copytree(Path(core.pocket.__file__).parent / "models" / "qwen3", folder)
    return folder


@pytest.fixture
def own_engine(settings: Settings, model: Path) -> Iterator[Engine]:
    with Engine(settings.model_copy(update={"model_folders": [model.parent.parent]})) as engine:
        engine.ready().result()
        yield engine


def zero_head(model: Path, layer: int, head: int) -> None:
    """Take one attention head out: its columns of the output projection become zeros."""
    file = model / "model.safetensors"
    weights = load_file(file)
    name = f"model.layers.{layer}.self_attn.o_proj.weight"
    damaged = weights[name].copy()
    damaged[:, 32 * head : 32 * (head + 1)] = 0
    save_file({**weights, name: damaged}, file, metadata={"format": "mlx"})


def test_a_head_that_is_zeroed_regresses_cases_by_name(
    own_engine: Engine, model: Path, tmp_path: Path, write_suite: Callable[[Mapping[str, str]], Path]
) -> None:
    files = {"golden.toml": GOLDEN_TOML, "count.txt": "Hello!"}
    for country, city in CAPITALS.items():
        files |= {f"{country}.txt": f"What is the capital of {country}?", f"{country}.toml": f'expect = "{city}"'}
    suite = load_suite(write_suite(files))
    runs = tmp_path / "runs"

    def run() -> None:
        plan = make_plan(suite, from_disk(own_engine.catalog, own_engine.settings), RunOptions(), 2**40)
        folder = RunFolder.create(runs, header(plan, own_engine.status()))
        GoldenRun(plan, {"in-process": InProcess(own_engine)}, own_engine, folder=folder).run()

    run()
    run()
    base, again, _ = open_sides(runs, "previous", "last")
    same = compare(base, again)
    assert dict(same.counts) == {Change.SAME: 18}
    assert [(one.label, one.fell, one.rose, one.p) for one in same.balances] == [
        ("quick", 0, 0, 1.0),
        ("full", 0, 0, 1.0),
    ]
    assert breaches(same, suite.gates.max_regressions) == []

    own_engine.unload("mine/qwen3").result()
    zero_head(model, layer=0, head=0)
    run()
    found = compare(*open_sides(runs, "previous", "last")[:2])
    regressed = [one for one in found.flips if one.tier == Tier.FULL]
    assert [one.case for one in regressed] == list(CAPITALS)
    assert {one.change for one in regressed} == {Change.REGRESSED}
    assert all((one.base.passes, one.run.passes, one.run.tries) == (1, 0, 1) for one in regressed)
    assert all(one.run.why for one in regressed)
    balance = found.balances[-1]
    assert (balance.label, balance.cases, balance.held, balance.fell, balance.rose) == ("full", 9, (9, 1), 8, 0)
    assert balance.p == pytest.approx(2 / 2**8)
    assert balance.high < -0.3
    assert breaches(found, suite.gates.max_regressions) == [
        "8 cases regressed on the full tier, and max_regressions is 0."
    ]
