"""Downloads in the workbench: several at once, paused, gone on with over a restart, thrown away, told of everywhere."""

from __future__ import annotations

import pytest
from huggingface_hub import constants
from textual.pilot import Pilot
from textual.widgets import Static

from core.hub.downloads import Downloads, downloading
from core.hub.progress import Stage
from core.hub.records import read_records
from core.settings import Settings
from tests.hub import Fault, Hub, Repository, pocket_repository
from tests.tui.conftest import screen_text, until
from tests.tui.hub.conftest import MODEL, WEIGHTS, at_the_hub, known, new_workbench, notices, row_of, search, slow
from tests.tui.scripted import ScriptedEngine, ScriptedServer
from tests.tui.test_stopping import footer
from tui.app import AssayApp

OTHER = "mlx-community/gemma3"


def stage(app: AssayApp, model_id: str = MODEL) -> Stage | None:
    one = app.models.hub.downloads.of(model_id)
    return None if one is None else one.stage


def done(app: AssayApp, model_id: str = MODEL) -> int:
    one = app.models.hub.downloads.of(model_id)
    return 0 if one is None else one.done


async def begun(pilot: Pilot[None], app: AssayApp, hub: Hub) -> Fault:
    """The first model found is on its way, as slowly as the fault says."""
    fault = slow(hub)
    await at_the_hub(pilot, app)
    await search(pilot, app)
    await pilot.press("d")
    await until(pilot, lambda: done(app) > 40_000)
    return fault


async def test_two_at_once_one_broken_off_and_gone_on_with(
    workbench: AssayApp, hub: Hub, scripted: ScriptedEngine
) -> None:
    hub.add(pocket_repository("gemma3", downloads=50))
    async with workbench.run_test(size=(120, 40)) as pilot:
        fault = await begun(pilot, workbench, hub)
        await pilot.press("down", "d")
        await until(pilot, lambda: done(workbench, OTHER) > 40_000)
        await until(pilot, lambda: "2 downloads" in screen_text(workbench).splitlines()[0])
        await until(pilot, lambda: screen_text(workbench).count("model.safetensors") == 2, "a bar for each file")
        await until(pilot, lambda: "K/s" in screen_text(workbench) or "M/s" in screen_text(workbench))
        await pilot.press("p")
        await until(pilot, lambda: stage(workbench, OTHER) is Stage.PAUSED and "1 paused" in screen_text(workbench))
        await pilot.press("h")
        await until(pilot, lambda: "1 download," in screen_text(workbench), "told of beside the disk, too")
        fault.pace = None
        await until(pilot, lambda: MODEL in workbench.models._models)
        await until(pilot, lambda: f"{MODEL} is on disk" in notices(workbench))
        await until(pilot, lambda: "↓ 1 download paused" in screen_text(workbench))
        await until(
            pilot, lambda: "5 models, " in screen_text(workbench), "what they add up to, as long as there is room"
        )
        assert "download" not in screen_text(workbench).splitlines()[0], "nothing moves"
        await pilot.press("h", "p")
        await until(pilot, lambda: workbench.models._models.get(OTHER) and not workbench.models._models[OTHER].problem)
        await until(pilot, lambda: workbench.models.hub.downloads.all == ())
        assert "✓" in row_of(workbench, OTHER)
        assert ("p", "Pause") not in footer(workbench)
        size = hub.repositories[OTHER].commits[0]["model.safetensors"].size
        assert hub.served[f"{OTHER}/model.safetensors"] <= size + 2_000_000


async def test_the_row_says_at_once_that_a_part_is_here(workbench: AssayApp, hub: Hub) -> None:
    slow(hub)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await until(pilot, lambda: known(workbench) and "fits" in row_of(workbench, MODEL))
        await pilot.press("d")
        await until(pilot, lambda: "◔" in row_of(workbench, MODEL), "while it comes")
        await until(pilot, lambda: done(workbench) > 40_000)
        await pilot.press("x")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press("y")
        await until(pilot, lambda: "◔" not in row_of(workbench, MODEL), "nothing of it is")


