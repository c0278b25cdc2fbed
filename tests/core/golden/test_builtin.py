"""The built-in suite and its images."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from core.golden.checks import Answer, Call, check
from core.golden.draw import draw_all
from core.golden.plan import select
from core.golden.reading import load_suite
from core.golden.suite import BUILTIN, Control
from core.tiers import Tier


@pytest.mark.parametrize("name", ["red_square.png", "blue_circle.png", "text_sample.png"])
def test_the_committed_images_are_what_the_program_draws(name: str) -> None:
    drawn = draw_all()[name]
    with Image.open(BUILTIN / "images" / name) as committed:
        assert committed.size == drawn.size == (256, 256)
        assert committed.mode == drawn.mode == "RGB"
        assert ImageChops.difference(committed, drawn).getbbox() is None


def test_no_other_image_is_committed() -> None:
    assert {file.name for file in (BUILTIN / "images").iterdir()} == set(draw_all())


def test_the_shapes_fill_their_box_on_white() -> None:
    square, circle, text = (draw_all()[name] for name in ("red_square.png", "blue_circle.png", "text_sample.png"))
    assert square.getpixel((64, 64)) == square.getpixel((192, 192)) == (255, 0, 0)
    assert square.getpixel((63, 64)) == circle.getpixel((64, 64)) == (255, 255, 255)
    assert circle.getpixel((128, 64)) == circle.getpixel((128, 128)) == (0, 0, 255)
    assert text.convert("L").getextrema() == (0, 255)


def test_it_holds_eleven_cases_with_their_parameters() -> None:
    cases = load_suite(BUILTIN).cases
    assert [case.id for case in cases] == [
        "prompts/cut_off",
        "prompts/factual_question",
        "prompts/sampled_story",
        "prompts/secret_word",
        "prompts/simple_greeting",
        "prompts/system_instruction",
        "prompts/tool_call_request",
        "vision/compare_images",
        "vision/describe_image#red",
        "vision/describe_image#blue",
        "vision/ocr_text",
    ]
    for case in cases:
        if case.id == "prompts/sampled_story":
            assert case.sampling.temperature
            assert case.controls == (Control.SEED,)
            continue
        most = 8 if case.id == "prompts/cut_off" else 256
        assert (case.sampling.temperature, case.sampling.max_tokens) == (0.0, most)
        if case.images:
            assert case.system == "You are a helpful vision assistant. Be concise."
            assert case.controls == (Control.SWAP, Control.BLIND)


@pytest.mark.parametrize("tier", Tier)
def test_an_answer_that_names_everything_passes_no_vision_case(tier: Tier) -> None:
    everything = Answer("red blue square circle Hello MLX Paris chat café")
    vision = [case for case in load_suite(BUILTIN).cases if case.images]
    passed = [case.id for case in vision if all(item.passed for item in check(case.expected(tier), everything))]
    assert passed == []


@pytest.mark.parametrize(
    ("case", "tier", "answer", "passes"),
    [
        ("describe_image#red", Tier.QUICK, "It is a red circle.", False),
        ("describe_image#red", Tier.QUICK, "It is a red thing.", True),
        ("describe_image#red", Tier.FULL, "It is a red circle.", False),
        ("describe_image#red", Tier.FULL, "A red rectangle on white.", True),
        ("describe_image#red", Tier.QUICK, "A blue-colored circle.", False),
        ("describe_image#blue", Tier.FULL, "A round blue disc.", True),
        ("compare_images", Tier.QUICK, "A square and a circle.", True),
        ("compare_images", Tier.FULL, "A square and a circle.", False),
        ("compare_images", Tier.FULL, "The first is a red square, the second a blue circle.", True),
        ("ocr_text", Tier.QUICK, "hello", True),
        ("ocr_text", Tier.FULL, "hello mlx", False),
        ("ocr_text", Tier.FULL, "Hello MLX", True),
        ("factual_question", Tier.QUICK, "Paris.", True),
        ("factual_question", Tier.FULL, "Parisian", False),
        ("system_instruction", Tier.FULL, "Le chat s'est assis sur le tapis.", True),
        ("system_instruction", Tier.FULL, "The cat sat on the mat.", False),
        ("tool_call_request", Tier.FULL, "It is sunny in Tokyo: get_weather", False),
    ],
)
def test_each_expectation_tells_right_from_wrong(case: str, tier: Tier, answer: str, passes: bool) -> None:
    (found,) = select(load_suite(BUILTIN).cases, [case])
    assert all(item.passed for item in check(found.expected(tier), Answer(answer))) is passes


def test_the_weather_must_be_asked_for_tokyo() -> None:
    (case,) = select(load_suite(BUILTIN).cases, ["tool_call_request"])
    for city, passes in (("Tokyo", True), ("Paris", False)):
        answer = Answer("", calls=(Call("get_weather", {"location": city}),))
        assert all(item.passed for item in check(case.expected(Tier.FULL), answer)) is passes
