"""Vision over HTTP with the official clients: the golden pictures, streams that are streams, and who cannot see."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
import openai
import pytest

from core.calls.events import FinishReason
from core.golden.checks import Answer, check, holds
from core.golden.suite import Case, Suite, SuiteImage
from core.tiers import Tier
from tests.e2e.conftest import Target, on

TIERS = {"vision_quick": Tier.QUICK, "vision_full": Tier.FULL}
TRIES = 8
"""A machine under load may let a short answer end before its first piece is read; not again and again."""
CASES = ("vision/describe_image#red", "vision/describe_image#blue", "vision/compare_images", "vision/ocr_text")


def find(suite: Suite, case: str) -> Case:
    return next(one for one in suite.cases if one.id == case)


def encoded(image: SuiteImage) -> str:
    return base64.b64encode(image.path.read_bytes()).decode()


def for_openai(case: Case) -> list[Any]:
    urls = [f"data:image/png;base64,{encoded(image)}" for image in case.images]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    turns: list[Any] = [{"role": "user", "content": [*parts, {"type": "text", "text": case.prompt}]}]
    return [{"role": "system", "content": case.system}, *turns] if case.system else turns


def for_anthropic(case: Case) -> list[Any]:
    sources = [{"type": "base64", "media_type": "image/png", "data": encoded(image)} for image in case.images]
    blocks = [{"type": "image", "source": source} for source in sources]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": case.prompt}]}]


def judge(case: Case, tier: Tier, text: str | None) -> None:
    """Assert what the built-in suite expects of the tier."""
    expected, answer = case.expected(tier), Answer(text or "", FinishReason.STOP)
    assert holds(expected, answer), f"{text!r}: {[one.failed for one in check(expected, answer)]}"


@on("vision_quick", "vision_full")
@pytest.mark.parametrize("case", CASES)
def test_what_is_in_the_picture(target: Target, suite: Suite, case: str) -> None:
    one, tier = find(suite, case), TIERS[target.kind]
    with target.openai() as client:
        answer = client.chat.completions.create(
            model=target.model, messages=for_openai(one), temperature=0, max_tokens=256
        )
    choice = answer.choices[0]
    assert choice.finish_reason == "stop"
    judge(one, tier, choice.message.content)
    with target.anthropic() as claude:
        message = claude.messages.create(
            model=target.model,
            system=one.system or "",
            messages=for_anthropic(one),
            max_tokens=256,
            extra_body={"temperature": 0},
        )
    assert message.stop_reason == "end_turn"
    judge(one, tier, "".join(block.text for block in message.content if block.type == "text"))


@on("vision_quick", "vision_full")
def test_a_stream_comes_while_the_answer_is_made(target: Target, suite: Suite) -> None:
    """Chunks follow the tokens one by one, and the first is here while the server is still at it."""
    case = find(suite, CASES[0])
    for _ in range(TRIES):
        pieces, tokens, at_work = streamed(target, case)
        assert len(pieces) > 1
        assert len(pieces) >= tokens / 3, "tokens come one by one, not in lumps"
        assert max(map(len, pieces)) < len("".join(pieces)) / 2
        judge(case, TIERS[target.kind], "".join(pieces))
        if at_work:
            return
    pytest.fail("everything was there before the first piece was sent")


def streamed(target: Target, case: Case) -> tuple[list[str], int, bool]:
    """The pieces of an answer, its tokens, and whether the server was still at it when the first had come."""
    pieces: list[str] = []
    at_work, tokens = False, 0
    with target.openai() as client:
        for chunk in client.chat.completions.create(
            model=target.model,
            messages=for_openai(case),
            temperature=0,
            max_tokens=256,
            stream=True,
            stream_options={"include_usage": True},
        ):
            if chunk.choices and chunk.choices[0].delta.content:
                at_work = at_work or (not pieces and bool(target.api.server.record.live))
                pieces.append(chunk.choices[0].delta.content)
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return pieces, tokens, at_work


@on("text")
def test_an_image_to_a_text_model_is_refused_with_the_kind_to_use(target: Target, suite: Suite) -> None:
    case = find(suite, CASES[0])
    said = "is a text model and cannot see images. Send the image to a vision model."
    with target.openai() as client, pytest.raises(openai.BadRequestError, match=said) as caught:
        client.chat.completions.create(model=target.model, messages=for_openai(case), max_tokens=8)
    assert caught.value.status_code == 400
    with target.anthropic() as claude, pytest.raises(anthropic.BadRequestError, match=said):
        claude.messages.create(model=target.model, messages=for_anthropic(case), max_tokens=8)
