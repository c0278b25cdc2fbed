"""The run that is shown, written by keyboard into a file that the user names."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.tui.conftest import screen_text, until
from tests.tui.golden.own_suite import opened, run_all, write_suite
from tests.tui.golden.test_pane import notices
from tests.tui.scripted import ScriptedEngine
from tui.app import AssayApp
from tui.golden.export import FORMATS, proposed, target
from tui.golden.export_screen import ReportScreen
from tui.screens.confirm import Confirm


async def exporting(pilot: Pilot[None], app: AssayApp) -> ReportScreen:
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, ReportScreen) and app.screen.name_field.has_focus, "the dialogue")
    assert isinstance(app.screen, ReportScreen)
    return app.screen


def fault(app: AssayApp) -> str:
    return str(app.screen.query_one("#report-fault", Static).content) if isinstance(app.screen, ReportScreen) else ""


def shown(app: AssayApp) -> str:
    """What is on the screen, without the breaks of its lines."""
    return "".join(line.strip(" │┃") for line in screen_text(app).splitlines())


async def type_name(pilot: Pilot[None], screen: ReportScreen, name: str) -> None:
    screen.name_field.value = name
    await pilot.press("enter")


def test_the_proposed_name_is_no_file_that_is_there(tmp_path: Path) -> None:
    run = "20261129-093000-000000"
    assert proposed(tmp_path, "my suite/ü", run) == "golden-my-suite-ü-20261129-093000.html"
    (tmp_path / "golden-mine-20261129-093000.csv").touch()
    assert proposed(tmp_path, "mine", run) == "golden-mine-20261129-093000-1.html"


def test_what_is_typed_is_a_file_in_the_folder_or_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    told = [target(tmp_path, name) for name in (" a.md ", "/b/c.md", "~/d.md", "~nobody-of-that-name/e.md")]
    assert told == [tmp_path / "a.md", Path("/b/c.md"), Path("/home/me/d.md"), tmp_path / "~nobody-of-that-name/e.md"]


async def test_there_is_nothing_to_export_before_a_run(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        workbench.golden.action_export()
        await until(pilot, lambda: "no kept run to export yet" in notices(workbench))


async def test_a_run_is_written_as_each_report_by_keyboard(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path / "mine")
    async with workbench.run_test(size=(120, 40)) as pilot:
        sayings = await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        sayings.said["capital"] = "It is Rome."
        whole = workbench.golden.last_run
        await pilot.press("home", "r")
        await until(pilot, lambda: workbench.golden.last_run != whole and not workbench.golden.busy)
        for downs, ending in enumerate(FORMATS):
            screen = await exporting(pilot, workbench)
            await pilot.press(*["down"] * downs)
            name = screen.name_field.value
            assert name.startswith("golden-mine-")
            assert f"▸ {ending}" in screen_text(workbench)
            await pilot.press("enter")
            await until(pilot, lambda: len(workbench.screen_stack) == 1, "written")
            written = tmp_path / name
            await until(pilot, lambda written=written: f"to {written} (" in notices(workbench), "where it went")
            text = written.read_text()
            assert "It is Rome." in text, "the part that was run last"
            if ending == ".csv":
                rows = list(csv.DictReader(text.splitlines()))
                assert {(row["case"], row["verdict"]) for row in rows} == {("capital", "fail"), ("shape", "pass")}


async def test_what_cannot_be_written_is_a_sentence_and_the_dialogue_stays(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        await run_all(pilot, workbench)
        screen = await exporting(pilot, workbench)
        for name, why in (
            ("page.pdf", "has no ending that names a report"),
            ("nowhere/page.html", f"There is no folder {tmp_path / 'nowhere'}: make it, or name another."),
            ("mine", "is a folder: name a file in it"),
            ("x" * 300 + ".md", "File name too long"),
        ):
            await type_name(pilot, screen, name)
            await until(pilot, lambda why=why: why in fault(workbench), why)
        with monkeypatch.context() as patched:
            patched.setattr("core.atomic.write_atomically", full)
            await type_name(pilot, screen, "page.html")
            await until(pilot, lambda: "No space left on device" in fault(workbench))
            assert "make room, or name another folder" in fault(workbench)
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
    assert not any(name.endswith(".html") for name in os.listdir(tmp_path))


async def test_no_file_is_overwritten_unasked(workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("mine")
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        await run_all(pilot, workbench)
        for answer, kept in (("n", True), ("y", False)):
            screen = await exporting(pilot, workbench)
            await type_name(pilot, screen, "page.md")
            await until(pilot, lambda: isinstance(workbench.screen, Confirm))
            assert "page.md is there already (" in shown(workbench)
            await pilot.press(answer)
            await until(pilot, lambda: not isinstance(workbench.screen, Confirm))
            if kept:
                assert isinstance(workbench.screen, ReportScreen)
                await pilot.press("escape")
            await until(pilot, lambda: len(workbench.screen_stack) == 1)
            assert (page.read_text() == "mine") == kept
