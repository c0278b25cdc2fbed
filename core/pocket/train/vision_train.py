"""What the two vision models share in training: the loss on answers, and a reading aid that is thrown away later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from core.pocket.train.vision_batch import LABELS

CHARACTERS = 96
PLACES = 14
READING_AID = 0.5
"""Weight of the reading aid's loss beside the loss on answers."""

Arrays = dict[str, mx.array]
Embed = Callable[[mx.array], tuple[mx.array, mx.array]]
"""images (n, height, width, 3) in [-1, 1] -> features of tokens (n, tokens, hidden), of patches (n, patches, width)."""
Read = Callable[[mx.array, mx.array, mx.array | None], mx.array]
"""token ids (rows, length), their embeddings, positions or None -> hidden states (rows, length, hidden)."""


class Trainee(nn.Module):  # type: ignore[misc]
    """The model that is exported, and the aid: a linear layer that must tell which characters stand in each patch.

    The aid gives the vision tower a signal long before the language model reads: without it, hundreds of thousands of
    pictures pass until the first letter is right.
    """

    def __init__(self, model: nn.Module, patch_width: int) -> None:
        super().__init__()
        self.model = model
        self.aid = nn.Linear(patch_width, (LABELS - 1) * CHARACTERS + PLACES)


def adopt(trainee: nn.Module, folder: Path) -> None:
    """Take over an exported model's weights; the aid, which is not exported, starts anew."""
    weights: Any = mx.load(str(folder / "model.safetensors"))
    model: nn.Module = trainee["model"]
    model.load_weights([(name, value.astype(mx.float32)) for name, value in weights.items()], strict=False)


def halved(trainee: nn.Module, run: Callable[[], mx.array]) -> mx.array:
    """Run with the parameters in bfloat16, on a CPU in float32; gradients and the optimiser stay in float32."""
    if mx.default_device() == mx.Device(mx.cpu):
        return run()
    exact = trainee.parameters()
    trainee.update(tree_map(lambda value: value.astype(mx.bfloat16), exact))
    result = run()
    trainee.update(exact)
    return result


def answer_loss(
    batch: Arrays, prefix: str, features: mx.array, embedding: nn.Embedding, read: Read, image: int
) -> mx.array:
    """(sum of cross entropies over graded tokens, number of graded tokens) of one group of rows, as an array of two."""
    ids = batch[prefix + "ids"]
    seen = features.reshape(-1, features.shape[-1])[batch[prefix + "slots"]]
    told = embedding(ids)
    hidden = read(ids, mx.where((ids == image)[..., None], seen, told), batch.get(prefix + "positions"))
    graded = mx.take_along_axis(hidden, batch[prefix + "at"][..., None].astype(mx.int32), axis=1)
    logits = embedding.as_linear(graded).astype(mx.float32)
    weights = batch[prefix + "weights"].astype(mx.float32)
    losses = nn.losses.cross_entropy(logits, batch[prefix + "targets"])
    return mx.stack([(losses * weights).sum(), weights.sum()])


def aid_loss(trainee: Trainee, patches: mx.array, labels: mx.array) -> mx.array:
    """Cross entropy of the aid: patches with characters count as much as all the empty ones."""
    logits = trainee.aid(patches).astype(mx.float32)
    split = [CHARACTERS * i for i in range(1, LABELS)]
    labels = labels.astype(mx.int32)
    filled = (labels[..., 0] > 0).astype(mx.float32)
    total = mx.array(0.0)
    for part, logit in enumerate(mx.split(logits, split, axis=-1)):
        losses = nn.losses.cross_entropy(logit, mx.minimum(labels[..., part], logit.shape[-1] - 1))
        total = total + (losses * filled).sum() / mx.maximum(filled.sum(), 1)
        if part == 0:
            total = total + (losses * (1 - filled)).sum() / mx.maximum((1 - filled).sum(), 1)
    return total / (LABELS + 1)


def total_loss(
    trainee: Trainee, batch: Arrays, embed: Embed, embedding: nn.Embedding, read: Read, image: int
) -> mx.array:
    """The training loss of a batch as `vision_batch.make_batch` makes it."""
    features, patches = embed(normal(batch["images"]))
    answers = sum(
        (answer_loss(batch, group, features, embedding, read, image) for group in ("one_", "two_")), mx.zeros(2)
    )
    return answers[0] / answers[1] + READING_AID * aid_loss(trainee, patches, batch["labels"])


def normal(images: mx.array) -> mx.array:
    """uint8 -> [-1, 1], as both processors do with mean and deviation 0.5."""
    return images.astype(mx.float32) / 127.5 - 1


def parameters(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(int(value.size) for _, value in tree_flatten(model.parameters()))
