"""Model folders with pipes, devices, links to them and files without end, looked at in processes that may be lost."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import pytest

from core.catalog import Catalog, fingerprint, identity
from core.catalog.bounds import CONFIG, TEMPLATE, VOCABULARY, unfit
from core.pocket import POCKET_MODELS
from core.regular_files import UnfitFile, open_regular, read_regular

GB = 1_000_000_000
LIMITED = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({4 * GB}, {4 * GB}))\n"
"""A file that is read without end ends in MemoryError, and not the machine."""

LIST = """
import json, sys
from pathlib import Path
from core.catalog import Catalog
from core.settings import Settings
models, cache, data = map(Path, sys.argv[1:])
listed = Catalog(Settings(model_folders=[models], hf_cache=cache, data_dir=data)).list(all=True)
print(json.dumps({info.id: info.problem for info in listed if info.source != "pocket"}))
"""

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "additional_chat_templates/tool_use.jinja",
    "preprocessor_config.json",
    "adapter_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "README.md",
)


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


def make_socket(file: Path) -> None:
    with TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:  # a socket's path is 107 bytes at most
        made.bind(f"{short}/s")
        os.rename(f"{short}/s", file)


def link_to_zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


def link_to_the_system(file: Path) -> None:
    file.symlink_to("/proc/version")


def link_to_itself(file: Path) -> None:
    file.symlink_to(file.name)


def make_folder(file: Path) -> None:
    file.mkdir()


def make_sparse(file: Path) -> None:
    with file.open("wb") as made:
        made.truncate(10 * GB)


KINDS = {
    make_pipe: "it is a named pipe, not a regular file",
    make_socket: "it is a socket, not a regular file",
    link_to_zeros: "it is a device, not a regular file",
    link_to_the_system: "it says that it is empty, and is not",
    link_to_itself: "Too many levels of symbolic links",
    make_folder: "Is a directory",
    make_sparse: "it has 10.00 GB, and ",
}
HARMLESS = {(make_sparse, "model.safetensors"): "model.safetensors is no safetensors file"} | dict.fromkeys(
    (make, "README.md") for make in (make_sparse, make_folder, link_to_the_system)
)
"""What is told otherwise, or is nothing to complain of, as nobody reads it."""


def name_of(make: Any, file: str) -> str:
    return f"{make.__name__}-{FILES.index(file)}"


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What a list says of a model for each file and each kind of thing in its place."""
    place = tmp_path_factory.mktemp("hostile")
    model = next(model for model in POCKET_MODELS if model.id == "pocket/qwen3").folder
    for make in KINDS:
        for file in FILES:
            made = place / "models" / name_of(make, file)
            shutil.copytree(model, made)
            (made / file).unlink(missing_ok=True)
            (made / file).parent.mkdir(exist_ok=True)
            make(made / file)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + LIST, *(str(place / name) for name in ("models", "cache", "data"))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, str | None] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_no_regular_file_is_told_and_not_read(problems, make, file):
    problem = problems[name_of(make, file)]
    if (make, file) in HARMLESS:
        assert problem == HARMLESS[make, file]
        return
    assert problem is not None
    assert f"{file} cannot be read: {KINDS[make]}" in problem
    if make is make_sparse:
        assert any(f"is read up to {limit}" in problem for limit in ("16.8 MB", "17 MB", "67 MB", "2.1 MB", "0.27 GB"))


def copy_of(model_id: str, folder: Path) -> Path:
    shutil.copytree(next(model for model in POCKET_MODELS if model.id == model_id).folder, folder)
    return folder


def test_links_out_of_the_folder_are_followed(catalog, add_to_cache, tmp_path):
    add_to_cache("org/name", copy_of("pocket/qwen3", tmp_path / "model"))
    info = catalog.get("org/name")
    assert info.problem is None
    assert (info.path / "config.json").is_symlink()


def test_what_hides_and_what_is_not_there_counts_for_nothing(catalog, tmp_path):
    folder = copy_of("pocket/qwen3", tmp_path / "models" / "mine")
    (folder / ".git").mkdir()
    make_socket(folder / ".git" / "fsmonitor--daemon.ipc")
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "README.md").symlink_to("nowhere")
    assert catalog.get("mine").problem is None


