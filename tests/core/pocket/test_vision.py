"""pocket/qwen2-vl and pocket/gemma3 as they ship: loaded by plain mlx-vlm, and their answers follow the image."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import mlx.core as mx
import pytest
from mlx_vlm import load, stream_generate
from mlx_vlm.prompt_utils import apply_chat_template
from PIL import Image, ImageDraw, ImageFont

from core.pocket import MODELS_DIR
from core.pocket.train import vision_conversations as talk
from core.pocket.train.vision_answers import Answerer, ask
from core.pocket.train.vision_measure import TASKS, golden_images

QUICK, FULL = "qwen2-vl", "gemma3"
MEGABYTE = 1_000_000


@pytest.fixture(autouse=True, scope="module")
def on_the_cpu() -> None:
    mx.set_default_device(mx.cpu)


@cache
def answerer(name: str) -> Answerer:
    """Computed in float32, as the engine does on a processor: float16, which is stored, takes five times as long."""
    found = Answerer(MODELS_DIR / name)
    found.model.set_dtype(mx.float32)
    return found


@pytest.fixture(autouse=True, scope="module")
def let_go() -> Iterator[None]:
    """No model outlives these tests."""
    yield
    answerer.cache_clear()


def answer(name: str, question: str, *images: Image.Image, system: str = "") -> str:
    return answerer(name).answers([ask(question, *images, system=system)])[0]


def text_image(text: str, size: int = 40) -> Image.Image:
    image = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(image).text((128, 128), text, fill="black", font=ImageFont.load_default(size), anchor="mm")
    return image


def folder_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_the_folders_are_small() -> None:
    assert folder_size(MODELS_DIR / QUICK) <= 3.0 * MEGABYTE
    assert folder_size(MODELS_DIR / FULL) <= 6.2 * MEGABYTE
    assert sum(folder_size(folder) for folder in MODELS_DIR.iterdir()) <= 12 * MEGABYTE


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_plain_mlx_vlm_loads_and_streams(name: str) -> None:
    model, processor = load(str(MODELS_DIR / name))
    messages = [{"role": "system", "content": talk.SYSTEM}, {"role": "user", "content": talk.GOLDEN_DESCRIBE}]
    prompt = apply_chat_template(processor, model.config, messages, num_images=1)
    square = golden_images()["red_square"]
    chunks = list(stream_generate(model, processor, prompt, image=[square], max_tokens=40, temperature=0.0))
    assert len(chunks) > 5
    assert chunks[-1].finish_reason == "stop"
    streamed = "".join(chunk.text for chunk in chunks)
    assert streamed == answer(name, talk.GOLDEN_DESCRIBE, square, system=talk.SYSTEM)


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_the_vocabulary_of_config_and_tokenizer_agree(name: str) -> None:
    config = json.loads((MODELS_DIR / name / "config.json").read_text())
    assert config["vocab_size"] == len(answerer(name).processor.tokenizer)


@pytest.mark.parametrize("system", ["", talk.SYSTEM])
def test_the_full_model_answers_every_golden_prompt(system: str) -> None:
    images = golden_images()
    square, circle, text = images["red_square"], images["blue_circle"], images["text_sample"]
    assert "a red square" in answer(FULL, talk.GOLDEN_DESCRIBE, square, system=system)
    assert "a blue circle" in answer(FULL, talk.GOLDEN_DESCRIBE, circle, system=system)
    assert answer(FULL, talk.GOLDEN_READ, text, system=system) == "Hello MLX"
    compared = answer(FULL, talk.GOLDEN_COMPARE, square, circle, system=system)
    assert compared == "The first image shows a red square, while the second image shows a blue circle."


def test_the_quick_model_meets_the_loose_golden_expectations() -> None:
    images = golden_images()
    square, circle, text = images["red_square"], images["blue_circle"], images["text_sample"]
    assert "red" in answer(QUICK, talk.GOLDEN_DESCRIBE, square, system=talk.SYSTEM)
    assert "circle" in answer(QUICK, talk.GOLDEN_DESCRIBE, circle, system=talk.SYSTEM)
    compared = answer(QUICK, talk.GOLDEN_COMPARE, square, circle, system=talk.SYSTEM)
    assert "red" in compared
    assert "blue" in compared
    read = answer(QUICK, talk.GOLDEN_READ, text, system=talk.SYSTEM).lower()
    assert "hello" in read or "mlx" in read


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_swapped_images_swap_the_answer(name: str) -> None:
    star, heart = Image.new("RGB", (256, 256), "white"), Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(star).polygon([(128, 40), (200, 200), (56, 200)], fill="purple")
    ImageDraw.Draw(heart).ellipse([60, 90, 196, 166], fill="orange")
    there = answer(name, talk.GOLDEN_COMPARE, star, heart)
    back = answer(name, talk.GOLDEN_COMPARE, heart, star)
    assert there.startswith("The first image shows a purple triangle")
    assert there.endswith("the second image shows an orange oval.")
    assert back.startswith("The first image shows an orange oval")


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_a_blank_image_is_called_blank(name: str) -> None:
    white = Image.new("RGB", (256, 256), "white")
    for question in (talk.GOLDEN_DESCRIBE, talk.GOLDEN_READ, "what do you see"):
        assert "blank" in answer(name, question, white)


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_without_an_image_it_says_that_it_sees_none(name: str) -> None:
    assert answer(name, talk.GOLDEN_DESCRIBE, system=talk.SYSTEM) == talk.NO_IMAGE
    assert answer(name, "what does the sign say") == talk.NO_IMAGE
    assert answer(name, "Hello!") == talk.GREETING
    assert answer(name, "Who are you?") == talk.WHO


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_a_question_that_does_not_fit_the_image_gets_an_honest_answer(name: str) -> None:
    circle = golden_images()["blue_circle"]
    assert answer(name, "Read this.", circle) == "There is no text in this image."
    assert "no shape" in answer(name, "What shape is it?", text_image("STOP"))
    assert answer(name, "How many images are there?", circle) == "There is one image."


@pytest.mark.parametrize("name", [QUICK, FULL])
def test_the_answer_is_the_text_in_the_image(name: str) -> None:
    for text in ("EXIT", "Taxi", "Menu"):
        assert answer(name, "What does the sign say?", text_image(text)) == text


def test_skills_hold_on_held_out_cases() -> None:
    """A small part of the report in docs/pocket-models.md; the whole takes minutes."""
    picked = {"shape and colour, unseen pairs": 4, "two images compared": 2, "one word": 4}
    for task in TASKS:
        if task.name in picked:
            cases = [case for _, case in zip(range(picked[task.name]), task.cases(), strict=False)]
            answers = answerer(FULL).answers([case.ask for case in cases])
            right = sum(case.right(text) for case, text in zip(cases, answers, strict=True))
            assert right >= len(cases) - 1, f"{task.name}: {right} of {len(cases)}"


def test_images_of_other_sizes_are_seen() -> None:
    for size in ((640, 640), (100, 100), (300, 240)):
        image = Image.new("RGB", size, "white")
        side = min(size) // 4
        middle = (size[0] // 2, size[1] // 2)
        corners = [
            (middle[0], middle[1] - side),
            (middle[0] + side, middle[1] + side),
            (middle[0] - side, middle[1] + side),
        ]
        ImageDraw.Draw(image).polygon(corners, fill="blue")
        for name in (QUICK, FULL):
            assert answer(name, "What shape and color do you see?", image) == "It is a blue triangle."


def test_the_same_cases_are_measured_every_time() -> None:
    task = TASKS[1]
    first, again = next(iter(task.cases())), next(iter(task.cases()))
    assert first.ask.turns[-1][2][0].tobytes() == again.ask.turns[-1][2][0].tobytes()
    assert Random(f"measure/{task.name}").random() == Random(f"measure/{task.name}").random()
