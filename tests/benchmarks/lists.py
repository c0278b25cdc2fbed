"""Lists of 2,000 models: what `assay models list` takes over them, and a key of the workbench's filter."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from core.pocket import POCKET_MODELS

COUNT = 2_000
LAYERS = 28
TYPED = "quantised 4bit 17"
MAIN = "from tui.cli.main import main; main()"


def make_models(root: Path, count: int = COUNT) -> None:
    """`count` folders <organisation>/<name> with the files of a small chat model: 310 tensors, whose data is a hole."""
    pocket = next(model.folder for model in POCKET_MODELS if model.id == "pocket/qwen3")
    small = {file.name: file.read_bytes() for file in pocket.iterdir() if file.suffix in (".json", ".jinja")}
    tensors: dict[str, dict[str, object]] = {}
    end = 0
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "o", "gate", "up", "down", "norm", "q_norm", "k_norm", "post"):
            tensors[f"model.layers.{layer}.{name}.weight"] = {
                "dtype": "BF16",
                "shape": [64, 64],
                "data_offsets": [end, end + 8192],
            }
            end += 8192
    header = json.dumps(tensors).encode()
    for number in range(count):
        folder = root / f"organisation-{number % 20}" / f"quantised-{number:04d}-{'4bit' if number % 2 else '8bit'}"
        folder.mkdir(parents=True)
        for name, data in small.items():
            (folder / name).write_bytes(data)
        with (folder / "model.safetensors").open("wb") as weights:
            weights.write(struct.pack("<Q", len(header)) + header)
            weights.truncate(8 + len(header) + end)


def environment(folder: Path) -> dict[str, str]:
    """Settings of nobody but this measure."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")},
        "ASSAY_CONFIG": str(folder / "none.toml"),
        "ASSAY_DATA_DIR": str(folder / "data"),
        "ASSAY_CACHE_DIR": str(folder / "cache"),
        "ASSAY_HF_CACHE": str(folder / "hub"),
    }


def _cpu_s(command: list[str], env: Mapping[str, str]) -> float:
    """Processor seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", MAIN, *command], env=dict(env), stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def list_s(count: int = COUNT, rounds: int = 3) -> dict[str, float]:
    """Processor seconds of `assay models list` beyond those of one that finds no model: the first time, then again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_models(folder / "models", count)
        bare = environment(folder)
        _cpu_s(["models", "list"], bare)  # what is compiled at a first start
        none = min(_cpu_s(["models", "list"], bare) for _ in range(rounds))
        full = bare | {"ASSAY_MODEL_FOLDERS": str(folder / "models"), "ASSAY_CACHE_DIR": str(folder / "cache-2")}
        first = _cpu_s(["models", "list"], full)
        again = min(_cpu_s(["models", "list"], full) for _ in range(rounds))
        return {"list_s": first - none, "list_again_s": again - none, "list_bare_s": none}


async def _filter(count: int) -> list[float]:
    """Milliseconds of processor time for each key typed into the filter, until its frame has been drawn."""
    from textual import events

    from core.catalog import ModelKind
    from core.settings import Settings
    from tests.tui.scripted import ScriptedCatalog, ScriptedEngine, ScriptedServer, model
    from tui.app import AssayApp
    from tui.run import spare_the_collector
    from tui.services import Services
    from tui.state import Phase

    infos = [
        model(f"organisation-{number % 20}/quantised-{number:04d}-{4 * (1 + number % 2)}bit", ModelKind.TEXT, 10**9)
        for number in range(count)
    ]
    engine = ScriptedEngine(catalog=ScriptedCatalog(infos))
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(data_dir=Path(name))
        app = AssayApp(
            lambda: settings,
            lambda own: Services(own, engine, ScriptedServer(), None, None),  # type: ignore[arg-type]
            when_settled=spare_the_collector,
        )
        async with app.run_test(size=(160, 45)) as pilot:
            while not (app.furnished and app.state.phase is Phase.READY and app.models.table.selected):
                await pilot.pause(0.05)
            await pilot.press("f2", "slash")
            spent = []
            for typed in [*TYPED, *[None] * len(TYPED)]:
                await asyncio.sleep(0.05)
                before, began = app.models.filter_box.value, time.process_time()
                # Not by the pilot, which waits for every widget after a key and takes as long as the key itself.
                app.post_message(events.Key("backspace", None) if typed is None else events.Key(typed, typed))
                while app.models.filter_box.value == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                drawn = asyncio.Event()
                app.call_after_refresh(drawn.set)
                await drawn.wait()
                await asyncio.sleep(0.05)  # the frame
                spent.append(1000 * (time.process_time() - began))
            return spent


def filter_ms(count: int = COUNT) -> dict[str, float]:
    """Processor milliseconds of a key of the filter over `count` models: the 95th percentile, and the median."""
    spent = asyncio.run(_filter(count))
    return {"filter_ms": statistics.quantiles(spent, n=20)[-1], "filter_median_ms": statistics.median(spent)}
