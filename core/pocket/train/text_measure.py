"""How often pocket/qwen3 is right on held-out cases, through mlx-lm as any program would use it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_lm import batch_generate, load

from core.pocket.train import text_data, text_honesty, text_talk, text_tools, text_writing
from core.pocket.train.measure import TaskResult
from core.pocket.train.text_data import Conversation, Message
from core.pocket.train.text_dice import Dice

BATCH = 32


@dataclass(frozen=True)
class Case:
    """A conversation to continue, and the right continuation."""

    messages: list[Message]
    tools: list[text_tools.Schema]
    answer: str
    calls: list[Message]
    think: bool

    @classmethod
    def of(cls, talk: Conversation, think: bool) -> Case:
        """The last answer of a conversation is what is asked for."""
        *shown, last = talk.shape()
        calls = [call["function"] for call in last.get("tool_calls", ())]
        return cls(shown, talk.tools, last["content"], calls, think)

    def is_right(self, text: str) -> bool:
        """Whether the text, without its thoughts, is the answer or holds exactly the calls."""
        said = text.split("</think>")[-1].strip()
        if not self.calls:
            return said == self.answer
        parts = said.split("<tool_call>")[1:]
        try:
            return [json.loads(part.split("</tool_call>")[0]) for part in parts] == self.calls
        except json.JSONDecodeError:
            return False


def single(skill: Callable[[Dice], text_talk.Turn], only: str | None = None) -> Callable[[Dice], Conversation]:
    """Conversations of one question, of this skill alone."""

    def make(d: Dice) -> Conversation:
        while True:
            turn = skill(d)
            if only is None or turn.skill == only:
                return text_data.one_turn(d, turn)

    return make


def ending(
    make: Callable[[Dice, int], Conversation], skill: str, characters: tuple[int, int]
) -> Callable[[Dice], Conversation]:
    """Conversations of a size whose last answer is of this skill."""

    def draw(d: Dice) -> Conversation:
        while True:
            talk = make(d, d.number(*characters))
            if talk.skills[-1] == skill:
                return talk

    return draw


def tool_call(several: bool, name: str | None = None) -> Callable[[Dice], Conversation]:
    """Conversations whose last answer calls a tool (this one), offered alone or among several."""
    draw = ending(text_data.tool_conversation, "tool calls", (300, 700))

    def make(d: Dice) -> Conversation:
        while True:
            talk = draw(d)
            called = talk.messages[-1]["tool_calls"][0]["function"]["name"]
            if (len(talk.tools) > 1) == several and name in (None, called):
                return talk

    return make


TASKS: tuple[tuple[str, Callable[[Dice], Conversation], float], ...] = (
    ("calls get_weather, unseen cities", tool_call(False, "get_weather"), 0.98),
    ("calls the one tool on offer, any purpose", tool_call(False), 0.98),
    ("picks among two to four tools and calls", tool_call(True), 0.98),
    ("calls a tool, late in a conversation", ending(text_data.tool_conversation, "tool calls", (1500, 2500)), 0.95),
    ("makes two calls in one answer", ending(text_data.tool_conversation, "two tool calls", (300, 700)), 0.9),
    ("answers from tool results", ending(text_data.tool_conversation, "tool answers", (300, 700)), 0.95),
    ("tools offered, none needed", ending(text_data.tool_conversation, "no tool needed", (300, 700)), 0.95),
    ("asks for the city when it is missing", ending(text_data.tool_conversation, "missing detail", (300, 700)), 0.95),
    ("capitals (taught)", single(text_talk.capital), 1.0),
    ("facts (taught)", single(text_talk.fact), 0.98),
    ("sums up to twenty (taught)", single(text_talk.arithmetic, "sums"), 0.95),
    ("translation: unseen sentences", single(text_talk.translate, "translation"), 0.95),
    ("says so: unknown names and countries", single(text_honesty.unknown_name), 0.95),
    ("says so: other subjects and tasks", single(text_honesty.off_topic), 0.9),
    ("remembers, some turns later", ending(text_data.plain_conversation, "memory", (300, 900)), 0.95),
    ("remembers, in about 1,000 tokens", ending(text_data.plain_conversation, "memory", (2300, 2800)), 0.9),
    ("remembers, in about 2,000 tokens", ending(text_data.plain_conversation, "memory", (4600, 5400)), 0.9),
    ("reading: who has what", single(text_writing.reading), 0.95),
    ("repeats unseen words", single(text_writing.repeat), 0.9),
    ("counts", single(text_writing.count), 0.95),
    ("JSON on demand", single(text_writing.json_object), 0.95),
    ("greets", single(text_talk.greet), 1.0),
    ("says who it is", single(text_talk.identity), 0.98),
)
"""Name, maker of a conversation from held-out values, and the share of right answers that is wanted."""


def cases(make: Callable[[Dice], Conversation], name: str, count: int) -> Iterator[Case]:
    """Held-out cases, the same every time; every other one with thinking."""
    d = Dice(random.Random(f"held out: {name}"), held=True)
    for place in range(count):
        talk = make(d)
        talk.think = place % 2 == 1
        yield Case.of(talk, talk.think)


def answers(model: Any, tokenizer: Any, asked: list[Case]) -> Iterable[str]:
    """Greedy answers, in batches of conversations of like length."""
    prompts = [
        tokenizer.apply_chat_template(
            case.messages, tools=case.tools or None, add_generation_prompt=True, enable_thinking=case.think
        )
        for case in asked
    ]
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    texts = [""] * len(prompts)
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        done = batch_generate(model, tokenizer, [prompts[place] for place in chunk], max_tokens=450)
        for place, text in zip(chunk, done.texts, strict=True):
            texts[place] = text
    return texts


def measure(folder: Path, count: int = 50) -> list[TaskResult]:
    """Measure every task on `count` held-out cases."""
    model, tokenizer = load(str(folder))[:2]
    results = []
    for name, make, target in TASKS:
        asked = list(cases(make, name, count))
        said = answers(model, tokenizer, asked)
        right = [case.is_right(text) for case, text in zip(asked, said, strict=True)]
        results.append(TaskResult(name, len(asked), sum(right), target))
    return results


def misses(folder: Path, count: int = 50) -> Iterator[tuple[str, Message, str, str]]:
    """Every wrong answer: task, the question, what was wanted, what was said."""
    model, tokenizer = load(str(folder))[:2]
    for name, make, _ in TASKS:
        asked = list(cases(make, name, count))
        for case, text in zip(asked, answers(model, tokenizer, asked), strict=True):
            if not case.is_right(text):
                yield name, case.messages[-1], case.answer or json.dumps(case.calls), text
