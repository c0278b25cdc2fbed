"""Responses that are kept: found again, bounded, deleted, and over a restart."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ResponsesError
from server.openai.responses import store as module
from server.openai.responses.store import ResponseStore, pieces


def item(name: str, size: int = 10) -> dict[str, Any]:
    return {"id": f"msg_{name}", "type": "message", "text": name * size}


def response(name: str, *output: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"resp_{name}", "model": "m", "output": list(output)}


def put(store: ResponseStore, name: str, *conversation: dict[str, Any]) -> None:
    store.put(response(name, item(f"out-{name}")), pieces(conversation))


def test_a_response_is_found_with_its_conversation_in_order() -> None:
    store = ResponseStore(None, 10_000)
    put(store, "a", item("b"), item("a"), item("b"))
    kept = store.get("resp_a")
    assert kept is not None
    assert kept.response == response("a", item("out-a"))
    assert kept.input == [item("b"), item("a"), item("b")]
    assert kept.conversation == [item("b"), item("a"), item("b"), item("out-a")]
    assert store.item("msg_out-a") == item("out-a")
    assert (store.get("resp_x"), store.item("msg_x"), store.delete("resp_x")) == (None, None, False)
    store.close()
    with pytest.raises(ResponsesError, match="The file of kept responses memory cannot be read"):
        store.get("resp_a")


def test_a_deleted_response_takes_along_what_no_other_holds() -> None:
    store = ResponseStore(None, 10_000)
    put(store, "a", item("shared"), item("own"))
    before = store.size
    put(store, "b", item("shared"))
    assert store.delete("resp_b")
    assert store.size == before
    put(store, "b", item("shared"))
    assert store.delete("resp_a")
    assert (store.get("resp_a"), store.item("msg_own")) == (None, None)
    assert store.item("msg_shared") == item("shared")
    assert store.delete("resp_b")
    assert store.size == 0


def test_the_oldest_make_room_and_what_is_too_large_alone_is_not_kept() -> None:
    store = ResponseStore(None, 2_000)
    for name in "abcd":
        put(store, name, item(name, 500))
    assert [name for name in "abcd" if store.get(f"resp_{name}")] == ["c", "d"]
    assert store.size <= 2_000
    put(store, "large", item("x", 3_000))
    assert store.get("resp_large") is None
    assert store.get("resp_d") is not None
    nothing = ResponseStore(None, 0)
    put(nothing, "a")
    assert nothing.get("resp_a") is None


def test_their_number_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    store = ResponseStore(None, 1_000_000)
    for name in "abcde":
        put(store, name)
    assert [name for name in "abcde" if store.get(f"resp_{name}")] == ["c", "d", "e"]


def test_on_disk_they_outlive_the_program_and_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "responses.sqlite"
    first = ResponseStore(path, 10_000)
    put(first, "a", item("a"))
    size = first.size
    first.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = ResponseStore(path, 10_000)
    assert second.size == size
    kept = second.get("resp_a")
    assert kept is not None
    assert kept.input == [item("a")]
    assert second.delete("resp_a")
    second.close()
    assert b"out-a" not in path.read_bytes()


def test_a_file_that_cannot_be_used_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "responses.sqlite"
    path.write_text("no database, but long enough to be looked at" * 100)
    store = ResponseStore(path, 10_000)
    assert "Responses are kept in memory" in caplog.text
    put(store, "a")
    assert store.get("resp_a") is not None
    store.close()
    put(store, "b")
    assert "was not kept" in caplog.text


NAMES = st.sampled_from("abcdef")
STEPS = st.lists(st.one_of(st.tuples(st.just("put"), st.lists(NAMES, max_size=4)), st.tuples(st.just("delete"), NAMES)))


@given(STEPS, st.integers(0, 1_500))
@settings(deadline=None, max_examples=60)
def test_the_count_of_bytes_is_true(steps: list[tuple[str, Any]], limit: int) -> None:
    store = ResponseStore(None, limit)
    for number, (what, value) in enumerate(steps):
        if what == "put":
            put(store, str(number), *(item(name, 40) for name in value))
        else:
            store.delete(f"resp_{ord(value) - ord('a')}")
        assert store.size <= limit
    for number in range(len(steps)):
        store.delete(f"resp_{number}")
    assert store.size == 0
    store.close()