async def test_leaving_asks_and_the_next_start_goes_on(
    workbench: AssayApp, hub: Hub, scripted: ScriptedEngine, server: ScriptedServer, hub_settings: Settings
) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await begun(pilot, workbench, hub)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        assert "1 download goes on. Pause and leave?" in screen_text(workbench)
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
        assert workbench.state.phase == "ready"
        await pilot.press("ctrl+q")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press("y")
        await until(pilot, lambda: workbench._exit)
    before = hub.served[WEIGHTS]
    hub.faults.clear()
    again = new_workbench(scripted, server, hub_settings)
    async with again.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: MODEL in again.models._models and not again.models._models[MODEL].problem)
        await until(pilot, lambda: f"{MODEL} is on disk" in notices(again))
    size = hub.repositories[MODEL].commits[0]["model.safetensors"].size
    assert 0 < before < size
    assert hub.served[WEIGHTS] <= size + 1_500_000


async def test_two_times_ctrl_q_leaves_at_once(workbench: AssayApp, hub: Hub) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await begun(pilot, workbench, hub)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: workbench._exit)


async def test_a_start_without_unfinished_downloads_imports_nothing_of_the_hubs(
    workbench: AssayApp, hub: Hub, hub_settings: Settings
) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
        queue = workbench.models.hub.downloads._queue
        assert queue is not None
        assert queue._downloads is None
        assert hub.asked == []


async def test_what_somebody_paused_stays_paused_at_the_next_start(
    workbench: AssayApp, hub: Hub, scripted: ScriptedEngine, server: ScriptedServer, hub_settings: Settings
) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await begun(pilot, workbench, hub)
        await pilot.press("p")
        await until(pilot, lambda: stage(workbench) is Stage.PAUSED)
        await until(pilot, lambda: not read_records(hub_settings)[0].goes_on)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: workbench._exit)
    asked = len(hub.asked)
    again = new_workbench(scripted, server, hub_settings)
    async with again.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: stage(again) is Stage.PAUSED)
        await until(pilot, lambda: again.state.phase == "ready")
        assert len(hub.asked) == asked
        await pilot.press("f2")
        await until(pilot, lambda: "↓ 1 download paused" in screen_text(again))


async def test_x_asks_and_throws_away(workbench: AssayApp, hub: Hub, hub_settings: Settings) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await begun(pilot, workbench, hub)
        await pilot.press("x")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        assert f"{MODEL} has come to" in screen_text(workbench)
        await pilot.press("y")
        await until(pilot, lambda: workbench.models.hub.downloads.all == ())
        assert read_records(hub_settings) == []
        await until(pilot, lambda: not workbench.models.hub.downloads.display)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            Fault(status=404, code="EntryNotFound"),
            "lists model.safetensors of mlx-community/qwen3 and does not have it",
        ),
        (Fault(status=403), "does not let you have"),
    ],
)
async def test_why_a_download_stopped_stands_under_it_and_p_goes_on(
    workbench: AssayApp, hub: Hub, fault: Fault, says: str
) -> None:
    hub.faults[WEIGHTS] = hub.faults[f"{hub.repositories[MODEL].sha()}/model.safetensors"] = fault
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await pilot.press("d")
        await until(pilot, lambda: stage(workbench) is Stage.FAILED)
        await until(pilot, lambda: says in screen_text(workbench) and "stopped" in screen_text(workbench))
        hub.faults.clear()
        await pilot.press("p")
        await until(pilot, lambda: MODEL in workbench.models._models)


