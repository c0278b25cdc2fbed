"""The model browser, by keyboard."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from core.catalog import ModelKind
from core.errors import OutOfMemory
from tests.tui.conftest import FULL, QUICK, screen_text, until
from tests.tui.scripted import MODELS, ScriptedCatalog, ScriptedEngine, model
from tui.app import AssayApp


async def opened(pilot: Pilot[None], app: AssayApp) -> None:
    """Wait for the list and go there."""
    await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected, "the list of models")
    await pilot.press("f2")


def counted(app: AssayApp) -> str:
    """What the line below the list says first."""
    return str(app.models.query_one("#model-detail-scroll").border_title).strip().split(",")[0].split(" models")[0]


def notices(app: AssayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_all_models_are_listed_with_their_size_and_fit(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        text = screen_text(workbench)
        for info in MODELS:
            assert info.id.rsplit("/", 1)[-1][:8] in text
        assert "335M" in text
        assert "tight" in text


async def test_words_filter_by_name_kind_and_family(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("slash", *"vision qwen")
        await until(pilot, lambda: counted(workbench) == "2 of 8")
        await pilot.press("enter")
        assert workbench.models.table.selected == QUICK
        await pilot.press("escape")
        await until(pilot, lambda: counted(workbench) == "8")


async def test_a_filter_that_matches_nothing_says_so(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("slash", *"llama9")
        await until(pilot, lambda: "No model matches 'llama9'" in screen_text(workbench))
        assert workbench.models.selected is None
        await until(pilot, lambda: "Choose a model to see what it is." in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: workbench.models.selected is not None)


async def test_the_cursor_comes_back_when_the_filter_goes(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("end", "up")
        chosen = workbench.models.table.selected
        assert chosen == "mlx-community/bge-small-en-v1.5-4bit"
        await pilot.press("slash", *"nothing has this")
        await until(pilot, lambda: workbench.models.selected is None)
        await pilot.press("escape")
        await until(pilot, lambda: workbench.models.table.rows.row_count == 8)
        assert workbench.models.table.selected == chosen
        await pilot.press("slash", *"text")
        await until(pilot, lambda: counted(workbench) == "3 of 8")
        assert workbench.models.table.selected == "someone/half-downloaded-7b", "the nearest"
        await pilot.press("escape")
        await until(pilot, lambda: workbench.models.table.rows.row_count == 8)
        assert workbench.models.table.selected == chosen


async def test_the_cursor_stays_where_the_person_went_in_a_filtered_list(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("slash", *"text", "enter", "down")
        await until(pilot, lambda: workbench.models.selected and "Qwen3-0.6B" in workbench.models.selected.id)
        await pilot.press("escape")
        await until(pilot, lambda: workbench.models.table.rows.row_count == 8)
        assert "Qwen3-0.6B" in str(workbench.models.table.selected)


async def test_a_model_that_went_from_the_disk_leaves_the_cursor_beside_it(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select("mlx-community/gemma-3-27b-it-4bit-DWQ")
        scripted.catalog.models = [info for info in MODELS if "27b" not in info.id]
        await pilot.press("r")
        await until(pilot, lambda: workbench.models.table.rows.row_count == 7)
        assert workbench.models.table.selected == "mlx-community/Qwen3-0.6B-4bit-DWQ"


async def test_a_wide_list_says_more_and_in_words(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(220, 60)) as pilot:
        await opened(pilot, workbench)
        await until(pilot, lambda: "quantised" in screen_text(workbench))
        await pilot.press("f")
        await until(
            pilot,
            lambda: "fits once other models" in screen_text(workbench) or "takes memory" in screen_text(workbench),
        )
        text = screen_text(workbench)
        head = next(line for line in text.splitlines() if "quantised" in line)
        for word in ("parameters", "context", "family", "takes", "on disk", "takes memory", "fit"):
            assert word in head
        assert "fits, tightly" in text
        row = next(line for line in text.splitlines() if "bge-small" in line)
        assert row.index("embeddings") - row.index("bge-small") < 60, "what is said of a model stands beside its name"


async def test_q_and_w_load_the_row_for_a_tier(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select("pocket/qwen3")
        await pilot.press("q")
        await until(pilot, lambda: workbench.state.loaded("pocket/qwen3"))
        assert (workbench.state.quick, workbench.state.full) == ("pocket/qwen3", FULL)
        workbench.models.table.select(QUICK)
        await pilot.press("w")
        await until(pilot, lambda: workbench.state.loaded(QUICK))
        assert (workbench.state.quick, workbench.state.full) == ("pocket/qwen3", QUICK)
        assert "quick ● qwen3" in screen_text(workbench)


async def test_a_load_that_fails_shows_the_engines_sentence(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.load_errors[QUICK] = OutOfMemory("It needs 9 GB [and] 3 GB are free.")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select(QUICK)
        await pilot.press("q")
        await until(pilot, lambda: "It needs 9 GB [and] 3 GB are free." in notices(workbench))


async def test_a_broken_model_says_why_and_is_not_loaded(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select("someone/half-downloaded-7b")
        await pilot.press("q")
        await until(pilot, lambda: "missing shard" in notices(workbench))
        assert workbench.state.quick == QUICK


async def test_a_model_that_does_not_chat_takes_no_role(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select("mlx-community/bge-small-en-v1.5-4bit")
        await pilot.press("w")
        await until(pilot, lambda: "embeddings" in notices(workbench))
        assert workbench.state.full == FULL


async def test_p_pins_and_lets_go_and_u_unloads(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select(QUICK)
        await pilot.press("p")
        await until(pilot, lambda: (entry := workbench.state.loaded(QUICK)) and entry.pinned)
        await pilot.press("p")
        await until(pilot, lambda: (entry := workbench.state.loaded(QUICK)) and not entry.pinned)
        await pilot.press("u")
        await until(pilot, lambda: workbench.state.loaded(QUICK) is None)


async def test_the_key_that_unloads_is_shown_on_models_in_memory_alone(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select(QUICK)
        await until(pilot, lambda: "p Pin" in screen_text(workbench))
        assert "u Unload" not in screen_text(workbench)
        await pilot.press("q")
        await until(pilot, lambda: "u Unload" in screen_text(workbench))
        workbench.models.table.select("pocket/qwen3")
        await until(pilot, lambda: "u Unload" not in screen_text(workbench))
        workbench.models.table.select(QUICK)
        await until(pilot, lambda: "u Unload" in screen_text(workbench))
        await pilot.press("u")
        await until(pilot, lambda: "u Unload" not in screen_text(workbench))


async def test_enter_begins_a_chat_with_the_row(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.models.table.select("pocket/qwen3")
        await pilot.press("enter")
        await until(pilot, lambda: workbench.chat.bar.chosen == "pocket/qwen3")
        assert workbench.face == "chat"


async def test_r_looks_at_the_disk_again(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        scripted.catalog.models.pop()
        await pilot.press("r")
        await until(pilot, lambda: counted(workbench) == "7")
        assert scripted.catalog.refreshed == 1


async def test_an_empty_disk_says_what_to_do(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.catalog = ScriptedCatalog([])
    async with workbench.run_test(size=(120, 40)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "No models on disk." in screen_text(workbench))


async def test_a_folder_that_is_not_there_is_noted_until_it_is_back(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.catalog.absent = ("The model folder /unplugged does not exist.",)
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench)
        await until(pilot, lambda: "The model folder /unplugged does not exist." in screen_text(workbench))
        scripted.catalog.absent = ()
        await pilot.press("r")
        await until(pilot, lambda: "unplugged" not in screen_text(workbench))


async def test_a_key_of_the_filter_does_not_lay_the_screen_out_anew(
    workbench: AssayApp, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.catalog.models = [model(f"organisation/name-{number:03d}", ModelKind.TEXT, 10**9) for number in range(200)]
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.models.table.selected)
        await pilot.press("f2", "slash", "n")
        laid_out: list[object] = []
        monkeypatch.setattr(workbench.screen, "_refresh_layout", lambda *_, **__: laid_out.append(1))
        await pilot.press("a", "m", "e", "-", "1")
        await until(pilot, lambda: workbench.models.table.rows.row_count < 200)
        assert len(laid_out) <= 2, "of five keys"
        assert workbench.models.table.rows.row_count == 100
