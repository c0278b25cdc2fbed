"""The engine on the pocket vision models: images are seen, batched, reused, and never mixed up."""

from __future__ import annotations

import io

import pytest

from core.calls.events import FinishReason, GenerationResult, TextDelta
from core.calls.requests import GenerationRequest, Message, Role, Sampling, TextPart, ToolCallPart, ToolResultPart
from core.calls.requests import ImagePart as Picture
from core.engine import Engine
from core.media.images import ImageData
from core.settings import Settings
from tests import pictures

QUICK, FULL = "pocket/qwen2-vl", "pocket/gemma3"
BOTH = pytest.mark.parametrize("model", [QUICK, FULL])
ASK = "Describe this image in one sentence. What shape do you see and what color is it?"
COMPARE = "Compare these two images. What are the differences in shape and color between them?"

GREEN_SQUARE = pictures.shape("square", (0, 160, 0), (40, 90, 150, 200))
YELLOW_CIRCLE = pictures.shape("circle", (255, 215, 0), (120, 30, 220, 130))
BLACK_TRIANGLE = pictures.shape("triangle", (0, 0, 0), (60, 60, 200, 200))


def request(model: str, *messages: Message, **sampling: object) -> GenerationRequest:
    options = {"temperature": 0.0, "max_tokens": 64} | sampling
    return GenerationRequest(model, messages, sampling=Sampling(**options))  # type: ignore[arg-type]


def ask(engine: Engine, model: str, text: str, *images: ImageData) -> GenerationResult:
    return engine.generate(request(model, Message.text(Role.USER, text, *images))).result()


@BOTH
def test_the_answer_follows_the_image(engine: Engine, model: str) -> None:
    for image, words in ((GREEN_SQUARE, ("green", "square")), (YELLOW_CIRCLE, ("yellow", "circle"))):
        answer = ask(engine, model, ASK, image).text.lower()
        assert all(word in answer for word in words), answer


@BOTH
def test_a_blank_image_is_not_described_as_a_shape(engine: Engine, model: str) -> None:
    answer = ask(engine, model, ASK, pictures.png("white", (256, 256))).text.lower()
    assert not any(word in answer for word in ("square", "circle", "red", "blue")), answer


@BOTH
def test_two_images_are_told_apart(engine: Engine, model: str) -> None:
    result = ask(engine, model, COMPARE, GREEN_SQUARE, BLACK_TRIANGLE)
    assert all(word in result.text.lower() for word in ("green", "square", "black", "triangle")), result.text
    assert result.finished is not None
    assert result.finished.reason is FinishReason.STOP


@BOTH
def test_text_arrives_in_many_pieces(engine: Engine, model: str) -> None:
    events = list(engine.generate(request(model, Message.text(Role.USER, ASK, GREEN_SQUARE))))
    assert sum(isinstance(event, TextDelta) for event in events) >= 5


@BOTH
def test_a_batch_answers_as_the_bare_library_does(engine: Engine, model: str) -> None:
    from mlx_vlm import load, stream_generate
    from PIL import Image

    images = (GREEN_SQUARE, YELLOW_CIRCLE, BLACK_TRIANGLE)
    handles = [engine.generate(request(model, Message.text(Role.USER, ASK, image), logprobs=0)) for image in images]
    ours = [[item.token_id for item in handle.result().logprobs] for handle in handles]
    bare, processor = load(str(engine.catalog.get(model).path))
    content = [{"type": "image"}, {"type": "text", "text": ASK}]
    prompt = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    for image, tokens in zip(images, ours, strict=True):
        picture = Image.open(io.BytesIO(image.data))
        theirs = [
            step.token for step in stream_generate(bare, processor, prompt, picture, max_tokens=64, temperature=0)
        ]
        assert len(tokens) > 5
        assert theirs[: len(tokens)] == tokens


@BOTH
def test_a_second_image_keeps_the_first_ones_cache(settings: Settings, model: str) -> None:
    with Engine(settings) as engine:
        first = Message.text(Role.USER, ASK, GREEN_SQUARE)
        one = engine.generate(request(model, first)).result()
        turns = (first, Message.text(Role.ASSISTANT, one.text), Message.text(Role.USER, ASK, YELLOW_CIRCLE))
        two = engine.generate(request(model, *turns)).result()
    with Engine(settings.model_copy(update={"cache_budget_gb": 0.0})) as engine:
        fresh = engine.generate(request(model, *turns)).result()
    assert one.finished is not None
    assert two.finished is not None
    assert fresh.finished is not None
    assert two.finished.usage.cached_tokens >= one.finished.usage.prompt_tokens - 8
    assert fresh.finished.usage.cached_tokens == 0
    assert two.text == fresh.text
    assert two.finished.usage.image_tokens == 2 * one.finished.usage.image_tokens


@BOTH
def test_another_image_of_the_same_size_never_matches(engine: Engine, model: str) -> None:
    one = ask(engine, model, ASK, pictures.shape("square", (0, 160, 0), (30, 30, 130, 130)))
    other = ask(engine, model, ASK, pictures.shape("circle", (255, 215, 0), (30, 30, 130, 130)))
    assert one.finished is not None
    assert other.finished is not None
    assert other.finished.usage.cached_tokens < other.finished.usage.image_tokens
    assert "circle" in other.text.lower()


def test_text_and_images_share_one_batch(engine: Engine) -> None:
    engine.load(FULL).result(timeout=60)
    asked = [
        request(FULL, Message.text(Role.USER, ASK, GREEN_SQUARE)),
        request(FULL, Message.text(Role.USER, "Hello!")),
        request(FULL, Message.text(Role.USER, ASK, YELLOW_CIRCLE)),
    ]
    alone = [engine.generate(item).result().text for item in asked]
    together = [handle.result() for handle in [engine.generate(item) for item in asked]]
    assert [result.text for result in together] == alone


def test_an_image_inside_a_tool_result_is_seen(engine: Engine) -> None:
    messages = (
        Message.text(Role.USER, "Take a screenshot."),
        Message(Role.ASSISTANT, (ToolCallPart("c1", "screenshot", {}),)),
        Message(Role.TOOL, (ToolResultPart("c1", (TextPart("done"), Picture(GREEN_SQUARE))),)),
        Message.text(Role.USER, ASK),
    )
    result = engine.generate(request(FULL, *messages)).result()
    assert result.finished is not None
    assert result.finished.usage.image_tokens > 0


def test_a_cancelled_image_request_frees_its_row(engine: Engine) -> None:
    handle = engine.generate(request(FULL, Message.text(Role.USER, ASK, BLACK_TRIANGLE)))
    handle.cancel()
    finished = handle.result().finished
    assert finished is not None
    assert finished.reason in (FinishReason.CANCELLED, FinishReason.STOP)
    assert ask(engine, FULL, ASK, GREEN_SQUARE).text


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (1600, 90), (640, 480)])
@BOTH
def test_odd_sizes_are_taken(engine: Engine, model: str, size: tuple[int, int]) -> None:
    result = ask(engine, model, "What do you see?", pictures.png((200, 220, 240), size))
    assert result.finished is not None
    assert result.finished.usage.image_tokens > 0
