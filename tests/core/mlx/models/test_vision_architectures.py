"""Every vision architecture answers through the engine as it does through mlx_vlm.stream_generate, batched or not."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.calls.scoring import Conditions, ScoreRequest
from core.calls.witness import tokens_sha256
from core.catalog import ModelKind
from core.engine import Engine
from core.errors import InvalidImage, UnsupportedInput
from core.media.images import ImageData, decode
from core.mlx.prompt.image_inputs import Unpadded
from core.settings import Settings
from tests import pictures
from tests.tiny.visions import SHAPES, make_vision_model, thin_towers

TOKENS = 8
CLOSE = 5e-3
"""Natural-log probability by which two ways to one answer may differ: sums in another order, some of them deep."""

RED = pictures.shape("square", (200, 0, 0), (10, 20, 60, 80), 96)
BLUE = pictures.shape("circle", (0, 0, 220), (30, 5, 90, 70), 80)
GREEN = pictures.shape("triangle", (0, 160, 0), (5, 5, 80, 60), 96)

SEEN_AS_A_WHOLE = {"paligemma"}
"""Every token of the prompt sees every other, so that nothing of it stays as it was when something is added."""
IMAGES_SEEN_AS_A_WHOLE = {"gemma4_bidirectional"}
"""The tokens of an image see one another, by a mask that mlx-vlm makes for whole prompts alone."""

NOTHING_TO_SEE = {"mllama"}
"""Without an image mlx-vlm has the text attend to itself through the layers meant for images. Here they are passed
over, as in transformers."""
ALL_IMAGES_OR_NONE = {"mllama"}
"""The tokens before an image attend to it too, so that another image changes what became of them."""

ONE_IMAGE = {"llava_next"}
"""mlx-vlm shows them the first image and no other."""

Conversation = tuple[Message, ...]


def asked(text: str, *images: ImageData) -> Conversation:
    return (Message.text(Role.USER, text, *images),)


@dataclass
class Bare:
    """The same folder in mlx-vlm alone."""

    model: Any
    processor: Any
    known: dict[Conversation, list[tuple[int, Any]]] = field(default_factory=dict)

    def answer(self, messages: Conversation) -> list[tuple[int, Any]]:
        """The greedy tokens, each with the log probabilities of the whole vocabulary."""
        if messages not in self.known:
            from mlx_vlm import stream_generate

            images = [decode(image) for message in messages for image in message.images]
            steps = stream_generate(
                self.model,
                self.processor,
                self.prompt(messages),
                image=images or None,
                max_tokens=TOKENS,
                temperature=0.0,
            )
            self.known[messages] = [(step.token, step.logprobs) for step in steps if step.token is not None][:TOKENS]
        return self.known[messages]

    def prompt(self, messages: Conversation) -> str:
        turns = []
        for message in messages:
            text: Any = message.plain_text
            if message.images:
                text = [*({"type": "image"} for _ in message.images), {"type": "text", "text": text}]
            turns.append({"role": message.role.value, "content": text})
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


@dataclass(frozen=True)
class Pair:
    """One model in the engine and bare."""

    name: str
    engine: Engine
    bare: Bare

    @property
    def id(self) -> str:
        return f"tiny/{self.name}"

    def ask(self, *conversations: Conversation) -> list[GenerationResult]:
        """All of them at once."""
        sampling = Sampling(temperature=0.0, max_tokens=TOKENS, logprobs=0)
        handles = [self.engine.generate(GenerationRequest(self.id, one, sampling=sampling)) for one in conversations]
        return [handle.result() for handle in handles]

    def compare(self, conversation: Conversation, result: GenerationResult) -> None:
        """The tokens must be the library's, unless two of them tie somewhere, and so must be the probabilities of those
        that the engine tells of: tokens that show nothing, as many of a random model's are, have none."""
        wanted = self.bare.answer(conversation)
        finished = result.finished
        assert finished is not None
        assert finished.witness is not None
        assert finished.usage.completion_tokens == len(wanted) == TOKENS
        if finished.witness.completion_sha256 != tokens_sha256([token for token, _ in wanted]):
            margins = [mx.max(logprobs) - mx.sort(logprobs)[-2] for _, logprobs in wanted]
            assert min(margin.item() for margin in margins) < CLOSE
        place = 0
        for mine in (*result.thinking_logprobs, *result.logprobs):
            ahead = [index for index in range(place, len(wanted)) if wanted[index][0] == mine.token_id]
            place = ahead[0] if ahead else place
            token, logprobs = wanted[place]
            theirs = logprobs.tolist()
            assert math.isclose(mine.logprob, theirs[mine.token_id], abs_tol=CLOSE), (
                place,
                mine,
                theirs[mine.token_id],
            )
            if mine.token_id != token:  # a tie, or the probabilities would differ; the two answers part here
                assert theirs[token] - theirs[mine.token_id] < CLOSE, (place, mine, token)
                return
            place += 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models lie here."""
    return tmp_path_factory.mktemp("models") / "tiny"


@pytest.fixture(scope="module")
def engine(settings: Settings, folder: Path) -> Iterator[Engine]:
    changed = {"model_folders": [folder.parent], "prefill_chunk": 16}
    with thin_towers(), Engine(settings.model_copy(update=changed)) as engine:
        engine.ready().result()
        yield engine


WIDE = frozenset(
    {"qwen3_vl_moe", "qwen3_5_moe", "gemma4_bidirectional", "idefics3", "internvl", "glm_ocr", "glm4v", "llava_next"}
)
"""Which see and read as another one does: `uv run pytest -m wide` asks them as well."""


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.wide] * (name in WIDE)) for name in SHAPES]
)
def pair(request: pytest.FixtureRequest, engine: Engine, folder: Path) -> Iterator[Pair]:
    from mlx_vlm import load

    path = folder / request.param
    if not path.exists():  # another worker's last tests may come here, and what they share once more
        make_vision_model(request.param, folder)
    model, processor = load(str(path))
    engine.catalog.refresh()
    if request.param == "llava":  # mlx-vlm asks transformers' image processor for something that it refuses
        processor = Unpadded(processor)
    if request.param == "gemma3n":
        scale_text(model)
    pair = Pair(request.param, engine, Bare(model, processor))
    yield pair
    engine.unload(pair.id).result()


def scale_text(model: Any) -> None:
    """Give the text of Gemma 3n's prompts the scale that transformers gives it (Gemma3nTextScaledWordEmbedding)."""
    embed, original = model.language_model.model.embed_tokens, model.get_input_embeddings

    def scaled(input_ids: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(input_ids, *args, **kwargs)
        for place, token in enumerate(input_ids[0].tolist()):
            if (embed(token) == found.inputs_embeds[0, place]).all():
                found.inputs_embeds[0, place] = embed(token) * math.sqrt(found.inputs_embeds.shape[-1])
        return found

    model.get_input_embeddings = scaled


ONE, OTHER, BOTH, NONE = (
    asked("What is in the image?", RED),
    asked("Tell me about the picture, please, in a few words.", BLUE),
    asked("Compare these.", GREEN, RED),
    asked("What is the capital of France, and what is it known for?"),
)


def test_the_catalog_knows_it(pair: Pair) -> None:
    info = pair.engine.catalog.get(pair.id)
    assert info.kind is ModelKind.VISION
    assert info.problem is None
    assert info.memory is not None
    assert info.memory.total(4096) > 0


def test_alone_with_an_image(pair: Pair) -> None:
    pair.compare(ONE, pair.ask(ONE)[0])


def test_alone_without_an_image(pair: Pair) -> None:
    if pair.name in NOTHING_TO_SEE:
        pytest.skip("mlx-vlm is no measure here")
    pair.compare(NONE, pair.ask(NONE)[0])


@pytest.mark.parametrize("conditions", [Conditions(), Conditions(rows=3)], ids=["alone", "three rows"])
def test_an_answer_that_is_given_is_scored_as_the_library_writes_it(pair: Pair, conditions: Conditions) -> None:
    wanted = pair.bare.answer(ONE)
    answer = tuple(token for token, _ in wanted)
    request = GenerationRequest(pair.id, ONE)
    score = pair.engine.score(ScoreRequest(request, answer, top=1, conditions=conditions)).result(120)
    for scored, (token, logprobs) in zip(score.tokens, wanted, strict=True):
        assert math.isclose(scored.logprob, logprobs[token].item(), abs_tol=CLOSE), (pair.name, scored)


def test_four_at_once(pair: Pair) -> None:
    conversations = (OTHER, NONE, OTHER if pair.name in ONE_IMAGE else BOTH, ONE)
    for conversation, result in zip(conversations, pair.ask(*conversations), strict=True):
        if conversation is not NONE or pair.name not in NOTHING_TO_SEE:
            pair.compare(conversation, result)


@pytest.mark.parametrize("images", [(), (BLUE,)], ids=["text", "image"])
def test_a_second_turn_reuses_the_first(pair: Pair, images: tuple[ImageData, ...]) -> None:
    if pair.name in ONE_IMAGE and images:
        pytest.skip("it sees one image")
    pair.ask(ONE)
    later = (*ONE, Message.text(Role.ASSISTANT, "It is a square."), *asked("And what colour is it?", *images))
    result = pair.ask(later)[0]
    pair.compare(later, result)
    assert result.finished is not None
    cached = result.finished.usage.cached_tokens
    if pair.name in SEEN_AS_A_WHOLE or (pair.name in IMAGES_SEEN_AS_A_WHOLE | ALL_IMAGES_OR_NONE and images):
        assert cached == 0
    elif pair.name in ONE_IMAGE:  # up to where the number of tokens that its processor gives the image ends
        assert cached > 0
    else:
        assert cached >= result.finished.usage.image_tokens // (1 + len(images))


@pytest.mark.parametrize("size", [(3_000, 20), (1, 1)], ids=["narrow", "tiny"])
def test_images_of_odd_sizes_are_seen_or_refused(pair: Pair, size: tuple[int, int]) -> None:
    """Beside another and alone; what a tower raises at them is no fault of the server's."""
    odd = pictures.png("red", size)
    for images in ((odd,), (GREEN, odd)):
        request = GenerationRequest(pair.id, asked("What is this?", *images), sampling=Sampling(max_tokens=1))
        with contextlib.suppress(InvalidImage, UnsupportedInput):
            pair.engine.generate(request).result()
