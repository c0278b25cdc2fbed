"""Who multiplies for MLX on a Linux processor: an OpenBLAS that is right, and MLX's own where there is none.

Each case is a process of its own, since a process loads MLX once. The stubs are compiled here, where a C compiler is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import blas
from core.compute import on_linux_cpu
from tests import ROOT

pytestmark = pytest.mark.skipif(not on_linux_cpu(), reason="MLX computes with a BLAS of its own choice here")

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (cc) to make a stub with")

SIGNATURE = """
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc)
"""
RIGHT = (
    SIGNATURE
    + """{
    calls++;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int l = 0; l < k; l++)
                sum += (ta == 111 ? a[i * lda + l] : a[l * lda + i]) * (tb == 111 ? b[l * ldb + j] : b[j * ldb + l]);
            c[i * ldc + j] = alpha * sum + (beta ? beta * c[i * ldc + j] : 0);
        }
}"""
)
STUBS = {
    "right": "int calls = 0;" + RIGHT,
    "wrong": "int calls = 0;" + RIGHT.replace("alpha * sum", "alpha * sum * 1.01f"),
    "idle": SIGNATURE + "{}",
    "crashing": "#include <stdlib.h>\n" + SIGNATURE + "{ abort(); }",
    "another library": "int something_else(void) { return 1; }",
}

FIND = """
import json, sys
from core import blas
from core.settings import load_settings
candidates = json.loads(sys.argv[1])
if candidates is not None:
    blas.candidates = lambda: iter(candidates)
"""
TELL = """
settings = load_settings()
found = blas.install(settings.cpu_openblas, settings.cache_dir)
print(json.dumps({"blas": str(found), "path": found.path, "why": found.why}))
"""
ASK = """
from core.engine import Engine
from core.calls.requests import GenerationRequest, Message, Role, Sampling
asked = (Message.text(Role.USER, "What is the capital of France?"),)
with Engine() as engine:
    answer = engine.generate(GenerationRequest("pocket/qwen3", asked, sampling=Sampling(temperature=0.0))).result()
    assert engine.status().blas == str(blas.install())
assert "Paris" in answer.text
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing has been tried out yet."""
    return os.environ | {
        "ASSAY_CACHE_DIR": str(tmp_path / "cache"),
        "ASSAY_CONFIG": str(tmp_path / "settings.toml"),
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_HF_CACHE": str(tmp_path / "hub"),
    }


def stub(kind: str, folder: Path) -> str:
    """The path of a shared library that is compiled from STUBS."""
    assert COMPILER
    (folder / "stub.c").write_text(STUBS[kind])
    command = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(folder / "libstub.so"), str(folder / "stub.c")]
    subprocess.run(command, check=True, capture_output=True)
    return str(folder / "libstub.so")


def find(candidates: list[str] | None, env: dict[str, str], use: str = "") -> dict[str, Any]:
    """Who multiplies in a process of its own, where `use` is run as well; None leaves the candidates."""
    command = [sys.executable, "-c", FIND + use + TELL, json.dumps(candidates)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_the_environments_openblas_is_used_and_nothing_is_compiled(home: dict[str, str], tmp_path: Path) -> None:
    """opencv-python brings one with mlx-vlm on every machine that has wheels of it. And MLX would call g++ for fused
    operations, and load what it finds in /tmp/mlx, a folder that all share."""
    told = find(None, home | {"TMPDIR": str(tmp_path)}, ASK)
    assert told["blas"].startswith("OpenBLAS")
    assert "opencv" in told["path"]
    assert not (tmp_path / "mlx").exists()


def test_without_any_the_reference_computes(home: dict[str, str]) -> None:
    told = find([], home, ASK)
    assert told["path"] is None
    assert told["blas"].startswith(blas.REFERENCE)
    assert "no OpenBLAS" in told["blas"]


@needs_compiler
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong", "wrongly"),
        ("idle", "wrongly"),
        ("crashing", "crashed with signal 6"),
        ("another library", "cblas_sgemm"),
    ],
)
def test_one_that_cannot_be_trusted_is_left_out(kind: str, reason: str, home: dict[str, str], tmp_path: Path) -> None:
    told = find([stub(kind, tmp_path)], home, ASK if kind == "wrong" else "")
    assert told["path"] is None
    assert reason in told["why"]


@needs_compiler
def test_the_next_candidate_gets_its_turn(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    good = stub("right", tmp_path)
    assert find([stub("crashing", tmp_path / "bad"), "/nowhere/libopenblas.so", good], home)["path"] == good


@needs_compiler
def test_mlx_really_multiplies_by_it(home: dict[str, str], tmp_path: Path) -> None:
    program = """
