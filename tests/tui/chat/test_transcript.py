"""A long conversation: what is far from the window is put away, and nobody notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from core.calls.requests import Message
from tests.tui.conftest import until
from tui.chat.question_view import QuestionView
from tui.chat.transcript import MOST_MOUNTED, PAGE_TURNS, Page, Transcript


class Talk(App[None]):
    CSS = "#pages { height: auto; min-height: 100%; } Page { height: auto; } .turn, .turn Static { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Transcript()


def question(number: int) -> QuestionView:
    return QuestionView(Message.text("user", f"question {number}\nand more\nand more"))


@asynccontextmanager
async def talking(turns: int) -> AsyncIterator[tuple[Pilot[None], Transcript]]:
    app = Talk()
    async with app.run_test(size=(60, 20)) as pilot:
        transcript = app.query_one(Transcript)
        await transcript.append(*[question(number) for number in range(turns)])
        await until(pilot, lambda: transcript.max_scroll_y > 20)
        yield pilot, transcript


def away(transcript: Transcript) -> list[bool]:
    return [page._away for page in transcript.query(Page)]


def seen(transcript: Transcript) -> str:
    strips = transcript.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def test_far_pages_are_put_away_and_the_length_stays() -> None:
    async with talking(80) as (pilot, transcript):
        before = transcript.virtual_size.height
        await until(pilot, lambda: sum(away(transcript)) >= 5)
        assert transcript.virtual_size.height == before
        assert len(transcript.views(QuestionView)) == 80
        assert "question 79" in seen(transcript)


async def test_they_are_back_before_the_reader_gets_there() -> None:
    async with talking(80) as (pilot, transcript):
        await until(pilot, lambda: any(away(transcript)))
        transcript.scroll_home(animate=False)
        await until(pilot, lambda: "question 0" in seen(transcript))
        transcript.scroll_to(y=100, animate=False)
        await until(pilot, lambda: "question 25" in seen(transcript))
        assert not away(transcript)[-1]


async def test_another_width_is_measured_again() -> None:
    async with talking(80) as (pilot, transcript):
        await until(pilot, lambda: any(away(transcript)))
        before = transcript.virtual_size.height
        await pilot.resize_terminal(12, 20)
        await until(pilot, lambda: transcript.virtual_size.height > before)
        await until(pilot, lambda: any(away(transcript)))
        transcript.scroll_home(animate=False)
        await until(pilot, lambda: "question 0" in seen(transcript))


async def test_the_oldest_turns_are_let_go_with_a_note() -> None:
    async with talking(MOST_MOUNTED + 3 * PAGE_TURNS) as (pilot, transcript):
        assert len(transcript.turns) == MOST_MOUNTED
        transcript.scroll_home(animate=False)
        await until(pilot, lambda: "Earlier turns are in the saved chat." in seen(transcript))


async def test_dropping_after_a_turn_leaves_no_empty_page() -> None:
    async with talking(40) as (pilot, transcript):
        await transcript.drop_after(transcript.views(QuestionView)[8])
        await until(pilot, lambda: len(transcript.turns) == 9)
        assert len(transcript.query(Page)) == 2
        await until(pilot, lambda: "question 8" in seen(transcript))