def test_folders_a_thousand_deep_end_no_list(catalog, tmp_path, monkeypatch):
    folder = copy_of("pocket/qwen3", tmp_path / "models" / "mine")
    monkeypatch.chdir(folder)
    for _ in range(1200):  # from within: the whole path is longer than the system takes
        os.mkdir("d")
        os.chdir("d")
    try:
        assert catalog.get("mine").problem is None
        assert unfit(folder) is None
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)  # pytest's own way is not up to it


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_is_closed_to_us_is_told(catalog, tmp_path):
    folder = copy_of("pocket/qwen3", tmp_path / "models" / "mine")
    (folder / "generation_config.json").touch()
    (folder / "generation_config.json").chmod(0)
    assert "generation_config.json cannot be read: Permission denied" in catalog.get("mine").problem


@pytest.mark.parametrize(
    ("name", "bound"), [("config.json", CONFIG), ("chat_template.jinja", TEMPLATE), ("tokenizer.json", VOCABULARY)]
)
def test_a_file_may_have_its_limit_and_no_byte_more(tmp_path, name, bound):
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, bound.limit)
    assert unfit(tmp_path) is None
    os.truncate(tmp_path / name, bound.limit + 1)
    assert f", and {bound.kind} is read up to " in (unfit(tmp_path) or "")


def test_a_file_that_grows_while_it_is_read_ends_where_it_ended(tmp_path):
    file, enough = tmp_path / "config.json", Event()
    file.write_bytes(b"x" * 1000)

    def grow() -> None:
        with file.open("ab", buffering=0) as growing:
            while not enough.is_set() and growing.tell() < GB // 10:
                growing.write(b"x" * 1000)

    thread = Thread(target=grow)
    thread.start()
    try:
        for _ in range(20):
            assert len(read_regular(file, GB, "a configuration")) <= file.stat().st_size
    finally:
        enough.set()
        thread.join()


def test_a_pipe_with_a_writer_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        with pytest.raises(UnfitFile, match="named pipe"):
            open_regular(tmp_path / "pipe")
    finally:
        os.close(writer)


def test_digests_leave_out_what_is_no_file(catalog: Catalog, tmp_path: Path) -> None:
    folder = copy_of("pocket/qwen3", tmp_path / "models" / "mine")
    info = catalog.get("mine")
    before = identity(info), fingerprint(info)
    os.mkfifo(folder / "vocab.json")
    (folder / "merges.txt").symlink_to("/dev/zero")
    assert (identity(info), fingerprint(info)) == before


ODD = "two\nlines [x] *?"
LOAD = """
import json, os, shutil, sys
from pathlib import Path
from core.catalog import Catalog
from core.engine import Engine
from core.errors import EngineError
from core.settings import Settings
models, cache, data = map(Path, sys.argv[1:])
ODD = "two\\nlines [x] *?"
settings = Settings(model_folders=[models], hf_cache=cache, data_dir=data)
catalog = Catalog(settings)
assert not [info for info in catalog.list() if info.problem]
os.remove(models / "pipe" / "tokenizer_config.json")
os.mkfifo(models / "pipe" / "tokenizer_config.json")
os.remove(models / "zeros" / "tokenizer.json")
os.symlink("/dev/zero", models / "zeros" / "tokenizer.json")
shutil.rmtree(models / "gone")
told = {}
with Engine(settings, catalog) as engine:
    for name in ("pipe", "zeros", "gone", ODD):
        try:
            told[name] = ["loaded", engine.load(name).result().id]
        except EngineError as error:
            told[name] = [error.code, error.message]
told["listed"] = [info.id for info in catalog.list() if info.source != "pocket"]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What an engine says of models that changed after they were listed."""
    place = tmp_path_factory.mktemp("changed")
    for name in ("pipe", "zeros", "gone", ODD):
        copy_of("pocket/qwen3", place / "models" / name)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *(str(place / name) for name in ("models", "cache", "data"))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_libraries_are_given_no_folder_with_a_pipe_or_a_device(loaded):
    assert loaded["pipe"] == [
        "model_broken",
        "pipe cannot be loaded: tokenizer_config.json cannot be read: it is a named pipe, not a regular file.",
    ]
    assert loaded["zeros"] == [
        "model_broken",
        "zeros cannot be loaded: tokenizer.json cannot be read: it is a device, not a regular file.",
    ]


