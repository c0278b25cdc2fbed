"""SmolLM2-135M-Instruct, which nobody here made: imported from GGUF, chatted with, asked over both protocols."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from core.calls.events import FinishReason
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.compute import on_linux_cpu
from core.engine import Engine
from tests import ROOT
from tests.conftest import Api
from tests.real.conftest import SMOL

pytestmark = pytest.mark.real

CAPITAL = "What is the capital of Italy? Answer in one word."
STORY = "Write a short story about a lighthouse keeper."
BARE = """
import json, sys
import mlx.core as mx
from core import blas
blas.install()
from mlx_lm import load, stream_generate
from mlx_lm.utils import dequantize_model
model, tokenizer = load(sys.argv[1])
model.set_dtype(mx.float32)
model = dequantize_model(model)
prompt = tokenizer.apply_chat_template([{"role": "user", "content": sys.argv[2]}], add_generation_prompt=True)
tokens = [answer.token for answer in stream_generate(model, tokenizer, prompt, max_tokens=int(sys.argv[3]))]
print(json.dumps(tokens))
"""
"""Plain mlx-lm, in the float32 in which the engine holds a model on a Linux processor: halves would take minutes."""


def request(*turns: Message, **options: Any) -> GenerationRequest:
    return GenerationRequest(SMOL, turns, sampling=Sampling(**{"temperature": 0.0, "max_tokens": 40, **options}))


def user(text: str) -> Message:
    return Message.text(Role.USER, text)


def test_the_catalog_knows_what_was_imported(real_engine: Engine) -> None:
    info = real_engine.catalog.get(SMOL)
    assert (info.problem, info.family, info.context_length) == (None, "llama", 8192)
    assert info.parameters == 134_515_008
    assert "4bit" in str(info.quantisation)


@pytest.mark.skipif(not on_linux_cpu(), reason="elsewhere the engine holds it as it is stored")
def test_two_hundred_tokens_are_those_of_plain_mlx_lm(real_engine: Engine, smol: Path) -> None:
    count = 200
    result = real_engine.generate(request(user(STORY), max_tokens=count, logprobs=0)).result()
    command = [sys.executable, "-c", BARE, str(smol), STORY, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [token.token_id for token in result.logprobs] == json.loads(done.stdout.splitlines()[-1])
    assert len(result.logprobs) == count


def test_a_conversation_of_several_turns_goes_on_from_what_is_known(real_engine: Engine) -> None:
    turns: list[Message] = []
    for question in ("Name three fruits.", "Name three vegetables.", "Which fruits did you name?"):
        turns.append(user(question))
        answer = real_engine.generate(request(*turns)).result()
        turns.append(Message.text(Role.ASSISTANT, answer.text))
    first, second, last = (turn.plain_text for turn in turns[1::2])
    assert "Bananas" in first
    assert "Carrots" in second
    assert "Bananas" in last
    assert answer.finished is not None
    assert answer.finished.usage.cached_tokens > answer.finished.usage.prompt_tokens / 2


def test_stopping_and_streaming(real_engine: Engine) -> None:
    handle = real_engine.generate(request(user(STORY), max_tokens=400))
    for event in handle:
        if handle.cancelled:
            continue
        if type(event).__name__ == "TextDelta":
            handle.cancel()
    assert handle.done
    stopped = real_engine.generate(request(user("Count from 1 to 10."), stop=("5",), max_tokens=60)).result()
    assert stopped.finished is not None
    assert (stopped.finished.reason, stopped.finished.stop_sequence) == (FinishReason.STOP, "5")
    assert "5" not in stopped.text


def test_both_protocols_say_the_same_streaming_and_not(real_api: Api) -> None:
    turns: list[Any] = [{"role": "user", "content": CAPITAL}]
    with openai.OpenAI(base_url=f"{real_api.url}/v1", api_key=real_api.key, timeout=300) as client:
        asked: dict[str, Any] = {"model": SMOL, "messages": turns, "temperature": 0, "max_tokens": 20}
        whole = client.chat.completions.create(**asked).choices[0]
        stream = client.chat.completions.create(**asked, stream=True)
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content]
    assert whole.message.content is not None
    assert "Rome" in whole.message.content
    assert "".join(pieces) == whole.message.content
    assert len(pieces) > 2
    with anthropic.Anthropic(base_url=real_api.url, api_key=real_api.key, timeout=300) as claude:
        body: dict[str, Any] = {"model": SMOL, "messages": turns, "max_tokens": 20, "extra_body": {"temperature": 0}}
        message = claude.messages.create(**body)
        with claude.messages.stream(**body) as events:
            streamed = "".join(events.text_stream)
    assert [block.text for block in message.content if block.type == "text"] == [whole.message.content]
    assert streamed == whole.message.content


def test_golden_prompts_are_run_on_it(real_engine: Engine, smol: Path, tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "golden.toml").write_text("format = 1\n[defaults]\ntemperature = 0.0\nmax_tokens = 30\n")
    (tmp_path / "suite" / "capital.txt").write_text(CAPITAL)
    (tmp_path / "suite" / "capital.toml").write_text('expect = ["rome"]\n')
    settings = real_engine.settings
    environment = {
        "ASSAY_MODEL_FOLDERS": str(smol.parent.parent),
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_HF_CACHE": str(settings.hf_cache),
    }
    command = [sys.executable, "-c", "from tui.cli.main import main; main()", "golden", "run", str(tmp_path / "suite")]
    done = subprocess.run(
        [*command, "--quick", SMOL, "--full", SMOL, "--route", "all"],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
