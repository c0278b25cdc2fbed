"""The command line: what it prints, what it exits with, and that it is a real process that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.tui.cli.processes import ASSAY, on_a_terminal
from tests.tui.scripted import red_square
from tui.cli.models import fitting


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of the user's: no settings, no data, an empty cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    own = {"ASSAY_CONFIG": "none.toml", "ASSAY_DATA_DIR": "data", "ASSAY_HF_CACHE": "cache", "COLUMNS": "100"}
    return kept | {name: str(tmp_path / value) if value != "100" else value for name, value in own.items()}


def assay(
    environment: dict[str, str], *arguments: str, input: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ASSAY, *arguments], env=environment | more, input=input, capture_output=True, text=True, timeout=120
    )


def test_the_version_is_one_line(environment: dict[str, str]) -> None:
    run = assay(environment, "--version")
    assert run.returncode == 0
    assert run.stdout.startswith("assay 0.")


def test_help_names_the_commands(environment: dict[str, str]) -> None:
    text = assay(environment, "--help").stdout
    for command in ("serve", "chat", "golden", "models", "key"):
        assert command in text


def test_an_unknown_command_is_wrong_usage(environment: dict[str, str]) -> None:
    assert assay(environment, "brew").returncode == 2


def test_without_a_terminal_the_workbench_says_what_there_is(environment: dict[str, str]) -> None:
    run = assay(environment)
    assert run.returncode == 2
    assert run.stderr.startswith("assay: The workbench needs a terminal.")
    assert len(run.stderr.splitlines()) == 1


def test_a_suite_that_is_not_there_is_said_before_anything_opens(environment: dict[str, str]) -> None:
    run = assay(environment, "--suite", "/nope")
    assert run.returncode == 2
    assert run.stderr == "assay: The suite /nope does not exist: a suite is a folder of .txt prompts.\n"


def test_a_suite_named_for_the_wrong_command_is_not_ignored(environment: dict[str, str]) -> None:
    run = assay(environment, "--suite", "/nope", "models", "list")
    assert run.returncode == 2
    assert "it is for the workbench alone" in run.stderr


def test_a_wrong_setting_is_one_sentence(environment: dict[str, str]) -> None:
    run = assay(environment, "models", "list", ASSAY_PORT="many")
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "port" in run.stderr


def test_models_are_listed_as_a_table_and_as_json(environment: dict[str, str]) -> None:
    table = assay(environment, "models", "list").stdout
    listed = json.loads(assay(environment, "models", "list", "--json").stdout)
    assert {"pocket/qwen3", "pocket/qwen2-vl", "pocket/gemma3"} <= {model["id"] for model in listed}
    assert all(model["id"] in table for model in listed)
    assert all(model["problem"] is None for model in listed)


def test_broken_models_are_listed_when_all_are_asked_for(environment: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "models" / "half"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text('{"model_type": "qwen3"}')
    folders = json.dumps([str(tmp_path / "models")])
    assert "half" not in assay(environment, "models", "list", ASSAY_MODEL_FOLDERS=folders).stdout.split()
    listed = json.loads(assay(environment, "models", "list", "--all", "--json", ASSAY_MODEL_FOLDERS=folders).stdout)
    assert any("half" in model["id"] and model["problem"] for model in listed)


LONG_ID = "mlx-community/Qwen2.5-Coder-32B-Instruct-4bit-DWQ-of-late"


def test_in_a_pipe_each_model_is_one_whole_line(environment: dict[str, str], tmp_path: Path) -> None:
    half = tmp_path / "models" / LONG_ID
    half.mkdir(parents=True)
    (half / "config.json").write_text('{"model_type": "qwen3"}')
    run = assay(
        environment, "models", "list", "--all", COLUMNS="30", ASSAY_MODEL_FOLDERS=json.dumps([str(tmp_path / "models")])
    )
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["model", "kind", "family", "quant", "params", "context", "disk", "problem"]
    assert [line.split()[0] for line in lines[1:]] == ["pocket/gemma3", "pocket/qwen2-vl", "pocket/qwen3", LONG_ID]
    assert "incomplete: " in lines[-1]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, ["kind", "family", "quant", "params", "context", "disk"]),
        (70, ["kind", "quant", "params", "disk"]),
        (59, ["kind", "quant", "disk"]),
        (45, ["disk"]),
        (30, []),
    ],
)
def test_a_narrow_terminal_loses_columns_before_ids(width: int, columns: list[str]) -> None:
    row = {"model": LONG_ID, "kind": "vision", "family": "qwen2_vl", "quant": "4-bit", "params": "33B"}
    assert fitting([row | {"context": "131K", "disk": "18G"}], width) == columns


def test_on_a_narrow_terminal_ids_are_whole(environment: dict[str, str]) -> None:
    run = on_a_terminal(environment | {"COLUMNS": "24"}, "models", "list")
    assert run.returncode == 0
    shown = run.stdout
    assert {"pocket/gemma3", "pocket/qwen2-vl", "pocket/qwen3"} <= set(shown.split())
    assert "vision" not in shown


def test_a_model_folder_that_is_not_there_is_noted(environment: dict[str, str], tmp_path: Path) -> None:
    gone = tmp_path / "unplugged"
    run = assay(environment, "models", "list", ASSAY_MODEL_FOLDERS=str(gone))
    assert run.returncode == 0
    assert "pocket/qwen3" in run.stdout
    assert run.stderr == f"The model folder {gone} does not exist.\n"


def test_the_key_is_printed_and_stays_the_same(environment: dict[str, str]) -> None:
    first = assay(environment, "key").stdout
    assert first.startswith("assay-")
    assert assay(environment, "key").stdout == first


def test_a_chat_over_a_pipe_answers_with_plain_text_until_a_message_is_refused(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(red_square().data)
    run = assay(
        environment,
        *("chat", "--model", "pocket/qwen3", "--temperature", "0"),
        input="Hello! @none.png\nWhat is the capital of France? Answer in one word.\n"
        f"What is @{tmp_path / 'red.png'}\n",
    )
    assert "paris" in run.stdout.lower()
    assert "first token after" in run.stderr
    assert "\x1b" not in run.stdout
    assert run.returncode == 2
    refusal = run.stderr.splitlines()[-1]
    assert "pocket/qwen3" in refusal
    assert "image" in refusal
    assert run.stderr.count(refusal.removeprefix("assay: ")) == 1
    assert "There is no image file none.png: it was sent as text." in run.stderr


def test_a_model_that_is_not_there_is_wrong_usage(environment: dict[str, str]) -> None:
    run = assay(environment, "chat", "--model", "pocket/qwen33", input="hi\n")
    assert run.returncode == 2
    assert "pocket/qwen3" in run.stderr


def test_serve_answers_until_it_is_interrupted(environment: dict[str, str]) -> None:
    environment |= {"ASSAY_MODEL_FOLDERS": "/unplugged"}
    server = subprocess.Popen(
        [*ASSAY, "serve", "--port", "0", "--model", "pocket/qwen3"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kill = threading.Timer(100, server.kill)
    kill.start()
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        key = assay(environment, "key").stdout.strip()
        body = {"model": "pocket/qwen3", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 64}
        request = urllib.request.Request(
            f"{url}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert json.load(response)["choices"][0]["message"]["content"]
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=60)
    finally:
        kill.cancel()
        server.kill()
        server.wait()
    assert server.returncode == 0
    assert said.startswith("The model folder /unplugged does not exist.\n")
    assert "Loaded pocket/qwen3" in said
    assert key not in said


EARLY = """
import os, signal, sys

