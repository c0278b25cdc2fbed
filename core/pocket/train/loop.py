"""The training loop of all pocket models: a seeded AdamW run that can stop and resume without changing its result.

The schedule counts steps, never seconds, and every batch is a function of the seed and its index; so the same seed on
the same device gives the same weights, however many workers make the data and however often the run was resumed.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.pocket.train.recipe import Batch, Recipe

CLIP_NORM = 1.0
SAVE_SECONDS = 60.0
REPORT_SECONDS = 10.0
FINAL_SHARE = 0.01
"""The learning rate at the last step, as a share of the peak."""


class ResumeError(RuntimeError):
    """A checkpoint does not belong to the run that was asked for."""


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up (a tenth of a short run at most), then half a cosine from the peak to FINAL_SHARE of it."""
    warm = min(1.0, (step + 1) / max(1, min(recipe.warmup, steps // 10)))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return recipe.learning_rate * warm * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)


def batches(
    make_batch: Callable[[int, int, int], Batch], seed: int, size: int, start: int, stop: int, workers: int
) -> Iterator[Batch]:
    """Yield batches start..stop-1 in order, made ahead by worker processes (0: made here, when asked for).

    Workers hand batches over as files in the folder for temporary files (TMPDIR): through a pipe, the 37 MB of a batch
    of pictures took 0.15 s, mostly with the lock held that the training step needs, and files take a third of that.
    """
    if workers == 0:
        for index in range(start, stop):
            yield make_batch(seed, index, size)
        return
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="batches", ignore_cleanup_errors=True) as folder,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
    ):
        waiting: deque[Future[Path]] = deque()
        upcoming = iter(range(start, stop))
        try:
            for index in upcoming:
                waiting.append(pool.submit(_write_batch, Path(folder), make_batch, seed, index, size))
                if len(waiting) >= 3 * workers:
                    yield _take(waiting.popleft().result())
            while waiting:
                yield _take(waiting.popleft().result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_batch(folder: Path, make_batch: Callable[[int, int, int], Batch], seed: int, index: int, size: int) -> Path:
    path = folder / str(index)
    path.mkdir()
    for name, array in make_batch(seed, index, size).items():
        np.save(path / f"{name}.npy", array)
    return path


def _take(path: Path) -> Batch:
    """The batch as views of its files, which are gone from the folder already: a mapping keeps what it maps."""
    batch: Batch = {file.stem: np.load(file, mmap_mode="r") for file in path.iterdir()}
    shutil.rmtree(path)
    return batch


def save_checkpoint(path: Path, model: nn.Module, optimiser: optim.Optimizer, run: dict[str, Any]) -> None:
    """Write weights, optimiser state and the run's description to one safetensors file, atomically."""
    arrays = {f"model.{name}": value for name, value in tree_flatten(model.parameters())}
    arrays |= {f"optimiser.{name}": value for name, value in tree_flatten(optimiser.state)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("writing.safetensors")
    mx.save_safetensors(str(temporary), arrays, metadata={"run": json.dumps(run)})
    os.replace(temporary, path)


def load_checkpoint(path: Path, model: nn.Module, optimiser: optim.Optimizer) -> dict[str, Any]:
    """Restore what `save_checkpoint` wrote and return the run's description."""
    loaded: Any = mx.load(str(path), return_metadata=True)
    arrays, metadata = loaded
    weights = [(name.removeprefix("model."), value) for name, value in arrays.items() if name.startswith("model.")]
    state = [(name.removeprefix("optimiser."), value) for name, value in arrays.items() if name.startswith("optim")]
    model.load_weights(weights)
    optimiser.state = tree_unflatten(state)
    run: dict[str, Any] = json.loads(metadata["run"])
    return run


def train(
    recipe: Recipe,
    *,
    work: Path,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    start: Path | None = None,
    freeze: str | None = None,
    stop_at: int | None = None,
    resume: bool = False,
    workers: int = 0,
    console: Console | None = None,
) -> nn.Module:
    """Train and return the model; checkpoints go to `work`.

    `start` is the folder of an exported model to train further; parts whose name ends in
    `freeze` stay as they are. `stop_at` ends the run early, at a step of the full
    schedule, with a checkpoint. Raises ResumeError when the checkpoint was written by another run (recipe, seed, steps
    or batch differ), FloatingPointError when the loss is not a number.
    """
    steps, batch = steps or recipe.steps, batch or recipe.batch
    asked = {"recipe": recipe.name, "seed": seed, "steps": steps, "batch": batch}
    checkpoint = work / "checkpoint.safetensors"
    mx.random.seed(seed)
    model = recipe.build(seed)
    if start and recipe.adopt:
        recipe.adopt(model, start)
    model.train()
    for name, part in model.named_modules():
        if freeze and name.endswith(freeze):
            part.freeze()
    optimiser = optim.AdamW(
        recipe.learning_rate, betas=[0.9, 0.98], weight_decay=recipe.weight_decay, bias_correction=True
    )
    optimiser.init(model.trainable_parameters())
    first = 0
    if resume and checkpoint.is_file():
        run = load_checkpoint(checkpoint, model, optimiser)
        first = run.pop("step")
        if run != asked:
            raise ResumeError(f"The checkpoint in {work} belongs to {run}, not to {asked}. Use another --work folder.")
    last = min(steps, stop_at if stop_at is not None else steps)
    gradients = nn.value_and_grad(model, recipe.loss)

    def one_step(data: Batch, step: int) -> mx.array:
        optimiser.learning_rate = learning_rate(recipe, step, steps)
        loss: mx.array
        loss, grads = gradients(model, {name: mx.array(value) for name, value in data.items()})
        grads, _ = optim.clip_grad_norm(grads, CLIP_NORM)
        optimiser.update(model, grads)
        mx.async_eval(loss, model.parameters(), optimiser.state)  # type: ignore[no-untyped-call]
        return loss

    past = recipe.steps if start else 0  # a second run goes on with new data, past the lessons of the first
    source = batches(recipe.make_batch, seed, batch, past + first, past + last, workers)
    saved = time.monotonic()
    previous: mx.array | None = None
    with _Reporter(recipe.name, first, last, console or Console()) as report:
        for step, data in enumerate(source, first):
            loss = one_step(data, step)
            if previous is not None:  # one step behind, so that the next batch is queued while the device works
                report(step, previous)
            previous = loss
            if time.monotonic() - saved > SAVE_SECONDS:
                save_checkpoint(checkpoint, model, optimiser, asked | {"step": step + 1})
                saved = time.monotonic()
        if previous is not None:
            report(last, previous)
    if last > first:
        save_checkpoint(checkpoint, model, optimiser, asked | {"step": last})
    return model


class _Reporter:
    """Shows the smoothed loss: a bar on a terminal, a line every REPORT_SECONDS elsewhere."""

    def __init__(self, name: str, first: int, last: int, console: Console) -> None:
        self.name, self.last, self.console = name, last, console
        self.loss: float | None = None
        self.first, self.began, self.told = first, time.monotonic(), 0.0
        counts = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        loss_column = TextColumn("{task.fields[loss]}")
        self.bar = Progress(*counts, loss_column, console=console) if console.is_terminal else None
        self.task = self.bar.add_task(name, total=last, completed=first, loss="") if self.bar else None

    def __enter__(self) -> _Reporter:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, done: int, measured: mx.array) -> None:
        loss: Any = measured.item()
        if not math.isfinite(loss):
            raise FloatingPointError(f"The loss of {self.name} became {loss} at step {done}: lower the learning rate.")
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=done, loss=f"loss {self.loss:.4f}")
        elif time.monotonic() - self.told > REPORT_SECONDS or done == self.last:
            self.told = time.monotonic()
            rate = (done - self.first) / max(1e-9, self.told - self.began)
            line = f"{self.name} step {done}/{self.last} loss {self.loss:.4f}, {rate:.1f} steps/s"
            self.console.print(line, soft_wrap=True)
