"""Training of the vision models: the batched forward pass is the class's own, and a run resumes as if never stopped."""

import random
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map
from mlx_vlm.utils import prepare_inputs, should_add_special_tokens
from PIL import Image

from core.pocket import MODELS_DIR
from core.pocket.train import loop, vision_full, vision_quick
from core.pocket.train import vision_conversations as talk
from core.pocket.train.vision_answers import Answerer
from core.pocket.train.vision_batch import FULL, QUICK, Geometry, encode, lesson, make_batch
from core.pocket.train.vision_scenes import Look, any_scene
from core.pocket.train.vision_train import normal

MODELS = [("qwen2-vl", QUICK, vision_quick), ("gemma3", FULL, vision_full)]


@pytest.fixture(autouse=True, scope="module")
def on_the_cpu() -> None:
    mx.set_default_device(mx.cpu)


@pytest.mark.parametrize(("name", "geometry", "model_module"), MODELS)
def test_training_writes_prompts_as_template_and_processor_do(
    name: str, geometry: Geometry, model_module: ModuleType
) -> None:
    answerer = Answerer(MODELS_DIR / name)
    config, processor = answerer.model.config, answerer.processor
    rng = random.Random(1)
    for _ in range(12):
        first, second = (any_scene(rng, Look(), 0.5) for _ in range(2))
        one, two = talk.one_image(rng, first), talk.two_images(rng, first, second)
        conversation = rng.choice((talk.no_image(rng), one, two))
        messages: list[dict[str, Any]] = []
        if conversation.system:
            messages.append({"role": "system", "content": conversation.system})
        for turn in conversation.turns:
            pictures: list[dict[str, str]] = [{"type": "image"} for _ in turn.images]
            words = [{"type": "text", "text": turn.question}]
            messages.append({"role": "user", "content": pictures + words if turn.image_first else words + pictures})
            messages.append({"role": "assistant", "content": talk.answer_text(turn.answer)})
        text = processor.tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
        inputs = prepare_inputs(
            processor,
            images=[scene.drawing.image for turn in conversation.turns for scene in turn.images] or None,
            prompts=text,
            image_token_index=getattr(config, "image_token_index", None),
            add_special_tokens=should_add_special_tokens(config.model_type, processor),
        )
        row = encode(geometry.chat, conversation, 256 // geometry.merge**2, last_only=True)
        asked = [token for token, graded in zip(row.ids, row.graded, strict=True) if not graded]
        assert inputs["input_ids"][0].tolist() == asked


def test_pictures_of_any_aspect_come_on_the_grid_that_the_processor_gives_them() -> None:
    processor = Answerer(MODELS_DIR / "qwen2-vl").processor.image_processor
    rng = random.Random(4)
    seen = set()
    for index in range(6000, 6060):
        grid = QUICK.grid(index)
        picture = any_scene(rng, lesson(rng, QUICK, index), 0.5).drawing.image
        found = processor([picture])["image_grid_thw"].tolist()[0][1:]
        assert tuple(found) == grid or min(abs(a - b) for a, b in zip(found, grid, strict=True)) <= 2
        seen.add(grid)
    assert seen == set(QUICK.grids)
    for size in ((640, 480), (480, 640), (1280, 720), (720, 1280), (600, 400), (400, 600), (512, 512)):
        found = processor([Image.new("RGB", size)])["image_grid_thw"].tolist()[0][1:]
        assert tuple(found) == QUICK.grid_of(size[0] / size[1])


@pytest.mark.parametrize("grid", QUICK.grids[:3])
def test_the_quick_models_batched_forward_is_the_classes_own(grid: tuple[int, int]) -> None:
    index = next(i for i in range(2000, 2100) if QUICK.grid(i) == grid)
    batch = {name: mx.array(value) for name, value in make_batch(QUICK, 0, index, 4).items()}
    model = vision_quick.build(1).model
    images = normal(batch["images"])
    features, _ = vision_quick.embed(model, images)
    rows, columns = grid
    frames = images.reshape(len(images), rows // 2, 2, 12, columns // 2, 2, 12, 3).transpose(0, 1, 4, 2, 5, 7, 3, 6)
    flat = mx.repeat(frames[..., None, :, :], 2, axis=-3).reshape(len(images), rows * columns, -1)
    _compare(model, vision_quick, batch, features, model.config.image_token_id, lambda first, held: {
        "pixel_values": flat[first : first + held].reshape(held * rows * columns, -1),
        "image_grid_thw": mx.array([[1, rows, columns]] * held),
    })  # fmt: skip


def test_the_full_models_batched_forward_is_the_classes_own() -> None:
    batch = {name: mx.array(value) for name, value in make_batch(FULL, 0, 2000, 3).items()}
    model = vision_full.build(1).model
    images = normal(batch["images"])
    features, _ = vision_full.embed(model, images)
    _compare(model, vision_full, batch, features, model.config.image_token_index, lambda first, held: {
        "pixel_values": images[first : first + held].transpose(0, 3, 1, 2),
    })  # fmt: skip


def _compare(
    model: Any, module: ModuleType, batch: dict[str, mx.array], features: mx.array, image: int, pictures: Any
) -> None:
    """Logits of each row's prompt, from the batched forward pass and from the class."""
    if "lm_head" in model.language_model:
        model.language_model.lm_head.weight = model.language_model.model.embed_tokens.weight
    tokens = features.shape[1]
    seen = features.reshape(-1, features.shape[-1])
    embedding = model.language_model.model.embed_tokens
    starts = {"one_": (0, 1), "two_": (len(batch["one_ids"]), 2)}
    for group, (first, images) in starts.items():
        ids = batch[group + "ids"]
        told = mx.where((ids == image)[..., None], seen[batch[group + "slots"]], embedding(ids))
        ours = embedding.as_linear(module.read(model, ids, told, batch.get(group + "positions")))
        for number in range(len(ids)):
            length = int(batch[group + "at"][number].min()) + 1  # the prompt: what comes before the first graded token
            row = ids[number : number + 1, :length]
            held = int((row == image).sum()) // tokens
            extra = pictures(first + number * images, held) if held else {}
            theirs = model.get_input_embeddings(row, mask=mx.ones_like(row), **extra)
            places = {} if theirs.position_ids is None else {"position_ids": theirs.position_ids}
            logits = model.language_model(row, inputs_embeds=theirs.inputs_embeds, **places).logits
            assert mx.abs(ours[number, :length] - logits[0]).max().item() < 1e-3


def test_a_resumed_run_gives_the_same_weights(tmp_path: Path) -> None:
    recipe = vision_quick.recipe()
    whole = loop.train(recipe, work=tmp_path / "whole", steps=3, batch=2)
    loop.train(recipe, work=tmp_path / "parts", steps=3, batch=2, stop_at=1)
    resumed = loop.train(recipe, work=tmp_path / "parts", steps=3, batch=2, resume=True)
    for (name, one), (_, other) in zip(
        tree_flatten(whole.parameters()), tree_flatten(resumed.parameters()), strict=True
    ):
        assert (one == other).all().item(), name


def test_workers_make_the_same_batches_and_leave_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = list(loop.batches(vision_quick.make_batch, 5, 2, 0, 4, workers=0))
    there = list(loop.batches(vision_quick.make_batch, 5, 2, 0, 4, workers=2))
    assert len(here) == 4
    for one, other in zip(here, there, strict=True):
        assert one.keys() == other.keys()
        assert all((one[name] == other[name]).all() for name in one)
    assert not list(tmp_path.iterdir())


def test_an_exported_model_can_be_trained_further(tmp_path: Path) -> None:
    trainee = vision_full.build(3)
    vision_full.export(trainee, tmp_path / "gemma3")
    adopted = vision_full.build(4)
    vision_full.adopt(adopted, tmp_path / "gemma3")
    exact = dict(tree_flatten(trainee.model.parameters()))
    for name, value in tree_flatten(adopted.model.parameters()):
        if not name.startswith("language_model.lm_head"):
            assert np.allclose(np.array(value), np.array(exact[name]), atol=2e-3), name


def test_gradients_stay_in_full_precision() -> None:
    trainee = vision_quick.build(0)
    batch = {name: mx.array(value) for name, value in make_batch(QUICK, 0, 0, 2).items()}
    before = tree_map(lambda value: value.dtype, trainee.parameters())
    loss = vision_quick.loss(trainee, batch)
    assert loss.dtype == mx.float32
    assert tree_map(lambda value: value.dtype, trainee.parameters()) == before
