"""Inspect's datasets and logs become suites, with their images; a log of ours becomes the cases that were asked."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.golden import draw
from core.golden.neighbours.incoming import read_incoming, write_incoming
from core.golden.neighbours.inspect_log import inspect_logs
from core.golden.reading import load_suite
from core.golden.reports.report import report_of
from core.golden.results import Verdict
from core.golden.suite import SuiteError
from core.tiers import Tier
from tests.core.golden.neighbours.test_promptfoo_project import told
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import keep_run

WriteSuite = Callable[[Mapping[str, str]], Path]


def red_square() -> bytes:
    out = io.BytesIO()
    draw.draw_all()["red_square.png"].save(out, "PNG")
    return out.getvalue()


def question(image: str) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": image}, {"type": "text", "text": "What colour?"}]
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]


def data_address() -> str:
    return f"data:image/png;base64,{base64.b64encode(red_square()).decode()}"


def test_images_come_along_from_addresses_attachments_and_files(tmp_path: Path) -> None:
    (tmp_path / "shape.png").write_bytes(red_square())
    samples = [
        {"id": "inside", "input": question(data_address()), "target": "red"},
        {"id": "beside", "input": question("shape.png"), "target": "red"},
        {"id": "named", "input": question("a.png"), "files": {"a.png": "shape.png"}},
        {"id": "kept", "input": question("attachment://1"), "attachments": {"1": data_address()}},
        {"id": "far", "input": question("https://example.com/a.png")},
    ]
    (tmp_path / "samples.json").write_text(json.dumps(samples))
    found = read_incoming(tmp_path / "samples.json")
    write_incoming(found, tmp_path / "suite")
    cases = {case.id: case for case in load_suite(tmp_path / "suite").cases}
    shown = {name: [(image.width, image.height) for image in case.images] for name, case in cases.items()}
    size = draw.draw_all()["red_square.png"].size
    assert shown == {"inside": [size], "beside": [size], "named": [size], "kept": [size], "far": []}
    assert cases["inside"].system == "Be brief."
    assert found.notes == ["Sample 5: the image https://example.com/a.png cannot be had here and is left out."]


def test_a_log_of_ours_becomes_its_cases_again(write_suite: WriteSuite, tmp_path: Path) -> None:
    folder = write_suite(
        {
            "vision/cat.txt": "What is this?",
            "vision/cat.png": "text_sample.png",
            "vision/cat.toml": """
temperature = 0.0
thinking = false
[[case]]
id = "a"
expect = { all = ["cat", { not = "dog" }] }
[[case]]
id = "b"
system = "Be brief."
json_schema = { type = "object" }
seed = 4
repeats = 2
expect = ["cat"]
""",
        }
    )
    before = load_suite(folder)
    kept = []
    for number, case in enumerate(before.cases):
        about = {"case": case.id, "ask_sha": case.ask_sha}
        kept += [
            attempt("a cat", **about, key=f"{number}"),
            attempt("a dog", Verdict.FAIL, **about, key=f"{number}r", repeat=1),
            attempt("nothing", **about, key=f"{number}c", control="blind"),
        ]
    ((name, text),) = inspect_logs(report_of(keep_run(tmp_path / "data", folder, *kept))).items()
    (tmp_path / name).write_text(text)
    log = json.loads(text)
    packed = tmp_path / "log.eval"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({key: one for key, one in log.items() if key != "samples"}))
        for sample in log["samples"]:
            archive.writestr(
                f"samples/{sample['id'].replace('/', '_')}_epoch_{sample['epoch']}.json", json.dumps(sample)
            )
    for source in (tmp_path / name, packed):
        write_incoming(read_incoming(source), tmp_path / source.suffix)
        after = load_suite(tmp_path / source.suffix)
        expected = {case.id: told(case).expect for case in before.cases}
        assert {case.id: told(case).expect for case in after.cases} == expected
        for one, other in zip(before.cases, after.cases, strict=True):
            assert (one.prompt, one.system, one.sampling, one.seed) == (
                other.prompt,
                other.system,
                other.sampling,
                other.seed,
            )
            assert [image.sha256 for image in one.images] == [image.sha256 for image in other.images]
        assert after.tiers[Tier.FULL].text == ("m",)


def test_inspects_own_logs_are_read(tmp_path: Path) -> None:
    """As the package itself writes them, where it is installed: uv run --group inspect pytest ..."""
    logs = pytest.importorskip("inspect_ai.log")
    inspect = pytest.importorskip("inspect_ai")
    dataset = pytest.importorskip("inspect_ai.dataset")
    model = pytest.importorskip("inspect_ai.model")
    scorer = pytest.importorskip("inspect_ai.scorer")
    content = [model.ContentImage(image=data_address()), model.ContentText(text="What colour?")]
    sample = dataset.Sample(id="shape", input=[model.ChatMessageUser(content=content)], target="red")
    (log,) = inspect.eval(
        inspect.Task(dataset=[sample], scorer=scorer.includes()),
        model="mockllm/model",
        epochs=2,
        display="none",
        log_dir=str(tmp_path / "logs"),
    )
    for ending in ("eval", "json"):
        file = tmp_path / f"log.{ending}"
        logs.write_eval_log(log, str(file))
        write_incoming(read_incoming(file), tmp_path / ending)
        (case,) = load_suite(tmp_path / ending).cases
        assert (case.id, case.prompt, len(case.images)) == ("shape", "What colour?", 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"7", "neither a list of samples nor an eval log"),
        ("a.eval", b"PK", "it is no eval log"),
        ("a.jsonl", b"7\n", "sample 1 is no table"),
    ],
)
def test_what_is_none_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SuiteError, match=said):
        read_incoming(tmp_path / name)


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    metadata = {"assay": {"case": "../../away"}}
    (tmp_path / "a.json").write_text(json.dumps([{"input": "Hello!", "metadata": metadata}]))
    with pytest.raises(SuiteError, match="leads out of"):
        write_incoming(read_incoming(tmp_path / "a.json"), tmp_path / "suite")
