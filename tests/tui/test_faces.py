"""The rail beside one pane: what is in memory, each thing on a line that it fits."""

from __future__ import annotations

from dataclasses import replace

from core.status import EngineStatus, LoadedModel, ModelState
from tests.tui.conftest import QUICK, screen_text, until
from tui.app import AssayApp

WIDE = "someone/通义千问通义千问-7B"


async def test_no_line_of_the_rail_is_broken_in_two(workbench: AssayApp) -> None:
    models = (
        LoadedModel(WIDE, ModelState.READY, memory_bytes=4_900_000, pinned=True),
        LoadedModel(QUICK, ModelState.LOADING, progress=0.2),
    )
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        status = EngineStatus(True, "cpu", models)
        workbench._services.engine.status = lambda: status  # type: ignore[method-assign,union-attr]
        workbench.state = replace(workbench.state, status=status, quick=WIDE, full=WIDE)

        def rail() -> list[str]:
            lines = screen_text(workbench).splitlines()
            start = next((at for at, line in enumerate(lines) if "in memory" in line), 0)
            return [line.partition("│")[0].strip() for line in lines[start + 1 : start + 6]]

        await until(pilot, lambda: rail()[0].startswith("●"))
        assert rail() == ["● 通义千…千问-7B", "quick/full", "4.9M · pinned", "◐ qwen2-vl", "loading"]
