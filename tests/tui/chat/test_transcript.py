"""A long conversation: only what is in the window is laid out, all of it can be reached, and nobody is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.widgets import Input

from core.calls.events import GenerationResult, ToolCall
from core.calls.requests import Message, Role
from core.chats.tree import Tree, Turn
from tests.tui.conftest import until
from tests.tui.scripted import blue_circle, red_square
from tui.chat.answer_view import AnswerView
from tui.chat.question_view import QuestionView
from tui.chat.transcript import Transcript
from tui.chat.turn_view import TurnView
from tui.chat.turn_window import MOST_LAID_OUT
from tui.widgets.picture import Picture

LONG = "word " * 60


class Talk(App[None]):
    CSS = "Transcript { height: 1fr; scrollbar-gutter: stable; } Input { height: 1; border: none; }"

    def compose(self) -> ComposeResult:
        yield Transcript()
        yield Input()

    def on_mount(self) -> None:
        self.query_one(Input).focus()


def question(number: int) -> QuestionView:
    return QuestionView(Message.text("user", f"question {number}\nand more\nand more"))


def answer(text: str, **parts: object) -> AnswerView:
    view = AnswerView("quick · model", "quick")
    view.set(GenerationResult(text=text, **parts), "3 tok/s")  # type: ignore[arg-type]
    return view


@asynccontextmanager
async def talking(*turns: TurnView, size: tuple[int, int] = (60, 20)) -> AsyncIterator[tuple[Pilot[None], Transcript]]:
    app = Talk()
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        transcript = app.query_one(Transcript)
        transcript.append(*turns)
        await pilot.pause()
        yield pilot, transcript


def questions(count: int) -> list[QuestionView]:
    return [question(number) for number in range(count)]


def seen(transcript: Transcript) -> str:
    """The lines in the window, without the scroll bar, and the line of the field."""
    strips = transcript.screen._compositor.render_strips()
    width = transcript.scrollable_content_region.width
    return "\n".join("".join(segment.text for segment in strip)[:width] for strip in strips)


async def test_opening_lays_out_the_last_page_alone() -> None:
    async with talking(*questions(1000)) as (_, transcript):
        assert "question 999" in seen(transcript)
        assert len(transcript._laid) < 10


async def test_every_turn_can_be_scrolled_to() -> None:
    async with talking(*questions(1000)) as (pilot, transcript):
        transcript.scroll_home()
        await until(pilot, lambda: "question 0" in seen(transcript))
        for _ in range(300):
            transcript.scroll_page_down(animate=False)
        await until(pilot, lambda: "question 999" in seen(transcript))
        assert len(transcript._laid) <= MOST_LAID_OUT


async def test_a_turn_that_turns_out_higher_moves_nothing_that_is_seen() -> None:
    """A table of one line a row is estimated too low: links take room in the source alone, and tables more than it."""
    rows = "\n".join(f"| [{row}](http://example.com/{'x' * 200}) | b |" for row in range(6))
    async with talking(*[answer(f"| a | b |\n|---|---|\n{rows}") for _ in range(40)]) as (pilot, transcript):
        heights = transcript._column.height
        for _ in range(100):
            before = seen(transcript).splitlines()[:18]
            transcript.scroll_up(animate=False)
            await pilot.pause()
            assert seen(transcript).splitlines()[1:19] == before
        assert transcript._column.height != heights


async def test_a_page_up_shows_the_page_before() -> None:
    async with talking(*[answer(f"{number} {LONG}\n\n- a\n- b") for number in range(40)]) as (pilot, transcript):
        for _ in range(5):
            before = seen(transcript).splitlines()
            transcript.scroll_page_up(animate=False)
            await pilot.pause()
            assert seen(transcript).splitlines()[:19] != before[:19]
            transcript.scroll_down(animate=False)
            await pilot.pause()
            assert seen(transcript).splitlines()[18] == before[0]


async def test_another_width_keeps_the_readers_place() -> None:
    async with talking(*[answer(f"number {number} {LONG}") for number in range(80)]) as (pilot, transcript):
        transcript.scroll_to(y=300)
        await pilot.pause()
        index, _ = transcript._place()
        for width in (30, 12, 100, 60):
            await pilot.resize_terminal(width, 20)
            await pilot.pause()
            assert transcript._place()[0] == index
            assert f"number {index}" in transcript.turns[index].text
        assert not transcript._following


async def test_the_end_is_followed_until_the_reader_leaves_it_and_again_when_they_return() -> None:
    async with talking(*questions(20)) as (pilot, transcript):
        transcript.append(question(20))
        await pilot.pause()
        assert "question 20" in seen(transcript)
        growing = answer("one")
        transcript.append(growing)
        transcript.scroll_to(y=3)
        await pilot.pause()
        shown = seen(transcript)
        growing.set(GenerationResult(text=LONG * 5), "")
        await pilot.pause()
        assert seen(transcript) == shown
        transcript.scroll_end()
        await pilot.pause()
        growing.set(GenerationResult(text=f"{LONG * 9}\n\nthe end"), "")
        await until(pilot, lambda: "the end" in seen(transcript))


async def test_dropping_turns() -> None:
    turns = questions(40)
    async with talking(*turns) as (pilot, transcript):
        transcript.keep(turns[:9])
        await pilot.pause()
        assert transcript.turns == turns[:9]
        assert "question 8" in seen(transcript)
        others = questions(3)
        transcript.swap([*turns[:3], *others])
        assert transcript.turns == [*turns[:3], *others]
        transcript.clear()
        await pilot.pause()
        assert "question" not in seen(transcript)


async def test_unfolding_all_thinking_keeps_the_readers_place() -> None:
    turns = [answer(f"number {number}", thinking="thought\n" * 9) for number in range(60)]
    async with talking(*turns) as (pilot, transcript):
        transcript.scroll_to(y=150)
        await pilot.pause()
        index, row = transcript._place()
        for folded in (False, True):
            transcript.fold(folded)
            await pilot.pause()
            assert transcript._place() == (index, row)
            assert ("thinking" in seen(transcript)) is not folded


# -- keys -------------------------------------------------------------------------------------------------------------


async def test_tab_goes_from_turn_to_turn_and_out_at_the_ends() -> None:
    async with talking(*questions(12)) as (pilot, transcript):
        await pilot.press("shift+tab")
        await until(pilot, lambda: transcript.current is transcript.turns[11])
        await pilot.press(*["shift+tab"] * 9)
        assert transcript.current is transcript.turns[2]
        assert "█ question 2" in seen(transcript)
        await pilot.press(*["tab"] * 9, "tab")
        await until(pilot, lambda: isinstance(pilot.app.focused, Input))
        assert transcript.current is None
        assert "█" not in seen(transcript)


async def test_an_empty_transcript_takes_no_focus() -> None:
    async with talking() as (pilot, transcript):
        await pilot.press("tab", "shift+tab", "shift+tab")
        assert not transcript.has_focus


async def test_the_footer_offers_what_the_turn_can_do() -> None:
    async with talking(question(0), answer("hello")) as (pilot, transcript):
        for turn, keys in ((0, {"e", "c"}), (1, {"c"})):
            transcript.focus_turn(transcript.turns[turn])
            await pilot.pause()
            active = pilot.app.screen.active_bindings
            assert {key for key in "ect" if key in active and active[key].enabled} == keys


async def test_the_footer_offers_no_version_beyond_the_ends_and_no_thinking_where_none_is() -> None:
    tree = Tree()
    nodes = [tree.add(Turn(Message.text(Role.USER, text)), tree) for text in "abc"]
    turns = [QuestionView(node.turn.message, node) for node in nodes]
    thinks = answer("yes")
    thinks._result = GenerationResult("yes", thinking="so")
    async with talking(*turns, answer("yes"), thinks) as (_, transcript):
        ways = []
        for turn in turns:
            transcript.focus_turn(turn)
            ways.append([transcript.check_action("version", (by,)) for by in (-1, 1)])
        assert ways == [[False, True], [True, True], [True, False]]
        transcript.focus_turn(transcript.turns[3])
        assert not transcript.check_action("fold", ())
        transcript.focus_turn(thinks)
        assert transcript.check_action("fold", ())


async def test_a_turn_is_copied() -> None:
    async with talking(question(0), answer("**hello**")) as (pilot, transcript):
        transcript.focus_turn(transcript.turns[1])
        await pilot.press("c")
        assert pilot.app.clipboard == "**hello**"


async def test_thinking_unfolds_by_key_and_by_mouse() -> None:
    async with talking(question(0), answer("Paris.", thinking="France has one capital.")) as (pilot, transcript):
        transcript.focus_turn(transcript.turns[1])
        await pilot.press("t")
        await until(pilot, lambda: "France has one capital." in seen(transcript))
        row = next(row for row, line in enumerate(seen(transcript).splitlines()) if "thinking" in line)
        await pilot.click(transcript, offset=(6, row))
        await until(pilot, lambda: "thought for 4 words" in seen(transcript))


async def test_tool_calls_problems_and_figures_are_shown() -> None:
    view = answer("", tool_calls=[ToolCall("c1", "get_weather", '{"location": "Tokyo"}')])
    async with talking(view) as (pilot, transcript):
        assert "get_weather(location='Tokyo')" in seen(transcript)
        assert "3 tok/s" in seen(transcript)
        view.set(GenerationResult(), "", "It broke [at 3].")
        await until(pilot, lambda: "It broke [at 3]." in seen(transcript))


# -- the mouse --------------------------------------------------------------------------------------------------------


async def test_a_click_focuses_the_turn_and_moves_nothing() -> None:
    async with talking(*questions(30)) as (pilot, transcript):
        transcript.scroll_to(y=40)
        await pilot.pause()
        before = transcript.scroll_y
        await pilot.click(transcript, offset=(8, 2))
        await until(pilot, lambda: transcript.current is transcript.turns[transcript._column.at(42)])
        assert transcript.scroll_y == before


async def test_a_link_is_copied_not_opened() -> None:
    opened: list[str] = []
    async with talking(answer("see [the page](http://example.com/'x')")) as (pilot, transcript):
        pilot.app.open_url = lambda url, new_tab=True: opened.append(url)  # type: ignore[method-assign]
        await pilot.click(transcript, offset=(8, 1))
        await until(pilot, lambda: pilot.app.clipboard == "http://example.com/'x'")
        assert opened == []


async def drag(pilot: Pilot[None], transcript: Transcript, start: tuple[int, int], end: tuple[int, int]) -> str:
    """Select with the mouse; returns what copying would give."""
    await pilot.mouse_down(transcript, offset=start)
    await pilot.hover(transcript, offset=end)
    await pilot.mouse_up(transcript, offset=end)
    return transcript.screen.get_selected_text() or ""


async def test_a_selection_across_turns_puts_broken_lines_together() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    async with talking(question(0), answer(f"- {text}\n\n```\nab\n  cd\n```"), size=(40, 20)) as (pilot, transcript):
        lines = seen(transcript).splitlines()
        last = next(row for row, line in enumerate(lines) if "cd" in line)
        selected = await drag(pilot, transcript, (2, 1), (20, last))
        assert selected == f"question 0\nand more\nand more\n\nquick · model\n• {text}\n\n ab\n   cd"


async def test_a_selection_stays_on_its_words_when_turns_above_are_put_right() -> None:
    rows = "\n".join(f"| {row} | b |" for row in range(6))
    async with talking(*[answer(f"| a | b |\n|---|---|\n{rows}") for _ in range(20)], answer("these words")) as (
        pilot,
        transcript,
    ):
        row = next(row for row, line in enumerate(seen(transcript).splitlines()) if "these words" in line)
        assert await drag(pilot, transcript, (2, row), (6, row)) == "these"
        transcript.scroll_home()
        await pilot.pause()
        assert transcript.screen.get_selected_text() == "these"


async def test_two_clicks_select_the_block() -> None:
    async with talking(answer("first part\n\nsecond part of it\n\nthird")) as (pilot, transcript):
        row = next(row for row, line in enumerate(seen(transcript).splitlines()) if "second" in line)
        await pilot.click(transcript, offset=(5, row), times=2)
        assert transcript.screen.get_selected_text() == "second part of it"


# -- thumbnails -------------------------------------------------------------------------------------------------------


async def test_thumbnails_are_mounted_while_they_are_seen() -> None:
    pictured = QuestionView(Message.text("user", "what are these?", red_square(), blue_circle()))
    async with talking(*questions(20), pictured) as (pilot, transcript):
        await until(pilot, lambda: len(transcript.query(Picture)) == 2)
        first, second = transcript.query(Picture)
        assert first.region.y == second.region.y
        assert first.region.right < second.region.x
        names = seen(transcript).splitlines()[first.region.bottom]
        assert names.index("red_square.png") == first.region.x
        assert names.index("blue_circle.png") == second.region.x
        before = first.region.y
        transcript.scroll_up(animate=False)
        await until(pilot, lambda: first.region.y == before + 1)
        transcript.scroll_home()
        await until(pilot, lambda: not transcript.query(Picture))
        transcript.scroll_end()
        await until(pilot, lambda: len(transcript.query(Picture)) == 2)


async def test_images_that_have_no_room_beside_each_other_stand_under_each_other() -> None:
    pictured = QuestionView(Message.text("user", "and these?", red_square(), blue_circle()))
    async with talking(pictured, size=(30, 30)) as (pilot, transcript):
        await until(pilot, lambda: len(transcript.query(Picture)) == 2)
        first, second = transcript.query(Picture)
        assert first.region.x == second.region.x
        assert second.region.y > first.region.bottom


@pytest.mark.parametrize("width", [1, 3, 6, 12])
async def test_a_very_narrow_window_draws_something(width: int) -> None:
    turns = [QuestionView(Message.text("user", "x", red_square())), answer(f"# {LONG}\n\n> - {LONG}\n\n```\nx\n```")]
    async with talking(*turns, size=(width, 10)) as (pilot, transcript):
        transcript.scroll_home()
        await pilot.pause()
        assert transcript.scroll_offset == Offset(0, 0)