async def test_long_reasons_leave_room_for_the_models(workbench: AssayApp, hub: Hub) -> None:
    hub.add(*(Repository(f"me/m{number}", hub.repositories[MODEL].commits) for number in range(3)))
    async with workbench.run_test(size=(80, 24)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        view = workbench.models.hub
        await until(pilot, lambda: not view._search.looking)  # type: ignore[union-attr]
        hub.faults["model.safetensors"] = Fault(403)
        for at in range(3):
            await pilot.press("d", "down")
            await until(pilot, lambda at=at: len(view.downloads.all) == at + 1)  # type: ignore[misc]
        await until(pilot, lambda: all(one.stage is Stage.FAILED for one in view.downloads.all))
        await until(pilot, lambda: view.table.rows.size.height >= 4 and view.downloads.table.rows.row_count == 3)
        told = view.query_one("#hub-downloads-notes", Static)
        await pilot.press("ctrl+o", "d", "end")
        await until(pilot, lambda: view.downloads.selected and told.size.height > 2)
        assert str(told.content).startswith(
            f"The Hub does not let you have model.safetensors of {view.downloads.selected}"
        )


async def test_a_gated_model_says_what_to_do(workbench: AssayApp, hub: Hub) -> None:
    hub.repositories[MODEL].gated = "manual"
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await until(pilot, lambda: "is gated: its licence has to be accepted first" in screen_text(workbench))
        assert "§" in row_of(workbench, MODEL)
        await pilot.press("d")
        await until(pilot, lambda: stage(workbench) is Stage.FAILED)
        assert notices(workbench).count("is gated") == 1


async def test_no_room_is_a_sentence(workbench: AssayApp, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("core.hub.job.shutil.disk_usage", lambda _: usage(10**9, 10**9, 1000))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await pilot.press("d")
        await until(pilot, lambda: stage(workbench) is Stage.FAILED)
        told = workbench.query_one("#hub-downloads-notes", Static)
        await until(pilot, lambda: "Make room (`assay models delete`)" in str(told.content))
        assert "elsewhere." in screen_text(workbench), "all of it is on the screen, however its lines are broken"


async def test_several_that_stop_offline_say_so_once(
    workbench: AssayApp, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(*(Repository(f"me/m{number}", hub.repositories[MODEL].commits) for number in range(2)))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await until(pilot, lambda: not workbench.models.hub._search.looking)  # type: ignore[union-attr]
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        await pilot.press("d", "down", "d", "down", "d")
        await until(pilot, lambda: [one.stage for one in workbench.models.hub.downloads.all] == [Stage.FAILED] * 3)
        await until(pilot, lambda: workbench.models.hub.downloads.table.rows.row_count == 3)
        assert notices(workbench).count("HF_HUB_OFFLINE is set") == 1
        told = workbench.query_one("#hub-downloads-notes", Static).content
        assert str(told).count("HF_HUB_OFFLINE is set") == 1


async def test_another_programs_download_is_left_to_it(workbench: AssayApp, hub: Hub, hub_settings: Settings) -> None:
    slow(hub)
    others = Downloads(hub_settings, goes_on=True)
    others.add(MODEL)
    hub.wait_for(MODEL, 60_000)
    try:
        async with workbench.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: stage(workbench) is Stage.PAUSED)
            await pilot.press("f2", "h", "p")
            await until(pilot, lambda: "is being downloaded by another program" in screen_text(workbench))
    finally:
        others.close()


@pytest.mark.parametrize("key", ["r", "x"])
async def test_what_another_program_has_ended_is_not_offered_any_more(
    workbench: AssayApp, hub: Hub, hub_settings: Settings, key: str
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        fault = await begun(pilot, workbench, hub)
        await pilot.press("p")
        await until(pilot, lambda: stage(workbench) is Stage.PAUSED)
        await until(pilot, lambda: not read_records(hub_settings)[0].goes_on)
        fault.pace = None
        with downloading(hub_settings) as others:
            assert others.wait(others.add(MODEL), 30).stage is Stage.DONE
        await pilot.press(*(["h", "r"] if key == "r" else ["x"]))
        await until(pilot, lambda: workbench.models.hub.downloads.all == ())
        await until(pilot, lambda: "1 download paused" not in screen_text(workbench))
        assert len(workbench.screen_stack) == 1, "nothing is asked about a whole model"