name, number, *arguments = sys.argv[1:]

class Signals:
    def find_spec(self, found, *more):
        if found == name:
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Signals())
sys.argv[1:] = arguments
from tui.cli.main import main
main()
"""
"""The command, which gets a signal when it imports a module."""


@pytest.mark.parametrize(
    ("module", "number", "code", "command"),
    [
        *(
            (module, number, 0, ("serve", "--port", "0"))
            for module in ("core.errors", "typer", "core.engine", "server.lifecycle", "uvicorn")
            for number in (signal.SIGINT, signal.SIGTERM)
        ),
        ("core.errors", signal.SIGINT, 130, ()),
        ("typer", signal.SIGINT, 130, ("models", "list")),
        ("core.catalog", signal.SIGINT, 130, ("models", "list")),
        ("core.engine", signal.SIGINT, 130, ("chat",)),
        ("core.settings", signal.SIGINT, 130, ("key",)),
    ],
)
def test_a_signal_while_the_program_is_read_ends_it_without_a_word(
    environment: dict[str, str], module: str, number: int, code: int, command: tuple[str, ...]
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", EARLY, module, str(int(number)), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout, run.stderr) == (code, "", "")


STUCK = """
import sys, threading
import core.engine_life
import core.mlx.loads

def stuck(*arguments):
    print("stuck", file=sys.stderr, flush=True)
    threading.Event().wait()
    yield 1.0

