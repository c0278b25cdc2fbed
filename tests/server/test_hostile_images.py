"""Many images, large images and odd images: they are told from their headers, and nobody else waits."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.server.serving import Server, chat, serving
from tests.tiny.visions import make_vision_model

SEES, READS = "pocket/qwen2-vl", "pocket/qwen3"
MOST = 200e6
"""Bytes by which a request with images may make the process grow: docs/api.md promises it."""
LONGEST_S = 3.0
"""What a busy machine may make of steps that take some hundredths of a second."""
Images = Callable[[], list[str]]


@cache
def png(mode: str, size: tuple[int, int], colour: int = 1) -> str:
    """A data URI; all of one colour. Large ones take a tenth of a second: they are made when a test asks for them."""
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG", compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Small chunks, since what becomes of the images is read as text is: here it is the images that are looked at.
    with serving(tmp_path_factory.mktemp("server"), READS, SEES, ASSAY_PREFILL_CHUNK="64") as server:
        one = chat(SEES, "What is this?", png("RGB", (64, 64)))
        server.http.post("/v1/chat/completions", json=one).raise_for_status()
        yield server


def measured(server: Server, body: dict[str, Any]) -> tuple[httpx.Response, int, float]:
    """The answer, by how much the server grew, and the longest silence for others."""
    answers: list[httpx.Response] = []
    gaps: list[float] = []

    def ask() -> None:
        answers.append(server.http.post("/v1/chat/completions", json=body))

    growth = server.growth(lambda: gaps.append(server.gap(READS, ask)))
    return answers[0], growth, gaps[0]


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (lambda: [png("RGB", (64, 64))] * 1_000, "The prompt has at least 4"),
        (
            lambda: [png("P", (5_477, 5_477))] * 70,
            "70 images of the request have 2,100 million pixels together, and at most",
        ),
        (
            lambda: [png("L", (1, 30_000_000))],
            "one side is 30,000,000 times the other, and at most 200 times is possible",
        ),
    ],
    ids=["many", "large", "narrow"],
)
def test_what_does_not_fit_is_refused_before_it_is_decoded(server: Server, images: Images, told: str) -> None:
    body = chat(SEES, "What is this?", *images())
    answer, growth, gap = measured(server, body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert growth < MOST
    assert gap < LONGEST_S


@pytest.mark.parametrize(
    "images",
    [
        lambda: [png("RGB", (64, 64), colour) for colour in range(60)],
        lambda: [png("P", (5_477, 5_477), colour) for colour in range(8)],
        lambda: [png("P", (2_000, 2_000), colour) for colour in range(40)],
    ],
    ids=["many", "large", "many-and-large"],
)
def test_images_that_fit_are_looked_at_one_after_the_other(server: Server, images: Images) -> None:
    body = chat(SEES, "What is this?", *images())
    answer, growth, gap = measured(server, body)
    assert answer.status_code == 200
    assert growth < MOST
    assert gap < LONGEST_S


@pytest.mark.parametrize(
    ("name", "count", "status", "told"),
    [
        ("mllama", 1_000, 400, "each of which attends to all of them: that takes 29"),
        (
            "llama4",
            1_000,
            400,
            "sees all images of a request in one step, and 1,000 of such sizes take more than the 120 MB",
        ),
        ("internvl", 300, 200, ""),
    ],
)
def test_no_architecture_grows_beyond_what_is_promised(
    tmp_path: Path, name: str, count: int, status: int, told: str
) -> None:
    """A thousand small images made an mllama grow by 1.3 GB, and InternVL's processor cut their tokens off."""
    widen(make_vision_model(name, tmp_path / "models" / "tiny"))
    body = chat(f"tiny/{name}", "What is this?", *[png("RGB", (64, 64), colour) for colour in range(count)])
    with serving(tmp_path, READS, f"tiny/{name}", ASSAY_MODEL_FOLDERS=json.dumps([str(tmp_path / "models")])) as server:
        answer, growth, _ = measured(server, body)
    assert answer.status_code == status, answer.text
    assert told in answer.text
    assert growth < MOST


def widen(folder: Path) -> None:
    """Give a tiny model a window that holds them."""
    config = json.loads((folder / "config.json").read_text())
    next(config[part] for part in ("text_config", "llm_config") if part in config)["max_position_embeddings"] = 65_536
    (folder / "config.json").write_text(json.dumps(config))
