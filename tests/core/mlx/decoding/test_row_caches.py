"""The caches of a batch: whatever order rows come and go in, each keeps its own tokens and no room for other rows'."""

from __future__ import annotations

import copy

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import KVCache, RotatingKVCache

from core.mlx.decoding.row_caches import RowCaches, packed, unpacked

WINDOW = 12


def fed(caches: RowCaches, rows: list[list[float]]) -> None:
    """Give every row its next tokens, all as many, as a model with two layers would."""
    keys = mx.array(rows, mx.float32)[:, None, :, None]
    for layer in caches.layers:
        layer.update_and_fetch(keys, 2 * keys)
    mx.eval([layer.state for layer in caches.layers])


def row(tokens: list[float]) -> RowCaches:
    caches = packed([KVCache(), RotatingKVCache(WINDOW)])[0]
    if tokens:
        fed(caches, [tokens])
    return caches


def held(caches: RowCaches, index: int) -> list[list[float]]:
    """What each layer holds of a row, in order; a window as many of the last tokens as it holds."""
    full, window = unpacked([caches.extract(index)])
    assert full.offset == window.offset
    recent = window._temporal_order(window.keys)[0, 0, :, 0].tolist()
    return [full.keys[0, 0, : full.offset, 0].tolist(), recent]


def test_one_row_keeps_the_caches_that_the_model_made() -> None:
    layers = [KVCache(), RotatingKVCache(WINDOW)]
    caches = packed(layers)[0]
    fed(caches, [[1.0, 2.0]])
    assert all(ours is theirs for ours, theirs in zip(caches.layers, layers, strict=True))


def test_rows_that_come_beside_a_long_one_which_leaves_are_not_padded_to_its_length() -> None:
    caches = row([float(number) for number in range(8)])
    caches.extend(RowCaches.merge([row([]), row([])]))
    left = copy.deepcopy(caches)
    caches.filter([1, 2])
    left.filter([0])
    fed(caches, [[1.0, 2.0], [3.0, 4.0]])
    _, window = caches.layers
    assert window.keys.shape[2] == 2
    assert held(left, 0)[0] == [float(number) for number in range(8)]


def test_the_last_of_several_rows_gets_plain_caches_again() -> None:
    caches = RowCaches.merge([row([1.0]), row([2.0, 3.0])])
    fed(caches, [[4.0], [5.0]])
    caches.filter([1])
    assert [type(layer) for layer in caches.layers] == [KVCache, RotatingKVCache]
    assert held(caches, 0) == [[2.0, 3.0, 5.0]] * 2


def test_a_row_that_is_taken_out_is_a_copy() -> None:
    caches = row([1.0, 2.0])
    taken = caches.extract(0)
    fed(caches, [[3.0]])
    assert held(taken, 0)[0] == [1.0, 2.0]
    with pytest.raises(IndexError):
        caches.extract(1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_come_go_and_split_in_any_order(data: st.DataObject) -> None:
    token = 0.0
    batches: list[tuple[RowCaches, list[list[float]]]] = []

    def next_tokens(count: int) -> list[float]:
        nonlocal token
        token += count
        return [token - count + number for number in range(count)]

    for _ in range(data.draw(st.integers(2, 14))):
        action = data.draw(st.sampled_from(["come", "feed", "split", "leave", "join"]))
        if action == "come" or not batches:
            # BatchGenerator feeds prompts of one length, or pads them; what they held before may differ.
            rows = [next_tokens(data.draw(st.integers(0, 15))) for _ in range(data.draw(st.integers(1, 3)))]
            batches.append((RowCaches.merge([row(tokens) for tokens in rows]), rows))
            continue
        number = data.draw(st.integers(0, len(batches) - 1))
        caches, rows = batches[number]
        if action == "feed":
            more = [next_tokens(1) for _ in rows]
            fed(caches, more)
            batches[number] = (caches, [tokens + new for tokens, new in zip(rows, more, strict=True)])
        elif action == "join" and len(batches) > 1:
            other, others = batches.pop((number + 1) % len(batches))
            caches.extend(other)
            place = next(place for place, (found, _) in enumerate(batches) if found is caches)
            batches[place] = (caches, rows + others)
        elif action in ("split", "leave") and len(rows) > 1:
            going = data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1, max_size=len(rows) - 1))
            staying = sorted(set(range(len(rows))) - going)
            if action == "split":
                half = copy.deepcopy(caches)
                caches.filter(staying)
                half.filter(sorted(going))
                batches.append((half, [rows[index] for index in sorted(going)]))
            else:
                caches.filter(staying)
            batches[number] = (caches, [rows[index] for index in staying])
    for caches, rows in batches:
        assert caches.rows == len(rows)
        for index, tokens in enumerate(rows):
            if not tokens:
                continue
            full, recent = held(caches, index)
            assert full == tokens
            assert recent[-WINDOW:] == tokens[-len(recent) :][-WINDOW:]
            assert len(recent) >= min(len(tokens), WINDOW)