def test_a_name_that_globs_would_read_otherwise_is_loaded(loaded):
    assert loaded[ODD] == ["loaded", ODD]


def test_a_listed_model_whose_folder_is_gone_is_not_found(loaded):
    code, message = loaded["gone"]
    assert code == "model_not_found"
    assert "gone is not on this machine any more" in message
    assert "gone" not in loaded["listed"]


def test_a_link_to_itself_among_the_models_breaks_no_list(catalog, build, tmp_path):
    build(tmp_path / "models" / "whole")
    link_to_itself(tmp_path / "models" / "loop")
    assert [info.id for info in catalog.list() if info.source != "pocket"] == ["whole"]


def test_a_branch_that_is_a_pipe_holds_up_no_list(cache_dir, tmp_path):
    repo = cache_dir / "models--org--name"
    copy_of("pocket/qwen3", repo / "snapshots" / ("a" * 40))
    (repo / "refs").mkdir()
    os.mkfifo(repo / "refs" / "main")
    code = LIMITED + LIST
    folders = [tmp_path / "models", cache_dir, tmp_path / "data"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, folders)], capture_output=True, timeout=30)
    assert json.loads(done.stdout) == {"org/name": None}, done.stderr


SUITE = """
import sys
from pathlib import Path
from core.golden.reading import read_suite
print("\\n".join(str(problem) for problem in read_suite(Path(sys.argv[1]))[1]))
"""


def test_a_suite_of_pipes_and_devices_is_told(tmp_path: Path) -> None:
    (tmp_path / "whole.txt").write_text("What is this?")
    os.mkfifo(tmp_path / "whole.png")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "zeros.txt").symlink_to("/dev/zero")
    (tmp_path / "other.txt").write_text("And this?")
    (tmp_path / "other.toml").symlink_to("/dev/zero")
    make_sparse(tmp_path / "long.txt")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + SUITE, str(tmp_path)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    for file, why in {
        "pipe.txt": "it is a named pipe, not a regular file",
        "zeros.txt": "it is a device, not a regular file",
        "other.toml": "it is a device, not a regular file",
        "long.txt": "it has 10.00 GB, and a text of a suite is read up to 16 MB",
    }.items():
        assert any(file in line and f"cannot be read: {why}." in line for line in done.stdout.splitlines())
    assert f"There is no image {tmp_path / 'whole.png'}" in done.stdout


IMPORT = """
import sys
from pathlib import Path
from core.errors import InvalidRequest
from core.importing import import_gguf
try:
    import_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
except InvalidRequest as error:
    print(error)
"""


@pytest.mark.parametrize("make", [make_pipe, make_socket, link_to_zeros, link_to_itself, make_folder, make_sparse])
def test_no_gguf_that_is_no_file_is_waited_for(tmp_path, make):
    make(tmp_path / "model.gguf")
    arguments = [str(tmp_path / "model.gguf"), str(tmp_path / "models")]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + IMPORT, *arguments], capture_output=True, text=True, timeout=30
    )
    told = "is no GGUF file" if make is make_sparse else f"cannot be used: {KINDS[make]}."
    assert told in done.stdout, done.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("counts", [(1 << 40, 1), (1, 1 << 40), (0, 65_536), (262_144, 1)])
def test_a_gguf_of_nothing_but_zeros_is_given_up_soon(tmp_path, counts):
    make_sparse(tmp_path / "model.gguf")
    with (tmp_path / "model.gguf").open("r+b") as header:
        header.write(struct.pack("<4sIQQ", b"GGUF", 3, *counts))
    (tmp_path / "models").mkdir()
    arguments = [str(tmp_path / "model.gguf"), str(tmp_path / "models")]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import shutil; shutil.disk_usage = lambda _: shutil._ntuple_diskusage(0, 0, 1 << 50)\n" + IMPORT,
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "model.gguf" in done.stdout, done.stderr
    assert not list((tmp_path / "models").iterdir())
