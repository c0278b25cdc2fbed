"""Whose turn it is when many have something to be worked through."""

from __future__ import annotations

import asyncio

from server.turns import MOST, Turns


class Toiler:
    """Wants `turns` turns in all, the next from within each."""

    def __init__(self, turns: Turns, name: str, wants: int, done: list[str], *, is_new: bool = False) -> None:
        self.turns, self.name, self.wants, self.done, self.is_new = turns, name, wants, done, is_new
        self.held = self.depth = 0

    def hold(self) -> None:
        self.held += 1

    def take_turn(self) -> None:
        self.depth += 1
        assert self.depth == 1, "a turn has no turn in it"
        self.done.append(self.name)
        self.wants -= 1
        if self.wants:
            self.turns.ask(self, is_new=self.is_new)
        self.depth -= 1


async def test_who_comes_alone_has_its_turn_at_once() -> None:
    done: list[str] = []
    turns = Turns()
    one = Toiler(turns, "a", 1, done)
    turns.ask(one, is_new=True)
    assert (done, one.held) == (["a"], 0)


async def test_who_goes_on_and_on_is_held_and_keeps_nobody_waiting() -> None:
    done: list[str] = []
    turns = Turns()
    for name in "abc":
        turns.ask(Toiler(turns, name, 1000, done), is_new=False)
    turns.ask(new := Toiler(turns, "new", 1, done, is_new=True), is_new=True)
    assert len(done) <= MOST, "others on the loop have their turn"
    await asyncio.sleep(0)
    assert done.index("new") <= MOST + 2
    assert new.held == 1
    assert len(done) <= 2 * MOST


async def test_many_that_come_do_not_keep_those_waiting_who_are_there() -> None:
    done: list[str] = []
    turns = Turns()
    for _ in range(1000):
        turns.ask(Toiler(turns, "new", 1, done), is_new=True)
    turns.ask(Toiler(turns, "old", 3, done), is_new=False)
    while done.count("old") < 3:  # noqa: ASYNC110  every pass is one of the loop
        await asyncio.sleep(0)
    assert done.count("new") < 500
