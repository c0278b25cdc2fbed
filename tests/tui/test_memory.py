"""What is chosen in the workbench is there again after a restart; what is broken or gone is said and left out."""

from __future__ import annotations

import errno
import os
import threading
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.calls.requests import Tool
from core.catalog import ModelInfo
from core.chats.settings import ChatSettings
from core.errors import ModelNotFound
from core.settings import Settings
from tests.tui.conftest import DEADLINE_S, FULL, QUICK, Furnished, late_workbench, until
from tests.tui.scripted import ScriptedCatalog, ScriptedEngine, ScriptedServer, golden_answers
from tui.remembered import ChatChoice, Remembered, read_remembered, remembered_file, write_remembered
from tui.services import Services
from tui.state import Phase
from tui.theme import DARK, LIGHT

Start = Callable[..., Furnished]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def new(suite: Path | None = None, catalog: ScriptedCatalog | None = None, **settings: object) -> Furnished:
        own = Settings(data_dir=tmp_path / "data", **settings)
        engine = ScriptedEngine(script=golden_answers, catalog=catalog or ScriptedCatalog())
        opener = lambda settings: Services(settings, engine, ScriptedServer(), QUICK, FULL)  # noqa: E731
        return Furnished(lambda: own, opener, suite=suite)

    return new


def notices(app: Furnished) -> str:
    return "\n".join(notice.message for notice in app._notifications)


def ready(app: Furnished) -> bool:
    return app.state.phase is Phase.READY and app.models.table.selected is not None


CHOSEN = ChatSettings(
    "Be brief.", temperature=0.5, seed=7, max_tokens=None, thinking=False, tools=(Tool("look", "Looks"),)
)


async def test_everything_chosen_is_there_again(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(app) and app.golden.table.selected)
        app.chat.set_settings(CHOSEN)
        await pilot.press("f9", "f2", "end")
        app.models.table.select("pocket/qwen3")
        await pilot.press("q")
        await until(pilot, lambda: app.state.quick == "pocket/qwen3")
        app.chat.bar.choose("full")
        await pilot.press("f4", "R")
        await until(pilot, lambda: app.golden.last_run and not app.golden.busy)
        held = [app.golden._board.difference(case) for case in app.golden._board.cases]
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(again) and again.face == "golden")
        assert again.theme == LIGHT.name
        assert (again.state.quick, again.state.full) == ("pocket/qwen3", FULL)
        assert again.state.chosen == {"quick"}
        assert again.chat.settings == CHOSEN
        assert again.chat.bar.chosen == "full"
        await until(pilot, lambda: any(cell.attempt for cell in again.golden._board.cells.values()))
        assert [again.golden._board.difference(case) for case in again.golden._board.cases] == held
        assert not notices(again)


async def test_settings_and_the_command_line_win(start: Start, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "one.md").write_text("Hello?\n")
    kept = Remembered(quick="pocket/qwen3", suite=str(tmp_path / "elsewhere"))
    write_remembered(remembered_file(tmp_path / "data"), kept)
    app = start(suite, quick_model=QUICK)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(app))
        assert app.state.quick == QUICK
        assert app.golden.suite_folder == str(suite)


async def test_a_pick_waits_until_the_setting_that_overrules_it_goes(start: Start, tmp_path: Path) -> None:
    file = remembered_file(tmp_path / "data")
    write_remembered(file, Remembered(quick="pocket/qwen3", full="pocket/qwen3"))
    app = start(quick_model=QUICK, full_model=FULL)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(app))
        assert (app.state.quick, app.state.full) == (QUICK, FULL)
        await pilot.press("f2")
        app.models.table.select(FULL)
        await pilot.press("w")  # the usual one, by hand
        await until(pilot, lambda: app.state.loaded(FULL))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    kept, _ = read_remembered(file)
    assert (kept.quick, kept.full) == ("pocket/qwen3", "")
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(again))
        assert (again.state.quick, again.state.full) == ("pocket/qwen3", FULL)