core.mlx.loads.load_steps = stuck
core.engine_life.CLOSE_WITHIN_S = 0.1
from tui.cli.main import main
main()
"""
"""The command, with a piece of a load that never ends."""


@pytest.mark.parametrize("command", [("serve", "--port", "0", "--model", "pocket/qwen3"), ("chat",)])
def test_a_command_ends_in_the_middle_of_a_piece_of_a_load(
    environment: dict[str, str], command: tuple[str, ...]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kill = threading.Timer(100, process.kill)
    kill.start()
    try:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("Hello!\n")
        process.stdin.flush()
        while process.stderr.readline().strip() != "stuck":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        kill.cancel()
        process.kill()
        process.wait()
    assert process.returncode in (0, 130)


def test_a_port_in_use_is_a_sentence_with_a_free_one(environment: dict[str, str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = assay(environment, "serve", "--port", str(port))
    assert run.returncode == 4
    assert f"Port {port} on 127.0.0.1 is in use" in run.stderr
    assert "is free" in run.stderr


def test_a_file_that_cannot_be_imported_is_wrong_usage(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    run = assay(environment, "models", "import", str(tmp_path / "text.gguf"))
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.endswith("text.gguf is no GGUF file: it does not begin with GGUF.\n")
    assert run.stderr.startswith("assay: ")


@pytest.mark.parametrize("template", ["{{ messages }}", None])
def test_an_import_says_what_can_be_done_and_nothing_else(
    environment: dict[str, str], tmp_path: Path, template: str | None
) -> None:
    """A llama of one layer whose tokens are single bytes."""
    folder = Path(environment["ASSAY_DATA_DIR"]) / "models"
    program = WRITE_GGUF.format(file=str(tmp_path / "My model.gguf"), template=template)
    subprocess.run([sys.executable, "-c", program], check=True)
    run = assay(environment, "models", "import", str(tmp_path / "My model.gguf"))
    assert (run.returncode, run.stdout) == (0, f"{folder / 'My model'}\n"), run.stderr
    if template is None:
        assert run.stderr.startswith("It has no chat template and completes text alone: ")
    else:
        assert run.stderr == "Try it: assay chat --model 'My model'\n"
    assert run.stderr.count("\n") == 1


WRITE_GGUF = """
import mlx.core as mx
def number(value):
    return mx.array(value, mx.uint32)
names = "attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down".split()
tensors = {{f"blk.0.{{name}}.weight": mx.zeros((32, 32)) for name in names}}
tensors |= {{f"blk.0.{{name}}_norm.weight": mx.ones((32,)) for name in ("attn", "ffn")}}
tensors |= {{"token_embd.weight": mx.zeros((64, 32)), "output_norm.weight": mx.ones((32,))}}
about = {{
    "general.architecture": "llama",
    "llama.embedding_length": number(32),
    "llama.feed_forward_length": number(32),
    "llama.block_count": number(1),
    "llama.attention.head_count": number(2),
    "llama.attention.layer_norm_rms_epsilon": mx.array(1e-5),
    "llama.context_length": number(128),
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": [chr(33 + place) for place in range(63)] + ["!!"],
    "tokenizer.ggml.merges": ["! !"],
    "tokenizer.ggml.token_type": mx.array([1] * 64, mx.int32),
}}
about |= {{"tokenizer.chat_template": {template!r}}} if {template!r} else {{}}
mx.save_gguf({file!r}, tensors, about)
"""


@pytest.mark.parametrize("command", [("key",), ("models", "list"), ("serve", "--port", "0")])
def test_an_output_that_is_full_is_told_as_that(environment: dict[str, str], command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*ASSAY, *command], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert run.returncode == 4
    assert run.stderr == "assay: What is printed cannot be written to stdout: No space left on device.\n"


def no_text(file: Path) -> None:
    file.write_bytes(bytes(range(128, 256)))


def no_line(file: Path) -> None:
    file.write_text("one\ntwo\x1b[2J")


def zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (no_text, "it holds no key"),
        (no_line, "it holds no key"),
        (zeros, "it is a device, not a regular file"),
        (os.mkfifo, "it is a named pipe, not a regular file"),
        (Path.mkdir, "Is a directory"),
    ],
)
@pytest.mark.parametrize("which", ["key", "settings"])
def test_a_small_file_that_is_none_is_one_sentence(
    environment: dict[str, str], tmp_path: Path, make: Callable[[Path], object], told: str, which: str
) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "api_key" if which == "key" else tmp_path / "none.toml"
    make(file)
    run = assay(environment, "key")
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert str(file) in run.stderr
    assert told in run.stderr or (which == "settings" and told == "it holds no key")


def test_the_program_does_not_end_as_python_does_while_a_thread_is_at_work() -> None:
    """Python would break it off in the middle of what it is at, which aborts the process where that is C++ or Rust."""
    code = (
        "import atexit, threading; from tui.cli.common import end_at_once_if_busy\n"
        "atexit.register(print, 'the usual end')\n"
        "print('said', end='')\n"
        "threading.Thread(target=threading.Event().wait, daemon={busy}).start() if {busy} else None\n"
        "end_at_once_if_busy(3)\n"
    )
    for busy, told, status in ((True, "said", 3), (False, "saidthe usual end\n", 0)):
        ran = subprocess.run(
            [sys.executable, "-c", code.format(busy=busy)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert (ran.stdout, ran.returncode) == (told, status), ran.stderr
