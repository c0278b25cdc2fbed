"""Keys that come before their widget: held back, in order, and let through to what can take them."""

from __future__ import annotations

import asyncio

import pytest
from textual import events

from tui.typed_ahead import TypedAhead


def key(name: str) -> events.Key:
    return events.Key(name, name if len(name) == 1 else None)


def names(taken: list[events.Event]) -> str:
    return " ".join(event.key if isinstance(event, events.Key) else "paste" for event in taken)


class Taker:
    def __init__(self) -> None:
        self.taken: list[events.Event] = []

    async def take(self, event: events.Event) -> None:
        self.taken.append(event)


async def test_everything_waits_but_the_key_that_leaves() -> None:
    ahead, taker = TypedAhead(), Taker()
    assert [ahead.holds(event, "ctrl+q") for event in (key("a"), key("enter"), events.Paste("b"), key("ctrl+q"))] == [
        True,
        True,
        True,
        False,
    ]
    assert not ahead.holds(events.Resize.from_dimensions((80, 24), None), "ctrl+q")
    await ahead.let_through(taker.take)
    assert names(taker.taken) == "a enter paste"
    assert not ahead.holds(key("f4"), "ctrl+q")


@pytest.mark.parametrize(
    ("typed", "taken", "text"),
    [
        ((key("up"), events.Paste("pasted"), key("a"), key("enter")), 0, "pasteda\n"),
        ((key("a"), key("left"), key("b"), key("delete"), key("c")), 0, "abc"),
        ((key("a"), key("f4"), key("R"), events.Paste("pasted"), key("b")), 0, "apasted"),
        ((key("backspace"), key("a"), key("backspace"), key("backspace"), key("b")), 2, "b"),
    ],
)
def test_what_waits_is_text_up_to_a_key_that_goes_elsewhere(
    typed: tuple[events.Key, ...], taken: int, text: str
) -> None:
    ahead = TypedAhead()
    for event in typed:
        ahead.holds(event, "ctrl+q")
    assert ahead.as_edit() == (taken, text)
    assert not ahead.waiting, "it would be typed twice"


@pytest.mark.parametrize("given", [False, True])
async def test_a_key_that_has_been_given_on_is_part_of_the_text_before(given: bool) -> None:
    ahead, at_work, go_on = TypedAhead(), asyncio.Event(), asyncio.Event()
    for name in ("backspace", "backspace", "i", "n"):
        ahead.holds(key(name), "ctrl+q")

    async def slow(event: events.Event) -> None:
        if given:
            ahead.given()
        at_work.set()
        await go_on.wait()

    passing = asyncio.create_task(ahead.let_through(slow))
    await at_work.wait()
    assert ahead.as_edit() == (1 if given else 2, "in")
    go_on.set()
    await passing


async def test_text_goes_first_and_the_rest_waits_for_all_panes() -> None:
    ahead, taker = TypedAhead(), Taker()
    for name in ("a", "b", "f4", "r"):
        ahead.holds(key(name), "ctrl+q")
    await ahead.let_through(taker.take, text_only=True)
    assert names(taker.taken) == "a b"
    assert ahead.holds(key("c"), "ctrl+q"), "it would overtake f4"
    await ahead.let_through(taker.take)
    assert names(taker.taken) == "a b f4 r c"


async def test_text_passes_at_once_until_another_key_comes() -> None:
    ahead, taker = TypedAhead(), Taker()
    await ahead.let_through(taker.take, text_only=True)
    assert not ahead.holds(key("a"), "ctrl+q")
    assert ahead.holds(key("f2"), "ctrl+q")
    assert ahead.holds(key("b"), "ctrl+q")
    await ahead.let_through(taker.take)
    assert names(taker.taken) == "f2 b"


async def test_what_comes_while_an_earlier_key_is_at_work_waits_behind_it() -> None:
    ahead, taken = TypedAhead(), []
    ahead.holds(key("a"), "ctrl+q")

    async def slow(event: events.Event) -> None:
        taken.append(event)
        if len(taken) == 1:
            await asyncio.sleep(0)
            assert ahead.holds(key("b"), "ctrl+q")

    await ahead.let_through(slow)
    assert names(taken) == "a b"


async def test_a_key_that_is_held_down_is_one_that_waits_twice() -> None:
    repeated = []
    ahead = TypedAhead()
    for name in ("down", "down", "up", "tab", "tab"):
        ahead.holds(key(name), "ctrl+q")

    async def take(event: events.Event) -> None:
        repeated.append(ahead.repeated)

    await ahead.let_through(take)
    assert repeated == [True, False, False, False, False]
    await ahead.through(0.1)
    ahead.holds(key("a"), "ctrl+q")
    ahead.hold(key("b"))
    with pytest.raises(TimeoutError):
        await ahead.through(0.001)