import ctypes, sys
from core import blas
blas.candidates = lambda: iter([sys.argv[1]])
blas.install()
calls = ctypes.c_int.in_dll(ctypes.CDLL(sys.argv[1]), "calls")
before = calls.value
import mlx.core as mx
product = mx.full((3, 5), 2.0) @ mx.full((5, 7), 3.0)
mx.eval(product)
assert (product == 30).all().item()
print(calls.value - before)
"""
    command = [sys.executable, "-c", program, stub("right", tmp_path)]
    assert subprocess.run(command, cwd=ROOT, env=home, capture_output=True, text=True, check=True).stdout == "1\n"


@needs_compiler
def test_only_what_stood_the_test_is_remembered(home: dict[str, str], tmp_path: Path) -> None:
    """A library that failed may have failed for want of memory or time."""
    kept = tmp_path / "cache" / "blas"
    library = stub("crashing", tmp_path)
    assert find([library], home)["path"] is None
    assert not kept.exists()
    assert find([stub("right", tmp_path)], home)["path"] == library
    (stood,) = kept.iterdir()
    for content in (b"\xff\xfe\x00", b"", b"something else"):
        stood.write_bytes(content)
        assert find([library], home)["path"] == library
        assert stood.read_bytes() == blas.STOOD
    assert find([stub("crashing", tmp_path)], home)["path"] is None  # another file under the same name


@needs_compiler
def test_a_system_library_is_found_when_it_comes(home: dict[str, str], tmp_path: Path) -> None:
    """The stub stands for it, in a folder of LD_LIBRARY_PATH; those that are here are hidden."""
    hidden = "import core.blas as b; b.BUNDLED = b.SYSTEM = ()\n"
    env = home | {"LD_LIBRARY_PATH": str(tmp_path / "lib")}
    assert "no OpenBLAS" in find(None, env, hidden)["why"]
    (tmp_path / "lib").mkdir()
    Path(stub("right", tmp_path)).rename(tmp_path / "lib" / "libopenblas.so.0")
    assert find(None, env, hidden)["path"] == str(tmp_path / "lib" / "libopenblas.so.0")


def test_looking_for_one_costs_nobody_the_engine(home: dict[str, str]) -> None:
    told = find(None, home, "def fail(): raise RuntimeError('a strange disk')\nblas.candidates = fail\n")
    assert told["path"] is None
    assert "a strange disk" in told["why"]


def test_a_folder_that_cannot_be_written_is_no_obstacle(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    assert find(None, home | {"ASSAY_CACHE_DIR": str(tmp_path / "a file")})["path"] is not None


def test_a_setting_switches_it_off(home: dict[str, str]) -> None:
    told = find(None, home | {"ASSAY_CPU_OPENBLAS": "false"})
    assert told["path"] is None
    assert "cpu_openblas" in told["why"]


def test_after_mlx_it_is_too_late(home: dict[str, str]) -> None:
    program = "import mlx.core; from core import blas; print(blas.install())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=home, capture_output=True, text=True, check=True
    )
    assert "loaded before" in done.stdout


def test_openblas_variables_hold(home: dict[str, str]) -> None:
    assert ", 1 thread (" in find(None, home | {"OPENBLAS_NUM_THREADS": "1"})["blas"]


def test_a_broken_settings_file_hides_no_version(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("port = ")
    command = [sys.executable, "-c", "from tui.cli.main import main; main()", "--version", "--verbose"]
    done = subprocess.run(command, cwd=ROOT, env=home, capture_output=True, text=True, check=True)
    assert "mlx 0." in done.stdout
    assert "BLAS: unknown" in done.stdout


def test_the_version_says_who_multiplies(home: dict[str, str]) -> None:
    command = [sys.executable, "-c", "from tui.cli.main import main; main()", "--version", "--verbose"]
    done = subprocess.run(command, cwd=ROOT, env=home, capture_output=True, text=True, check=True)
    assert "BLAS: OpenBLAS" in done.stdout
    assert "mlx 0." in done.stdout
