"""The engine against the bare libraries: `python -m tests.benchmarks.engine --json FILE`. See docs/benchmarks.md.

Prints a table and writes one flat JSON object. A measure that breaks off is reported, and the others are taken. Exit
code 0, 1 when a measure broke off; with --check, also when a bound is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from core import blas
from core.compute import on_linux_cpu
from tests.benchmarks.shapes import CPU, GPU, QUICK, Plan

Facts = dict[str, float | int | str]
Taken = dict[str, dict[str, dict[str, float]]]
"""Figures by measure and model."""


@dataclass(frozen=True)
class Bound:
    """What a measure must reach: at least or at most `limit`."""

    at_least: bool
    limit: float

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


def bounds(device: str) -> dict[str, Bound]:
    """The required figures by measure. A batch of images gains less on a CPU, where a step is bound by arithmetic.

    What ends in _plain is against the bare library in a process of its own, with the BLAS of MLX's wheel.
    """
    plain = {"prefill_plain": 8.0, "one_stream_plain": 1.5, "eight_vision_plain": 6.0}
    return {
        "prefill": Bound(True, 0.8),
        "one_stream": Bound(True, 0.97),
        "eight_streams": Bound(True, 0.95),
        "eight_vision": Bound(True, 3.0 if device == "gpu" else 1.5),
        "followup_text": Bound(False, 0.05),
        "followup_vision": Bound(False, 0.05),
        "short_behind_long": Bound(False, 2.0),
        "cancel_steps": Bound(False, 1.0),
        "queue_growth_mb": Bound(False, 50.0),
        "http_one": Bound(True, 0.97),
        "http_eight": Bound(True, 0.95),
        "http_ttft_ms": Bound(False, 5.0),
        **({name: Bound(True, limit) for name, limit in plain.items()} if device == "cpu" and on_linux_cpu() else {}),
    }


def facts(device: str) -> Facts:
    """The machine and the versions, as flat keys."""
    import mlx.core as mx

    info = mx.device_info()
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "device": device,
        "device_name": str(info.get("device_name", info.get("architecture", ""))),
        "blas": str(blas.install()),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name.replace("-", "_"): version(name) for name in ("mlx", "mlx-lm", "mlx-vlm", "transformers")},
    }


def measure(
    plans: Mapping[str, Plan],
    only: Sequence[str],
    models: Sequence[str],
    console: Console,
    save: Callable[[Taken], None],
    kept: Path | None = None,
) -> tuple[Taken, list[str]]:
    """Take the measures, one after another, each on all of its models, and `save` what there is after each.

    Models that an earlier run made in the folder `kept` are used again. Also returns the measures that broke off.
    """
    from tests.benchmarks import measures, over_http
    from tests.benchmarks.lab import Lab

    ways = measures.MEASURES | over_http.MEASURES
    taken: Taken = {}
    broken: list[str] = []
    for variable in [variable for variable in os.environ if variable.startswith("ASSAY_")]:
        del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as folder:
        os.environ["ASSAY_CONFIG"] = str(Path(folder) / "settings.toml")  # the defaults, whatever this user has set
        lab = Lab(Path(folder), kept)
        with lab.engine:
            for name, plan in plans.items():
                for shape in plan.shapes:
                    if name not in only or (models and shape.name not in models):
                        continue
                    try:
                        with console.status(f"{name} on {shape.name}"):
                            figures = ways[name](lab, shape, plan)
                        taken.setdefault(name, {})[shape.name] = figures
                        save(taken)
                    except Exception:
                        console.print_exception()
                        broken.append(f"{name} on {shape.name}")
                    lab.unload(shape)
                    gc.collect()
        lab.end_plain()
    return taken, broken


def flat(taken: Taken, limits: Mapping[str, Bound]) -> Facts:
    """<measure> is the value, <measure>_<figure> what is behind it.

    With several models, the worst one stands for the measure, and each has <measure>_<model>_<figure> besides.
    """
    results: Facts = {}
    for name, by_model in taken.items():
        pick = min if limits[name].at_least else max
        worst = pick(by_model, key=lambda model: by_model[model]["value"])
        results[name] = round(by_model[worst]["value"], 4)
        results[f"{name}_model"] = worst
        results |= {f"{name}_{key}": round(value, 6) for key, value in by_model[worst].items() if key != "value"}
        if "plain" in by_model[worst]:
            results[f"{name}_plain"] = round(min(figures["plain"] for figures in by_model.values()), 4)
        if len(by_model) > 1:
            for model, figures in by_model.items():
                results |= {f"{name}_{model}_{key}": round(value, 6) for key, value in figures.items()}
    return results


def table(taken: Taken, limits: Mapping[str, Bound]) -> Table:
    """One line for each measure and model, and one for what it is beside the library as people have it: value, bound,
    whether it holds, and the figures behind it."""
    shown = Table("measure", "model", "value", "bound", "", "figures", title="Assay's engine and the bare libraries")
    for name, by_model in taken.items():
        for model, figures in by_model.items():
            behind = ", ".join(f"{key} {value:.4g}" for key, value in figures.items() if key != "value")
            shown.add_row(name, model, *_judged(figures["value"], limits.get(name)), behind)
            if "plain" in figures:
                shown.add_row(f"{name}_plain", model, *_judged(figures["plain"], limits.get(f"{name}_plain")), "")
    return shown


def _judged(value: float, bound: Bound | None) -> tuple[str, str, str]:
    """A figure, its bound, and whether it holds."""
    verdict = "" if bound is None else "[green]holds" if bound.holds(value) else "[red]missed"
    return f"{value:.3f}", str(bound or ""), verdict


def missed(results: Facts, limits: Mapping[str, Bound]) -> list[str]:
    """The measures whose bounds do not hold."""
    return [name for name, bound in limits.items() if name in results and not bound.holds(float(results[name]))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    limits = bounds("cpu")
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go, as one flat object")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="sizes for it; the default is what MLX computes on")
    parser.add_argument("--only", nargs="+", choices=list(limits), default=list(limits), metavar="NAME")
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME", help="those of the device's models alone")
    parser.add_argument("--models-in", type=Path, metavar="FOLDER", help="keep the models there, for the next run")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: that it runs, not how fast")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    options = parser.parse_args(arguments)

    blas.install()
    import mlx.core as mx
    from transformers.utils import logging

    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    here = "gpu" if mx.default_device() == mx.Device(mx.gpu) else "cpu"
    device = options.device or here
    if device != here:
        print(f"MLX computes on the {here} here, so nothing can be measured on the {device}.", file=sys.stderr)
        return 2
    limits = bounds(device)
    console = Console()
    results = facts(device)
    plans = QUICK if options.quick else GPU if device == "gpu" else CPU

    def save(taken: Taken) -> None:
        results.update(flat(taken, limits), load_after=round(os.getloadavg()[0], 2))
        if options.json:
            options.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    taken, broken = measure(plans, options.only, options.models, console, save, options.models_in)
    console.print(table(taken, limits))
    for name in broken:
        console.print(f"[red]{name} broke off; what was raised stands above.")
    return 1 if broken or (options.check and missed(results, limits)) else 0


if __name__ == "__main__":
    sys.exit(main())