async def test_what_is_gone_is_said(start: Start, tmp_path: Path) -> None:
    kept = Remembered(theme="neon", full="someone/deleted", suite=str(tmp_path / "gone"), run="20200101-000000-aaaa")
    write_remembered(remembered_file(tmp_path / "data"), kept)
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(app))
        assert "no theme 'neon'" in notices(app)
        assert "someone/deleted" in notices(app)
        assert f"The suite {tmp_path / 'gone'} is not there any more." in notices(app)
        assert (app.theme, app.state.full) == (DARK.name, FULL)


async def test_who_answered_and_is_gone_is_said_once(start: Start, tmp_path: Path) -> None:
    write_remembered(remembered_file(tmp_path / "data"), Remembered(answers="someone/deleted"))
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(app) and "someone/deleted does not answer any more" in notices(app))
        assert app.chat.bar.chosen == "quick"
        app.clear_notifications()
        await pilot.press("f2", "r")
        await until(pilot, lambda: "models on disk" in notices(app))
        assert "someone/deleted" not in notices(app)


class LateCatalog(ScriptedCatalog):
    """Lists its models when it is told to; one that is asked for may not be found before that."""

    def __init__(self, finds: bool = True) -> None:
        super().__init__()
        self.may_list = threading.Event()
        self._finds = finds

    def get(self, model_id: str) -> ModelInfo:
        if not self._finds and not self.may_list.is_set():
            raise ModelNotFound(f"There is no model {model_id} on disk.")
        return super().get(model_id)

    def list(self) -> list[ModelInfo]:
        self.may_list.wait(DEADLINE_S)
        return super().list()


@pytest.mark.parametrize(
    ("kept", "chosen", "after"),
    [("pocket/qwen3", "", ""), ("full", "", ""), ("full", "quick", "quick"), ("pocket/qwen3", "full", "full")],
)
async def test_who_answers_is_kept_until_models_are_listed(
    start: Start, tmp_path: Path, kept: str, chosen: str, after: str
) -> None:
    file, catalog = remembered_file(tmp_path / "data"), LateCatalog(finds=False)
    write_remembered(file, Remembered(answers=kept))
    app = start(catalog=catalog)
    async with app.run_test(size=(120, 40)) as pilot:
        memory = app._memory
        assert memory is not None
        await until(pilot, lambda: memory.ready)
        if chosen:
            app.chat.bar.choose(chosen)
        memory.keep()
        assert read_remembered(file)[0].answers == (after or kept)
        catalog.may_list.set()
        await until(pilot, lambda: ready(app) and app.chat.bar.chosen == (after or kept))


async def test_who_answers_is_there_before_anything_can_be_asked(start: Start, tmp_path: Path) -> None:
    write_remembered(remembered_file(tmp_path / "data"), Remembered(answers="pocket/qwen3"))
    catalog = LateCatalog()
    app = start(catalog=catalog)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.chat.input.composer.sends)
        assert app.chat.bar.chosen == "pocket/qwen3"
        catalog.may_list.set()
        await until(pilot, lambda: ready(app))
        assert app.chat.bar.chosen == "pocket/qwen3"


async def test_a_later_look_at_the_disk_changes_nothing_about_who_answers(start: Start, tmp_path: Path) -> None:
    write_remembered(remembered_file(tmp_path / "data"), Remembered(answers="pocket/qwen3"))
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: ready(app) and app.chat.bar.chosen == "pocket/qwen3")
        app.chat.bar.choose("full")
        app.models.list_anew()
        await until(pilot, lambda: app._services.engine.catalog.refreshed)
        await pilot.pause()
        assert app.chat.bar.chosen == "full"


