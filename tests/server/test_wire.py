"""The record of external requests: what the inspector sees, and that it cannot be misused."""

from __future__ import annotations

from core.calls.events import Finished, FinishReason, Loading, Prefill, TextDelta, Timing, Usage
from server.wire import WireEntry, WireRecord, WireState, printable


def opened(record: WireRecord, id: str = "r1") -> object:
    return record.open(id, client="curl/8", protocol="openai", method="POST", path="/v1/chat/completions")


def test_an_entry_follows_its_request_to_the_end() -> None:
    record = WireRecord()
    seen: list[WireEntry] = []
    forget = record.listen(seen.append)
    call = opened(record)
    call.begin("m", True, lambda: None)
    for event in (Loading("m"), Prefill(0, 9, 2), TextDelta("a"), TextDelta("b")):
        call.event(event)
    call.event(Finished(FinishReason.STOP, Usage(9, 5, 2), Timing(decode_tps=80.0)))
    call.end(WireState.DONE, 200)
    call.end(WireState.FAILED, 500, "too late")
    (entry,) = record.entries()
    assert (entry.state, entry.status, entry.error) == (WireState.DONE, 200, "")
    assert (entry.prompt_tokens, entry.completion_tokens, entry.cached_tokens) == (9, 5, 2)
    assert entry.tps == 80.0
    assert entry.ttft_s is not None
    assert [e.state for e in seen if e.state is not WireState.QUEUED][:3] == ["loading", "prefill", "streaming"]
    assert record.live == []
    forget()
    opened(record, "r2")
    assert seen[-1].id == "r1"


def test_choices_that_run_side_by_side_add_up_and_never_step_back() -> None:
    call = opened(WireRecord())
    call.event(Prefill(3, 3), 0)
    call.event(TextDelta("a"), 0)
    call.event(Prefill(1, 3), 1)
    assert call.entry.state is WireState.STREAMING
    for choice in (0, 1):
        call.event(Finished(FinishReason.STOP, Usage(3, 4), Timing(decode_tps=10.0)), choice)
    assert (call.entry.prompt_tokens, call.entry.completion_tokens, call.entry.tps) == (3, 8, 20.0)


def test_a_pace_is_told_from_the_second_token_on() -> None:
    call = opened(WireRecord())
    call.event(TextDelta("a"))
    call._report()
    assert call.entry.tps is None
    call.event(TextDelta("b"))
    call._report()
    assert call.entry.tps is not None


def test_the_record_is_bounded_and_running_requests_can_still_be_stopped() -> None:
    record = WireRecord(limit=3)
    stopped: list[str] = []
    first = opened(record, "first")
    first.begin("m", False, lambda: stopped.append("first"))
    for number in range(5):
        opened(record, str(number)).end(WireState.DONE, 200)
    assert [entry.id for entry in record.entries()] == ["2", "3", "4"]
    assert record.kill("first")
    assert stopped == ["first"]
    first.end(WireState.CANCELLED)
    assert not record.kill("first")
    assert not record.kill("unknown")


def test_a_listener_that_fails_harms_nobody() -> None:
    record = WireRecord()

    def broken(entry: WireEntry) -> None:
        raise RuntimeError("gone")

    record.listen(broken)
    seen: list[WireEntry] = []
    record.listen(seen.append)
    opened(record)
    assert len(seen) == 1


def test_what_a_client_calls_itself_cannot_write_to_the_terminal() -> None:
    assert printable("\x1b]52;c;aGk=\x07\u202e\x9b2J") == "\\x1b]52;c;aGk=\\x07\\u202e\\x9b2J"
    assert len(printable("x" * 999)) == 300
