"""What is expected of a model that was never used: from like models of this machine, by bytes and by weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalog import Catalog, Float32, MemoryEstimate, ModelInfo, ModelKind
from core.figures.expect import Expected, expected_figures, known_figures, this_machine
from core.figures.figure import Use
from core.figures.shape import shape_as, shape_of
from core.figures.store import Figures, Kept
from tests.core.figures.records import HERE, kept, shape

G = 1_000_000_000
FREE = 100 * G


def model(weights: int = 2 * G, active_bytes: int = 2 * G, active: int = 4 * G, parameters: int = 4 * G) -> ModelInfo:
    """A model of 4 bits a weight."""
    return ModelInfo(
        *("not/here", Path("/none"), "hub", ModelKind.TEXT, "qwen3", parameters, "4bit-g64"),
        memory=MemoryEstimate(weights, 1000, 1000),
        active_parameters=active,
        active_bytes=active_bytes,
    )


def used(name: str, token_bytes: int, active: int, decode: float, prefill: float, load: float = 1.0) -> list[Kept]:
    of = shape(token_bytes, active)
    return [
        kept(name, of, use=Use.LOAD, load_s=load),
        kept(name, of, decode_tps=decode, prompt_tokens=1000, prefill_tps=prefill),
    ]


def expected(measured: list[Kept], info: ModelInfo | None = None) -> Expected | None:
    return expected_figures(info or model(), measured, HERE, FREE)


def test_writing_goes_by_bytes_reading_by_weights_and_loading_by_size() -> None:
    found = expected(used("half", G, 2 * G, decode=100.0, prefill=1000.0, load=1.0))
    assert found is not None
    assert found.decode is not None
    assert found.prefill is not None
    assert found.load is not None
    assert (found.decode.value, found.prefill.value, found.load.value) == pytest.approx((50.0, 500.0, 2.0))
    assert found.models == found.decode.models == ("half",)
    assert json.loads(json.dumps(found.record()))["decode_tokens_per_s"]["value"] == pytest.approx(50.0)


def test_of_experts_those_count_that_are_chosen() -> None:
    sparse = model(weights=16 * G, active_bytes=2 * G, active=4 * G, parameters=32 * G)
    found = expected(used("dense", 2 * G, 4 * G, decode=60.0, prefill=700.0), sparse)
    assert found is not None
    assert found.decode is not None
    assert found.decode.value == pytest.approx(60.0)
    assert found.load is None, "sixteen gigabytes are not like two"


def test_the_nearest_three_count_and_the_range_is_all_of_theirs() -> None:
    measured = [
        *used("a", 2 * G, 4 * G, 50.0, 500.0),
        *used("b", G, 2 * G, 110.0, 900.0),
        *used("c", 4 * G, 8 * G, 30.0, 300.0),
        *used("far", 7 * G, 14 * G, 1.0, 1.0),
    ]
    found = expected(measured)
    assert found is not None
    assert found.decode is not None
    assert (found.decode.value, found.decode.low, found.decode.high) == pytest.approx((55.0, 50.0, 60.0))
    assert set(found.models) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "measured",
    [
        [],
        [kept(machine="elsewhere", decode_tps=9.0, of=shape(2 * G, 4 * G))],
        [kept(decode_tps=9.0, of=shape(2 * G, 4 * G, held="plain"))],
        [kept(decode_tps=9.0, of=shape(9 * G, 20 * G))],
        [kept(rows=8, decode_tps=9.0, of=shape(2 * G, 4 * G))],
    ],
    ids=["nothing", "another machine", "held otherwise", "too large", "never alone"],
)
def test_nothing_is_expected_where_nothing_alike_was_measured(measured: list[Kept]) -> None:
    assert expected(measured) is None


def test_a_model_that_nothing_is_known_of_has_no_expectation() -> None:
    measured = used("half", G, 2 * G, 100.0, 1000.0)
    assert expected(measured, replace(model(), memory=None)) is None
    assert expected(measured, replace(model(), active_bytes=None)) is None


def test_of_a_model_that_writes_nothing_only_the_load_is_expected() -> None:
    found = expected(used("half", G, 2 * G, 100.0, 1000.0), replace(model(), kind=ModelKind.EMBEDDINGS))
    assert found is not None
    assert (found.decode, found.prefill) == (None, None)
    assert found.load is not None


def test_a_model_is_expected_as_it_would_be_held() -> None:
    unpacked = Float32(True, MemoryEstimate(16 * G, 1000, 1000))
    told = replace(model(), float32=(unpacked,))
    assert (found := shape_as(told, unpacked)) is not None
    assert (found.held, found.token_bytes, found.weights) == ("float32", 16 * G, 16 * G)
    assert (stored := shape_as(told, None)) is not None
    assert (stored.held, stored.token_bytes) == ("packed", 2 * G)
    assert shape_of(told, 15 * G) == found
    assert shape_of(told, 2 * G) == stored


def test_what_was_measured_goes_before_what_is_expected(tmp_path: Path, catalog: Catalog) -> None:
    path = tmp_path / "figures.sqlite3"
    info = catalog.get("pocket/qwen2-vl")
    other = catalog.get("pocket/qwen3")
    assert known_figures(path, info.id, info, HERE, FREE) == (None, None)
    with Figures(path) as figures:
        like = shape_of(other, 4 * other.parameters if other.parameters else 0)
        figures.add([kept(other.id, like, decode_tps=200.0)])
        measured, told = known_figures(path, info.id, info, HERE, FREE)
        assert measured is None
        assert told is not None
        assert told.models == (other.id,)
        figures.add([kept(info.id, like, decode_tps=250.0)])
        measured, told = known_figures(path, info.id, info, HERE, FREE)
        assert told is None
        assert measured is not None
        assert measured.count == 1


def test_this_machine_has_a_name() -> None:
    assert this_machine()
