"""The list of models in the order of any column, by keyboard and by mouse."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.catalog import ModelInfo, ModelKind
from core.settings import Settings
from core.status import EngineStatus
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.scripted import MB, MODELS, ScriptedCatalog, ScriptedEngine, ScriptedServer, model
from tui.app import AssayApp
from tui.models.columns import COLUMNS
from tui.models.order import Order
from tui.remembered import read_remembered, remembered_file
from tui.services import Services
from tui.state import WorkbenchState
from tui.widgets.row_table import Column, RowHead, fitted, head_content

STATE = WorkbenchState(status=EngineStatus(True, "cpu", memory_budget=24_000 * MB), quick=QUICK, full=FULL)
BARE = ModelInfo("someone/bare", Path("/models/bare"), "cache", ModelKind.UNKNOWN, "", problem="incomplete")


def listed(app: AssayApp) -> list[str]:
    return app.models.table._keys


def head(app: AssayApp) -> str:
    return str(app.models.query_one(RowHead).content)


async def opened(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected, "the list of models")
    await pilot.press("f2")


async def sort_by(pilot: Pilot[None], app: AssayApp, column: str) -> None:
    while app.models.order.column != column:
        await pilot.press("s")


@pytest.mark.parametrize("column", [column.key for column in COLUMNS])
def test_every_column_sorts_and_what_has_none_of_it_comes_last(column: str) -> None:
    models = [*MODELS[::-1], BARE]
    for descending in (False, True):
        found = Order(column, descending).of(models, STATE)
        assert sorted(info.id for info in found) == sorted(info.id for info in models)
        if column in ("parameters", "context", "family", "takes", "size", "memory"):
            assert found[-1] == BARE, "of those that have none, the last"


def test_numbers_sort_as_numbers() -> None:
    sizes = [model(f"m/{count}", ModelKind.TEXT, count) for count in (9, 10, 1000, 200)]
    assert [info.id for info in Order("size").of(sizes, STATE)] == ["m/9", "m/10", "m/200", "m/1000"]
    assert [info.id for info in Order("parameters", True).of(sizes, STATE)] == ["m/1000", "m/200", "m/10", "m/9"]
    packed = [replace(sizes[0], id=name, quantisation=name) for name in ("bf16", "8bit-g64", "mxfp4", "4bit-g32")]
    assert [info.id for info in Order("quant").of(packed, STATE)] == ["4bit-g32", "mxfp4", "8bit-g64", "bf16"]


def test_models_that_are_alike_stay_as_they_were_both_ways() -> None:
    alike = [model(f"m/{name}", ModelKind.TEXT, 5) for name in "cab"]
    for descending in (False, True):
        assert Order("size", descending).of(alike, STATE) == alike


def test_an_order_is_written_and_read() -> None:
    for order in (Order(), Order("size", True), Order("name")):
        assert Order.read(str(order)) == order
    assert Order.read("-colour") == Order()


def test_the_arrow_stands_at_its_column_and_moves_no_other() -> None:
    columns = [Column("a", "name"), Column("b", "params", 6, right=True), Column("c", "fit", 8)]
    layout = fitted(columns, 40)
    bare = head_content(layout, "", False).plain
    for key in "abc":
        marked = head_content(layout, key, key == "b").plain
        assert len(marked) == len(bare)
        assert marked.count("▼" if key == "b" else "▲") == 1
        assert marked.index("fit") == bare.index("fit")
    assert "params▼ fit" in head_content(layout, "b", True).plain


async def test_s_goes_through_the_columns_and_capital_s_turns_round(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        as_found = list(listed(workbench))
        workbench.models.table.select(QUICK)
        await sort_by(pilot, workbench, "size")
        by_size = sorted(MODELS, key=lambda info: -info.size_bytes)
        assert listed(workbench) == [info.id for info in by_size]
        assert "disk▼" in head(workbench)
        assert workbench.models.selected is not None
        assert workbench.models.selected.id == QUICK, "the cursor stays on its model"
        await pilot.press("S")
        assert listed(workbench) == [info.id for info in by_size[::-1]]
        assert "disk▲" in head(workbench)
        await sort_by(pilot, workbench, "")
        assert listed(workbench) == as_found
        assert "▲" not in head(workbench)


async def test_a_click_on_a_columns_head_sorts_by_it_and_a_second_one_turns_round(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        for expected in ("name", "-name"):
            await pilot.click("#model-table RowHead", offset=(4, 0))
            await until(pilot, lambda expected=expected: str(workbench.models.order) == expected)
        assert listed(workbench)[0] == "someone/half-downloaded-7b"
        assert "model▼" in screen_text(workbench)


async def test_a_filtered_list_is_sorted_too(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        await sort_by(pilot, workbench, "size")
        await pilot.press("slash", *"text")
        await until(pilot, lambda: len(listed(workbench)) == 3)
        assert [key[:8] for key in listed(workbench)] == ["someone/", "mlx-comm", "pocket/q"]


async def test_a_list_by_what_is_in_memory_follows_it(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        await sort_by(pilot, workbench, "lamp")
        scripted.put_in_memory("mlx-community/bge-small-en-v1.5-4bit")
        await until(pilot, lambda: listed(workbench)[0] == "mlx-community/bge-small-en-v1.5-4bit")


async def test_the_order_is_there_again_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    def start() -> Furnished:
        return Furnished(
            lambda: settings,
            lambda own: Services(own, ScriptedEngine(), ScriptedServer(), QUICK, FULL),  # type: ignore[arg-type]
        )

    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await sort_by(pilot, app, "size")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    assert read_remembered(remembered_file(settings.data_dir))[0].models_by == "-size"
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        await until(pilot, lambda: listed(again) and listed(again)[0] == "mlx-community/gemma-3-27b-it-4bit-DWQ")


async def test_two_thousand_models_are_sorted_at_once(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.catalog = ScriptedCatalog([model(f"m/{count:04d}", ModelKind.TEXT, count) for count in range(2000)])
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        spent = []
        for column in COLUMNS:
            began = time.thread_time()
            workbench.models.order = Order(column.key, True)
            spent.append(time.thread_time() - began)
        assert max(spent) < 0.15, "seconds of processor time"
