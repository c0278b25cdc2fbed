"""The last line is made anew where a key of it has changed, and only there."""

from __future__ import annotations

from textual.widgets._footer import FooterKey

from tests.tui.conftest import until
from tui.app import AssayApp
from tui.widgets.footer import KeyFooter


async def test_keys_that_stay_as_they_are_stay_in_place(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.focused)
        footer = workbench.screen.query_one(KeyFooter)
        before = list(footer.query(FooterKey))
        assert before
        workbench.screen.refresh_bindings()
        await pilot.pause()
        assert list(footer.query(FooterKey)) == before
        await pilot.press("f2")
        await until(pilot, lambda: "Filter" in [key.description for key in footer.query(FooterKey)])
        assert before != list(footer.query(FooterKey))
        assert not footer.query(".-compact")