@pytest.mark.parametrize(
    ("keys", "kept", "face"), [("f2", "chat", "models"), ("f3", "golden", "chat"), ("f2", "golden", "models")]
)
async def test_a_pane_that_is_chosen_during_the_start_stays_chosen(
    tmp_path: Path, keys: str, kept: str, face: str
) -> None:
    write_remembered(remembered_file(tmp_path / "data"), Remembered(theme=DARK.name, face=kept))
    may_read = threading.Event()
    app = late_workbench(tmp_path / "data", may_read)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("f9", keys, "q")
        await until(pilot, lambda: app.furnished and app.theme == LIGHT.name)
        may_read.set()
        await until(pilot, lambda: app.state.phase is Phase.READY)
        assert (app.face, app.theme) == (face, LIGHT.name)
        assert app.chat.input.composer.text == "q" * (face == "chat")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"theme = 'assay-light'\nnew = 1", "holds new, which means nothing here."),
        (b"theme = 3", "theme cannot be 3"),
        (b"[chat]\ntemperature = 'hot'", "chat.temperature cannot be 'hot'"),
        (b"theme = ", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"chat = 1", "chat cannot be 1"),
    ],
)
def test_broken_or_unknown_content_is_left_out_with_a_note(tmp_path: Path, text: bytes, says: str) -> None:
    file = remembered_file(tmp_path)
    file.write_bytes(text)
    remembered, note = read_remembered(file)
    assert says in note
    assert str(file) in note
    assert remembered == (Remembered(theme="assay-light") if b"light" in text else Remembered())


def test_the_file_is_toml_that_comes_back_whole(tmp_path: Path) -> None:
    file = remembered_file(tmp_path / "data")
    assert read_remembered(file) == (Remembered(), "")
    whole = Remembered(
        "t", "chat", "q", "f", "quick", "/s", "r", ChatChoice("Line\nline \"'", 0.5, None, 7, None, True, "[]")
    )
    write_remembered(file, whole)
    assert read_remembered(file) == (whole, "")
    assert tomllib.loads(file.read_text())["chat"]["temperature"] == 0.5


async def test_what_the_disk_refuses_is_written_when_it_takes_it(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, file = start(), remembered_file(tmp_path / "data")
    refusing = [OSError(errno.ENOSPC, "No space left on device")] * 2

    def write(file: Path, remembered: Remembered) -> None:
        if refusing:
            raise refusing.pop()
        write_remembered(file, remembered)

    async with app.run_test(size=(120, 40)) as pilot:
        memory = app._memory
        assert memory is not None
        await until(pilot, lambda: memory.ready)
        monkeypatch.setattr("tui.memory.write_remembered", write)
        await pilot.press("f9")
        await until(pilot, lambda: app.theme == LIGHT.name)
        for _ in range(3):
            memory.keep()
    assert read_remembered(file)[0].theme == LIGHT.name


async def test_what_another_workbench_has_chosen_since_stays(start: Start, tmp_path: Path) -> None:
    app, file = start(), remembered_file(tmp_path / "data")
    async with app.run_test(size=(120, 40)) as pilot:
        memory = app._memory
        assert memory is not None
        await until(pilot, lambda: memory.ready)
        memory.keep()
        theirs = replace(read_remembered(file)[0], full="pocket/qwen3", chat=ChatChoice(system="Be brief."))
        write_remembered(file, theirs)
        memory.keep()
        assert read_remembered(file)[0] == theirs
        await pilot.press("f9")
        await until(pilot, lambda: app.theme == LIGHT.name)
        memory.keep()
        assert read_remembered(file)[0] == replace(theirs, theme=LIGHT.name)
        file.unlink()
        await pilot.press("f9")
        await until(pilot, lambda: app.theme == DARK.name)
        memory.keep()
        now, _ = read_remembered(file)
        assert (now.theme, now.answers) == (DARK.name, "quick")


async def test_what_is_kept_late_asks_no_part_that_has_gone(workbench: Furnished) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        memory = workbench._memory
        assert memory is not None
        await until(pilot, lambda: memory.ready)
        await workbench.chat.remove()
        memory.keep()


def test_a_file_that_is_a_pipe_is_said_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is a named pipe, not a regular file" in read_remembered(tmp_path / "pipe")[1]
