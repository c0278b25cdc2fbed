"""Beside others, a stream sends what came together as one event; alone, an event for each piece of the engine's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from core.calls.events import Event, TextDelta, ThinkingDelta, TokenLogprob, ToolCallDelta, ToolCallStart
from server.follow import Item, joined
from tests.server.conftest import Stage, Staged
from tests.server.scripted import END, Play
from tests.server.test_silence import chat, claude, responses


@pytest.mark.parametrize("ask", [claude, chat, responses])
@pytest.mark.parametrize("company", [False, True])
def test_a_stream_beside_others_takes_fewer_events(
    stage: Staged, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Stage], Iterator[str]], company: bool
) -> None:
    monkeypatch.setattr("core.calls.mailbox.PACE_S", 3600.0)  # what flows then waits for the end
    other, heard = threading.Event(), threading.Event()

    def script(play: Play) -> None:
        play.say(TextDelta("a"))
        if len(one.engine.plays) == 1 and company:
            other.wait(30)
        else:
            heard.wait(30)
            play.say(TextDelta("b"), TextDelta("c"), TextDelta("d"))
        play.say(END)

    one = stage(script)
    beside = ask(one)
    if company:
        assert "a" in beside, "the other stream is under way"
    pieces: list[str] = []
    for piece in ask(one):
        pieces += [piece] if piece else []
        if piece:
            heard.set()
    other.set()
    list(beside)
    assert pieces[0] == "a", "the first word waits for nobody"
    assert "".join(pieces) == "abcd"
    assert pieces[-1].endswith("cd") if company else len(pieces) == 4


def test_what_follows_one_another_of_a_kind_is_one() -> None:
    tokens = [TokenLogprob(number, text, -1.0) for number, text in enumerate("xyz")]
    start = ToolCallStart(0, "id", "look")
    came: list[Item] = [
        (ThinkingDelta("m", at=1.0), 0),
        (TextDelta("p", at=2.0), 1),
        (ThinkingDelta("n", at=3.0), 0),
        (TextDelta("x", tuple(tokens[:1]), at=4.0), 0),
        (TextDelta("yz", tuple(tokens[1:]), at=5.0), 0),
        (start, 0),
        (ToolCallDelta(0, '{"a":', at=6.0), 0),
        (TextDelta("q", at=7.0), 1),
        (ToolCallDelta(0, "1}", at=8.0), 0),
        (ToolCallDelta(1, "{}", at=9.0), 0),
        (END, 0),
        (END, 1),
    ]
    found = joined(came)
    of: dict[int, list[Event]] = {choice: [event for event, one in found if one == choice] for choice in (0, 1)}
    assert of[0] == [
        ThinkingDelta("mn"),
        TextDelta("xyz", tuple(tokens)),
        start,
        ToolCallDelta(0, '{"a":1}'),
        ToolCallDelta(1, "{}"),
        END,
    ]
    assert of[1] == [TextDelta("pq"), END]
    assert [event.at for event in of[0] if isinstance(event, ThinkingDelta | TextDelta)] == [1.0, 4.0]
