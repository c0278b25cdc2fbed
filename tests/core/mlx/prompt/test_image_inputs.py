"""How a prompt with images is put together: placeholders, first tokens, and which image a token belongs to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.calls.events import Usage
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.errors import UnsupportedInput
from core.media.images import ImageData
from core.mlx.prompt.image_inputs import Seen, image_number, name_images, run_count
from core.settings import Settings
from tests import pictures
from tests.tiny.visions import make_vision_model

RED = pictures.shape("square", (200, 0, 0), (10, 20, 60, 80), 96)
BLUE = pictures.shape("circle", (0, 0, 220), (30, 5, 90, 70), 80)
TEXT_ALONE = "{%- for message in messages -%}{{- message.role + ': ' + message.content + '\n' -}}{%- endfor -%}"
Change = Callable[[Path], None]


@pytest.fixture
def usage(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Usage]]:
    """Make a tiny model, change its folder, and ask it about images: what was counted."""
    with Engine(settings.model_copy(update={"model_folders": [tmp_path]})) as engine:

        def ask(shape: str, change: Change | None, *images: ImageData) -> Usage:
            name = f"m{len(list(tmp_path.iterdir()))}"
            path = make_vision_model(shape, tmp_path / name)
            if change is not None:
                change(path)
            engine.catalog.refresh()
            message = Message.text(Role.USER, "What is in the image?", *images)
            request = GenerationRequest(f"{name}/{shape}", (message,), sampling=Sampling(0.0, max_tokens=2))
            finished = engine.generate(request).result().finished
            assert finished is not None
            return finished.usage

        yield ask


def write_template(text: str) -> Change:
    def change(path: Path) -> None:
        (path / "chat_template.jinja").write_text(text)

    return change


def add_first_token(path: Path) -> None:
    """Have the tokenizer put <s> before every text, as Llama's and Gemma's do."""
    file = path / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    number = next(token["id"] for token in tokenizer["added_tokens"] if token["content"] == "<s>")
    first, text = {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [number], "tokens": ["<s>"]}},
    }
    file.write_text(json.dumps(tokenizer), encoding="utf-8")


def write_first_token(path: Path) -> None:
    file = path / "chat_template.jinja"
    file.write_text("<s>" + file.read_text())


def test_a_template_that_takes_text_alone_gets_a_placeholder(usage: Callable[..., Usage]) -> None:
    assert usage("paligemma", write_template(TEXT_ALONE), RED).image_tokens == 16


@pytest.mark.parametrize("images", [(), (RED,)], ids=["text", "image"])
def test_a_template_in_a_file_that_tokenizers_do_not_read(
    usage: Callable[..., Usage], images: tuple[ImageData, ...]
) -> None:
    def move(path: Path) -> None:
        file = path / "chat_template.jinja"
        (path / "chat_template.json").write_text(json.dumps({"chat_template": file.read_text()}))
        file.unlink()

    for shape in ("smolvlm", "llava", "mllama"):
        assert usage(shape, move, *images) == usage(shape, None, *images)


def test_a_template_that_drops_images_is_named(usage: Callable[..., Usage]) -> None:
    drops = "{%- for message in messages -%}{{- message.role + '\n' -}}{%- endfor -%}"
    with pytest.raises(UnsupportedInput, match="left out the image"):
        usage("qwen2_5_vl", write_template(drops), RED)


def test_embeddings_that_do_not_match_the_tokens_are_refused(usage: Callable[..., Usage]) -> None:
    with pytest.raises(UnsupportedInput, match=r"makes \d+ embeddings of \d+ tokens"):
        usage("llava_next", None, RED, BLUE)


@pytest.mark.parametrize("images", [(), (RED,)], ids=["text", "image"])
def test_the_first_token_comes_once(usage: Callable[..., Usage], images: tuple[ImageData, ...]) -> None:
    def both(path: Path) -> None:
        add_first_token(path)
        write_first_token(path)

    counts = [usage("smolvlm", change, *images).prompt_tokens for change in (None, add_first_token, both)]
    assert counts[1:] == [counts[0] + 1] * 2


def test_each_run_of_an_image_has_a_name_of_its_own() -> None:
    seen = Seen([5, 9, 9, 6, 9, 7, 9, 9, 9], {}, [1, 2, 4, 6, 7, 8])
    key, runs = name_images(seen, [RED, BLUE], [3, 3])
    red, blue = RED.sha256, BLUE.sha256
    first, second, third = image_number(red), image_number(red, 1), image_number(blue)
    assert key == [5, first, first, 6, second, 7, third, third, third]
    assert runs == [(1, 3), (4, 5), (6, 9)]
    assert run_count(seen.places) == 3


def test_neighbouring_images_are_told_apart_by_their_lengths() -> None:
    seen = Seen([9, 9, 9, 9, 1], {}, [0, 1, 2, 3])
    key, runs = name_images(seen, [RED, BLUE], [1, 3])
    assert runs == [(0, 1), (1, 4)]
    assert key == [image_number(RED.sha256), *[image_number(BLUE.sha256)] * 3, 1]


def test_images_whose_tokens_cannot_be_told_apart_share_a_name() -> None:
    seen = Seen([9, 9, 1, 9, 9], {}, [0, 1, 3, 4])
    key, _ = name_images(seen, [RED, BLUE], None)
    assert key[0] not in (image_number(RED.sha256), image_number(BLUE.sha256))
    assert key[0] == key[1] != key[3]
