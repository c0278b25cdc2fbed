"""The command line of the training program: train, export or measure the pocket models."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from core import blas
from core.pocket import MODELS_DIR
from core.settings import load_settings

RECIPES = {
    "text": ("core.pocket.train.text_recipe:recipe", "qwen3"),
    "vision-quick": ("core.pocket.train.vision_quick:recipe", "qwen2-vl"),
    "vision-full": ("core.pocket.train.vision_full:recipe", "gemma3"),
}
"""Name on the command line -> the `module:function` that returns the recipe, and the model's folder."""


def parser() -> argparse.ArgumentParser:
    """Options of `python -m core.pocket.train`."""
    top = argparse.ArgumentParser(prog="python -m core.pocket.train", description="Train the pocket models.")
    top.add_argument("what", choices=[*RECIPES, "all", "average", "measure"])
    top.add_argument("--steps", type=int, help="optimiser steps (default: the recipe's)")
    top.add_argument("--batch", type=int, help="tokens (text) or samples (vision) in a batch (default: the recipe's)")
    top.add_argument(
        "--out",
        type=Path,
        default=MODELS_DIR,
        help="folder of model folders to write, or to measure (default: shipped)",
    )
    top.add_argument("--work", type=Path, default=Path(".training"), help="folder for checkpoints")
    top.add_argument(
        "--start", type=Path, help="begin with the weights in this folder of model folders, not with new ones"
    )
    top.add_argument("--rate", type=float, help="peak learning rate (default: the recipe's)")
    top.add_argument("--freeze", help="leave the part of this name untrained: vision_tower")
    top.add_argument("--resume", action="store_true", help="go on from the checkpoint in the work folder")
    top.add_argument("--stop-at", type=int, help="stop after this step of the schedule; checkpoint only")
    top.add_argument("--export-only", action="store_true", help="write the model folder from the checkpoint, untrained")
    top.add_argument("--seed", type=int, default=0)
    top.add_argument("--device", choices=["cpu", "gpu"], help="default: gpu where there is one")
    top.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes that make data")
    top.add_argument("--of", type=Path, nargs="+", help="average: folders of model folders to take the mean of")
    top.add_argument("--only", help="measure: only models whose id contains this")
    top.add_argument("--json", type=Path, help="measure: also write the results here")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line asks."""
    settings = load_settings()
    blas.install(settings.cpu_openblas, settings.cache_dir)
    import mlx.core as mx
    from rich.console import Console

    from core.pocket.train import export, loop, measure

    console = Console()
    if arguments.device:
        mx.set_default_device(mx.cpu if arguments.device == "cpu" else mx.gpu)
    if arguments.what == "measure":
        results = measure.measure_all(arguments.out, arguments.only)
        measure.show(results, console)
        if arguments.json:
            measure.write_json(results, arguments.json)
        return
    if arguments.what == "average":
        for folder in sorted(set.intersection(*({path.name for path in models.iterdir()} for models in arguments.of))):
            export.average([models / folder for models in arguments.of], arguments.out / folder)
            console.print(f"wrote {arguments.out / folder}")
        return
    for name in RECIPES if arguments.what == "all" else [arguments.what]:
        where, folder = RECIPES[name]
        recipe = measure.load_function(where)()
        if arguments.rate:
            recipe = replace(recipe, learning_rate=arguments.rate)
        model = loop.train(
            recipe,
            work=arguments.work / name,
            steps=arguments.steps,
            batch=arguments.batch,
            seed=arguments.seed,
            start=arguments.start / folder if arguments.start else None,
            freeze=arguments.freeze,
            stop_at=0 if arguments.export_only else arguments.stop_at,
            resume=arguments.resume or arguments.export_only,
            workers=arguments.workers,
            console=console,
        )
        if arguments.stop_at is None:
            recipe.export(model, arguments.out / folder)
            console.print(f"{name}: wrote {arguments.out / folder}")


if __name__ == "__main__":
    run(parser().parse_args())
