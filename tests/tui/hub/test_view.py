"""The Hub view: the search, what fills in, filters, the card, and what a Hub may answer that it should not."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import constants

from core.catalog import Catalog
from core.figures.store import Figures
from core.hub.delete import delete, plan_deletion
from core.hub.downloads import downloading
from core.hub.progress import Stage
from core.settings import Settings
from tests.core.figures.records import HERE, kept
from tests.hub import Fault, File, Hub, Repository, pocket_repository
from tests.tui.conftest import screen_text, until
from tests.tui.hub.conftest import MODEL, at_the_hub, known, notices, row_of, search
from tests.tui.scripted import ScriptedEngine
from tests.tui.test_stopping import footer
from tui.app import AssayApp
from tui.hub import search as searching
from tui.hub.card_view import CardView
from tui.hub.first_run import FirstRun

LICENCES = ("mit", "apache-2.0")


def with_many(hub: Hub, count: int) -> None:
    """So many more models on the Hub, the first ones downloaded most."""
    commits = hub.repositories[MODEL].commits
    hub.add(*(Repository(f"mlx-community/many-{n:04d}", commits, downloads=90_000 - n) for n in range(count)))


async def test_a_search_lists_and_fills_in_what_models_are(workbench: AssayApp, hub: Hub) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await at_the_hub(pilot, workbench)
        assert "The Hub has not been asked yet." in screen_text(workbench)
        assert hub.asked == [], "nothing is asked before somebody does"
        await search(pilot, workbench, "qwen")
        await until(pilot, lambda: known(workbench))
        row = row_of(workbench, "mlx-community/qwen3")
        assert "text" in row
        assert "fits" in row
        text = screen_text(workbench)
        assert "to download" in text
        assert "1 model" in text
        assert "100 downloads · 7 likes · changed 2026-01-02 · mit" in text


async def test_h_goes_between_the_views_and_the_line_says_which_shows(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await at_the_hub(pilot, workbench)
        assert ("h", "On disk") in footer(workbench)
        assert ("q", "Quick") not in footer(workbench), "keys of the disk do nothing at the Hub"
        await pilot.press("q")
        assert workbench.state.chosen == frozenset()
        await pilot.press("h")
        await until(pilot, lambda: workbench.models.table.rows.has_focus and ("h", "Hub") in footer(workbench))
        assert "/ to filter" in screen_text(workbench)
        await pilot.press("ctrl+o", "h")
        await until(pilot, lambda: workbench.models.hub.table.rows.has_focus)


async def test_back_on_the_disk_what_another_program_did_there_is_seen(
    workbench: AssayApp, hub: Hub, hub_settings: Settings
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        with downloading(hub_settings) as others:
            assert others.wait(others.add(MODEL), 30).stage is Stage.DONE
        await pilot.press("h")
        await until(pilot, lambda: MODEL in screen_text(workbench))


async def test_a_new_search_takes_the_place_of_the_old_one(workbench: AssayApp, hub: Hub) -> None:
    hub.add(pocket_repository("gemma3"))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench, "qwen3")
        old = workbench.models.hub._search
        await pilot.press("slash", "ctrl+u")
        await search(pilot, workbench, "gemma")
        await until(pilot, lambda: list(workbench.models.hub._search.found) == ["mlx-community/gemma3"])
        assert old is not None
        assert old._closed


async def test_thousands_come_as_one_scrolls_and_only_those_seen_are_looked_at(
    workbench: AssayApp, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST", "AHEAD"):
        monkeypatch.setattr(searching, name, 60)
    with_many(hub, 300)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await pilot.press("slash", "enter")
        view = workbench.models.hub
        await until(pilot, lambda: view._search and len(view._search.known) > 5 and not view._search.looking)
        assert view._search is not None
        pages = hub.paths("/api/models").count("/api/models")
        assert len(view._search.found) <= 100
        assert len(view._search.known) < 80
        assert "+ models" in screen_text(workbench)
        await pilot.press("end")
        await until(pilot, lambda: len(view._search.found) > 100)  # type: ignore[union-attr]
        assert hub.paths("/api/models").count("/api/models") > pages
        assert view.table.rows.highlighted is not None
        assert view.table.rows.highlighted >= 59, "the cursor stays where it is while more come in"


async def test_filters_choose_by_what_models_are(workbench: AssayApp, hub: Hub) -> None:
    hub.add(pocket_repository("gemma3", downloads=5), pocket_repository("qwen2-vl", downloads=4))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        view = workbench.models.hub
        asked = hub.paths("/api/models").count("/api/models")
        await pilot.press("t", "t")
        await until(pilot, lambda: view.table.rows.row_count == 2 and not view._search.looking)  # type: ignore[union-attr]
        assert "vision" in screen_text(workbench)
        assert hub.paths("/api/models").count("/api/models") == asked, "the Hub has answered that already"
        await pilot.press("b")
        await until(pilot, lambda: "Nothing that was looked at is vision, 3bit." in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: view.table.rows.row_count == 3)
        await pilot.press("l", "l")
        await until(pilot, lambda: view.table.rows.row_count == 1 and view._search.complete)  # type: ignore[union-attr]
        assert view.table.selected == MODEL
        await pilot.press("s")
        await until(pilot, lambda: "by likes" in screen_text(workbench))
        assert any("likes" in asked.query for asked in hub.asked)


async def test_a_model_that_does_not_fit_says_so_and_is_asked_about(workbench: AssayApp, hub: Hub) -> None:
    files = dict(hub.repositories[MODEL].commits[0])
    config = json.loads(files["config.json"].content)
    files["config.json"] = File(json.dumps(config | {"num_hidden_layers": 500_000, "head_dim": 512}).encode())
    hub.add(Repository("me/huge", [files]))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench, "huge")
        await until(pilot, lambda: known(workbench))
        assert " no " in row_of(workbench, "me/huge") + " "
        assert "does not fit" in screen_text(workbench)
        await pilot.press("d")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        assert "me/huge does not fit: it takes" in screen_text(workbench)
        await pilot.press("escape")
        assert workbench.models.hub.downloads.all == ()


async def test_the_card_is_markdown_and_what_it_would_do_is_text(workbench: AssayApp, hub: Hub) -> None:
    card = (
        b"---\nlicense: mit\n---\n# A heading\n\nSome **bold** words, [a link](https://example.org/\x1b]52;c;QQ==\x07) "
        b"and [bold red]markup[/] \x1b[2J.\n\n| a | b |\n| --- | --- |\n| 1 | [@click=app.quit]x[/] |\n\n"
        b"<script>alert(1)</script>\n\n[/] [$nothing] [link=javascript:1]y[/link]\n"
    )
    hub.repositories[MODEL].commits[-1]["README.md"] = File(card)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await until(pilot, lambda: known(workbench))
        await pilot.press("enter")
        await until(pilot, lambda: "A heading" in screen_text(workbench))
        text = screen_text(workbench)
        for said in ("Some bold words", "[bold red]markup[/]", "[@click=app.quit]x[/]", "<script>", "[$nothing]"):
            assert said in text
        assert "license: mit" not in text
        assert "\x1b" not in text
        assert ("d", "Download") in footer(workbench)
        view = workbench.screen.query_one(CardView)
        view.action_copy_link("https://example.org/\x1b[2Jx")
        assert workbench.clipboard == "https://example.org/[2Jx"
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)


@pytest.mark.parametrize(
    "card", [b"[" * 30_000, b">" * 30_000, b"- " * 20_000, b"\xff\xfe" * 9000, b"|a" * 9000 + b"\n|-"]
)
async def test_a_card_that_is_made_to_break_readers_is_shown_all_the_same(
    workbench: AssayApp, hub: Hub, card: bytes
) -> None:
    hub.repositories[MODEL].commits[-1]["README.md"] = File(card)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await pilot.press("enter")
        await until(
            pilot, lambda: len(workbench.screen_stack) == 2 and "Reading the card" not in screen_text(workbench)
        )
        assert len(workbench.screen.query_one(CardView)._lines) > 3


async def test_names_and_words_of_a_hostile_hub_paint_nothing(workbench: AssayApp, hub: Hub) -> None:
    model = hub.repositories[MODEL]
    evil = "license:[bold red]\x1b[31m\x07evil[/]"
    model.tags = ("mlx", evil)
    model.licence = None
    model.says = {"pipeline_tag": "[@click=app.quit]\x1b[2Jtext", "downloads": 10**30, "likes": -5}
    for name in ("me/[red]x[/]", "me/\x1b[2J", "../../etc", "me/../x", "a" * 500, "me/x\u202egpj", ""):
        hub.add(Repository(name or "none", model.commits, tags=("mlx",), says={"id": name, "modelId": name}))
    lies = dict(model.commits[0])
    lies["model.safetensors"] = File(lies["model.safetensors"].content, lfs=True, says_size=2**60)
    hub.add(Repository("me/lies", [lies]))
    hub.add(Repository("me/path", [{**model.commits[0], "../x.safetensors": File(b"x", lfs=True)}]))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        view = workbench.models.hub
        assert view._search is not None
        await until(pilot, lambda: not view._search.looking and view._search.looked_at >= 3)  # type: ignore[union-attr]
        assert set(view._search.found) == {MODEL, "me/lies", "me/path"}
        for name in view._search.found:
            view.table.select(name)
            await until(pilot, lambda name=name: view.selected and view.selected.id == name)  # type: ignore[misc]
            text = screen_text(workbench)
            assert "\x1b" not in text
            assert "\x07" not in text
        await pilot.press("l", "l", "l")
        await until(pilot, lambda: "[bold red]" in screen_text(workbench))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=429, headers={"Retry-After": "7"}), "It takes new ones in 7 seconds"),
        (Fault(status=503), "has a fault of its own (503)"),
        (Fault(status=401), "The Hub wants to know who searches (401)"),
        (Fault(body=b"<html>log in</html>", status=200), "may be no Hub, or a page of a network"),
    ],
)
async def test_what_a_search_meets_is_a_sentence_in_place_of_the_rows(
    workbench: AssayApp, hub: Hub, fault: Fault, says: str
) -> None:
    hub.faults["api/models"] = fault
    async with workbench.run_test(size=(160, 45)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await pilot.press("f")
        await until(pilot, lambda: says in screen_text(workbench))
        assert notices(workbench) == ""
        hub.faults.clear()
        await pilot.press("r")
        await until(pilot, lambda: known(workbench))


@pytest.mark.parametrize("key", ["d", "r"])
async def test_what_another_program_has_deleted_is_seen(
    workbench: AssayApp, hub: Hub, hub_settings: Settings, key: str
) -> None:
    with downloading(hub_settings) as others:
        assert others.wait(others.add(MODEL), 30).stage is Stage.DONE
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await until(pilot, lambda: known(workbench) and "✓" in row_of(workbench, MODEL))
        await pilot.press("d")
        await until(pilot, lambda: "is on this disk" in notices(workbench))
        delete(hub_settings, plan_deletion(Catalog(hub_settings), MODEL))
        await pilot.press(key)
        if key == "r":
            await until(pilot, lambda: known(workbench) and "✓" not in row_of(workbench, MODEL))
        else:
            await until(pilot, lambda: f"{MODEL} is on disk" in notices(workbench))


async def test_a_filter_that_lets_nothing_through_does_not_look_at_everything(
    workbench: AssayApp, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_LOOKS", 16)
    with_many(hub, 90)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench, "many")
        view = workbench.models.hub
        await until(pilot, lambda: known(workbench, 20) and not view._search.looking)  # type: ignore[union-attr]
        assert view._search is not None
        before = len(view._search.known)
        await pilot.press("t", "t")
        await until(pilot, lambda: "that were looked at is vision. ↓ looks at more" in screen_text(workbench))
        assert len(view._search.known) - before <= 16 + searching.LOOKS
        before = len(view._search.known)
        await pilot.press("down")
        await until(pilot, lambda: len(view._search.known) > before)  # type: ignore[union-attr]


async def test_offline_is_one_sentence(workbench: AssayApp, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench)
        await until(pilot, lambda: screen_text(workbench).count("HF_HUB_OFFLINE is set") == 1)
        assert notices(workbench) == ""
        assert hub.asked == []


async def test_a_hub_that_goes_away_while_models_are_looked_at_says_so_once(workbench: AssayApp, hub: Hub) -> None:
    with_many(hub, 40)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        hub.faults["api/models/mlx-community/"] = Fault(status=503)
        for number in range(40):
            hub.faults[f"many-{number:04d}/revision/{hub.repositories[f'mlx-community/many-{number:04d}'].sha()}"] = (
                Fault(status=503)
            )
        await search(pilot, workbench)
        view = workbench.models.hub
        await until(pilot, lambda: view._search.trouble and not view._search.looking)  # type: ignore[union-attr]
        assert view._search is not None
        assert view._search.looked_at <= searching.GIVE_UP + searching.LOOKS
        assert screen_text(workbench).count("has a fault of its own") <= 2, "over the rows, and of the row itself"
        assert notices(workbench) == ""


async def test_only_pocket_models_propose_three_that_fit(workbench: AssayApp, hub: Hub, hub_settings: Settings) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
        await pilot.press("f2")
        await until(pilot, lambda: "Only the built-in pocket models" in screen_text(workbench))
        for said in ("Qwen3-8B-4bit", "Qwen2-VL-2B-Instruct-4bit", "gemma-3-27b-it-qat-4bit", "about 4.6 GB"):
            assert said in screen_text(workbench)
        assert hub.asked == [], "the table's sizes stand there"
        hub.add(Repository("mlx-community/Qwen3-8B-4bit", hub.repositories[MODEL].commits))
        await pilot.press("1")
        await until(pilot, lambda: "mlx-community/Qwen3-8B-4bit" in workbench.models._models)
        await until(pilot, lambda: "Only the built-in" not in screen_text(workbench))


async def test_an_offer_whose_download_stopped_says_so_each_time(
    workbench: AssayApp, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
        await pilot.press("f2")
        await until(pilot, lambda: "Only the built-in pocket models" in screen_text(workbench))
        for times in (1, 2):
            await pilot.press("1")
            await until(pilot, lambda times=times: notices(workbench).count("HF_HUB_OFFLINE is set") == times)
            await until(pilot, lambda: "stopped; 1 tries again" in row_of(workbench, "Qwen3-8B-4bit"))


async def test_offers_in_a_narrow_pane_have_two_lines_each(workbench: AssayApp, hub: Hub) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
        await until(pilot, lambda: "Qwen2-VL-2B-Instruct-4bit" in screen_text(workbench))
        shown = str(workbench.query_one(FirstRun).content).splitlines()[-6:]
        assert [line.split() for line in shown[2:4]] == [
            ["2", "vision,", "quick", "about", "1.3", "GB"],
            ["Qwen2-VL-2B-Instruct-4bit"],
        ]
        await pilot.press("f2")
        await until(pilot, lambda: "about 1.3 GB" in row_of(workbench, "Qwen2-VL-2B-Instruct-4bit"))


async def test_what_was_measured_of_a_model_stands_in_its_details(
    workbench: AssayApp, scripted: ScriptedEngine, hub: Hub, hub_settings: Settings
) -> None:
    with Figures(hub_settings.figures_file) as figures:
        figures.add([kept(model=MODEL, decode_tps=61.0)])
    scripted.machine = HERE
    async with workbench.run_test(size=(120, 40)) as pilot:
        await at_the_hub(pilot, workbench)
        await search(pilot, workbench, "qwen")
        await until(pilot, lambda: "61 tokens/s after short prompts" in screen_text(workbench))
