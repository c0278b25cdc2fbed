"""Figures beside the model: as lines, and in the panel of a workbench over a real engine and a real file."""

from __future__ import annotations

from pathlib import Path

from core.calls.requests import GenerationRequest, Sampling
from core.catalog import Catalog
from core.engine import Engine
from core.figures.expect import Estimate, Expected
from core.figures.figure import BENCHMARK, Use
from core.figures.summary import summarise
from core.settings import Settings
from server.lifecycle import ApiServer
from tests.core.figures.records import kept
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tui.models.figure_lines import expected_lines, figure_lines
from tui.services import Services

TEXT = "pocket/qwen3"


def test_lines_say_the_middle_the_spread_and_of_how_many() -> None:
    summary = summarise(
        [
            kept(use=Use.LOAD, load_s=2.0),
            kept(use=Use.RELOAD, load_s=0.5),
            *(kept(decode_tps=rate, ttft_s=0.2, peak=3_100_000_000) for rate in (58.0, 60.0, 61.0, 62.0, 70.0)),
            kept(prompt_tokens=8000, decode_tps=48.0, ttft_s=7.1, prefill_tps=1100.0),
            kept(rows=8, decode_tps=9.5, source=BENCHMARK),
            kept(use=Use.IMAGE, ttft_s=0.9),
        ]
    )
    assert summary is not None
    assert dict(figure_lines(summary)) == {
        "writes": "61 tokens/s (60–62, n=5) after short prompts, 48 after 8k · 9.5 each of up to 8 rows",
        "reads": "1,100 tokens/s of 8k",
        "begins": "0.20 s (0.20–0.20, n=5) after short prompts, 7.10 after 8k · 0.90 s after an image",
        "loads in": "2.00 s · 0.50 s again",
        "peak": "3.1 GB of memory",
        "measured": "10 uses, 1 by assay bench · a machine, 8 GB · mlx 0.32.4",
    }


def test_what_is_not_known_has_no_line() -> None:
    summary = summarise([kept(use=Use.LOAD, load_s=2.0)])
    assert summary is not None
    assert [label for label, _ in figure_lines(summary)] == ["loads in", "measured"]


def test_what_is_expected_says_so_and_from_what() -> None:
    expected = Expected("here", Estimate(50.0, 45.0, 55.0, ("a", "b")), None, Estimate(2.0, 2.0, 2.0, ("b",)))
    assert list(expected_lines(expected)) == [
        ("expected", "writes about 50 tokens/s (45–55) · loads in about 2.00 s"),
        ("from", "what was measured here of a, b"),
    ]


async def test_the_panel_shows_them_and_what_a_new_answer_adds(settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})
    asked = GenerationRequest(TEXT, prompt="The sea is", sampling=Sampling(max_tokens=20), ignore_eos=True)
    with Engine(own, Catalog(own)) as engine:
        engine.generate(asked).result()
        app = Furnished(lambda: own, lambda _: Services(own, engine, ApiServer(engine, own), QUICK, FULL))
        async with app.run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)
            await pilot.press("f2")
            app.models.table.select(TEXT)
            await until(pilot, lambda: "2 uses" in screen_text(app), "the figures")
            assert "tokens/s after short prompts" in screen_text(app)
            engine.generate(asked).result()
            await until(pilot, lambda: "3 uses" in screen_text(app), "those of the new answer")
            app.models.table.select(QUICK)
            await until(pilot, lambda: "expected" in screen_text(app), "what is expected of the other")
            assert "what was measured here of pocket/qwen3" in " ".join(screen_text(app).split())


async def test_a_file_that_cannot_be_read_shows_nothing_and_stops_nothing(settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})
    own.figures_file.mkdir(parents=True)
    with Engine(own, Catalog(own)) as engine:
        app = Furnished(lambda: own, lambda _: Services(own, engine, ApiServer(engine, own), QUICK, FULL))
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)
            await pilot.press("f2")
            await until(pilot, lambda: app.models.detail._figures._seen, "a look at the file")
            await pilot.pause(0.3)
            assert "measured" not in screen_text(app)
