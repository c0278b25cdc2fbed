"""What test_distributed.py launches: rank 0 asks, the others follow. Prints what came of it as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from core.calls.events import TextDelta
from core.calls.requests import GenerationRequest, Message, Role, Sampling, TextPart, ToolCallPart, ToolResultPart
from core.engine import Engine
from core.errors import EngineError
from core.settings import load_settings

MODEL = "pocket/qwen3"
LAYERED = "tiny/layered"
"""Made by tests.tiny.layers."""


def request(
    text: str, *more: Message, model: str = MODEL, schema: dict[str, Any] | None = None, **sampling: Any
) -> GenerationRequest:
    options = {"temperature": 0.0, "max_tokens": 14, "logprobs": 0} | sampling
    turns = (Message.text(Role.USER, text), *more)
    return GenerationRequest(model, turns, thinking=False, sampling=Sampling(**options), json_schema=schema)


def answered(engine: Engine, *requests: GenerationRequest) -> list[dict[str, Any]]:
    """What came of requests that were sent together."""
    found = []
    for handle in [engine.generate(asked) for asked in requests]:
        result = handle.result()
        assert result.finished is not None
        found.append(
            {
                "tokens": [scored.token_id for scored in result.logprobs],
                "text": result.text,
                "reason": result.finished.reason.value,
                "prompt_tokens": result.finished.usage.prompt_tokens,
                "cached_tokens": result.finished.usage.cached_tokens,
            }
        )
    return found


def scenario(engine: Engine) -> dict[str, Any]:
    """The same work for one rank and for several; everything in the answer has to be the same too."""
    found: dict[str, Any] = {"first_load": engine.load(MODEL).result(60).loads}
    story, count = request("Tell me a story.", temperature=1.0, seed=7), request("Count from 1 to 20.")
    found["counted"] = engine.count_tokens(count).result(60).tokens
    found["batch"] = answered(
        engine, count, story, request("What is the capital of France?"), request("Tell me a story.", temperature=1.0)
    )
    del found["batch"][-1]["text"], found["batch"][-1]["tokens"]  # nobody gave it a seed
    after = (Message.text(Role.ASSISTANT, found["batch"][0]["text"]), Message.text(Role.USER, "And to 5?"))
    found["next_turn"] = answered(engine, request("Count from 1 to 20.", *after))
    handle = engine.generate(request("Count from 1 to 40.", max_tokens=200))
    events = []
    for event in handle:
        events.append(event)
        if sum(isinstance(one, TextDelta) for one in events) == 3:
            handle.cancel()
    said = "".join(one.text for one in events if isinstance(one, TextDelta))
    found["cancelled"] = said.startswith("1, 2") and len(said) < 60 and events[-1].reason.value  # type: ignore[union-attr]
    found["too_long"] = sentence(lambda: engine.generate(request("word " * 5000)).result())
    running = engine.generate(request("Count from 1 to 40.", max_tokens=200))
    engine.unload(MODEL, cancel=True).result(60)
    found["unloaded"] = sentence(running.result), [model.id for model in engine.status().models]
    found["second_load"] = engine.load(MODEL).result(60).loads
    found["again"] = answered(engine, story)
    asked = (request(text, model=LAYERED, max_tokens=6) for text in ("Hello!", "Where is the sea? " * 200))
    found["layered"] = answered(engine, *asked)
    return found


def sentence(call: Any) -> str:
    """What an EngineError says, "" if there is none."""
    try:
        call()
    except EngineError as error:
        return f"{error.code}: {error}"
    return ""


def refusals(engine: Engine) -> dict[str, Any]:
    """What several ranks do not do."""
    call = ToolCallPart("1", "look_up", {"note": threading.Lock()})
    noted = Message(Role.TOOL, (ToolResultPart("1", (TextPart("Done."),)),))
    unlike = request("Hello!", Message(Role.ASSISTANT, (call,)), noted, Message.text(Role.USER, "And now?"))
    return {
        "vision": sentence(lambda: engine.load("pocket/gemma3").result(60)),
        "missing": sentence(lambda: engine.load("tiny/missing").result(60)),
        "unlike": sentence(lambda: engine.load("tiny/unlike").result(60)),
        "value": sentence(lambda: engine.generate(unlike).result()),
    }


def main(act: str) -> None:
    """`act`: "work" does the scenario; "silent" stops rank 1 while rank 0 waits for an answer."""
    with Engine(load_settings()) as engine:
        if engine.rank > 0:
            refused = sentence(lambda: engine.generate(request("Hello!")))
            print(json.dumps({"rank": engine.rank, "refused": refused, "pid": os.getpid()}), flush=True)
            engine.follow()
            return
        if act == "work":
            print(json.dumps(scenario(engine) | refusals(engine)), flush=True)
            return
        from core.mlx.ranks import distributed

        engine.load(MODEL).result(60)
        other = int(sys.stdin.readline())
        handle = engine.generate(request("Count from 1 to 40.", max_tokens=400, logprobs=None))
        distributed.PATIENCE_S = 2.0
        os.kill(other, signal.SIGSTOP)
        lost = sentence(handle.result)
        while not (after := sentence(lambda: engine.generate(request("Hello!")))):
            pass
        print(json.dumps({"lost": lost, "after": after}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
