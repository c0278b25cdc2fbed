"""Conversations for the text model, rendered with its chat template, tokenised and cut into batches.

Imports no MLX: worker processes make the batches.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2.sandbox
import numpy as np
from tokenizers import Tokenizer

from core.pocket import MODELS_DIR
from core.pocket.train import text_honesty, text_memory, text_skills, text_talk, text_toolbox, text_tools
from core.pocket.train.recipe import Batch
from core.pocket.train.text_dice import Dice
from core.pocket.train.text_words import SYSTEMS

Message = dict[str, Any]

FOLDER = MODELS_DIR / "qwen3"
TEMPLATE = (Path(__file__).parent / "text_chat_template.jinja").read_text(encoding="utf-8")
LENGTHS = ((128, 2), (256, 4), (512, 5), (1024, 4), (2048, 2), (4096, 1))
"""Row lengths in tokens, with the share of batches that have them."""
PROMPT_WEIGHT = 0.05
"""Weight of the loss on what the model only reads; what it says has weight 1."""
IGNORED = 0
CHARACTERS_PER_TOKEN = 2.6


@dataclass
class Conversation:
    """A whole conversation, ending with an answer of the assistant."""

    messages: list[Message] = field(default_factory=list)
    tools: list[text_tools.Schema] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    """One for each answer of the assistant."""
    think: bool = False
    """Whether the last answer comes with its thoughts."""

    def say(self, skill: str, user: str | None, answer: str, thought: str, calls: list[Message] | None = None) -> None:
        """Add an exchange; without `user`, the answer follows a tool's result."""
        if user is not None:
            self.messages.append({"role": "user", "content": user})
        message: Message = {"role": "assistant", "content": answer, "reasoning_content": thought}
        if calls:
            message["tool_calls"] = calls
        self.messages.append(message)
        self.skills.append(skill)

    def say_turn(self, turn: text_talk.Turn) -> None:
        """Add a turn without tools."""
        self.say(turn.skill, turn.user, turn.answer, turn.reasoning)

    def shape(self) -> list[Message]:
        """The messages as they are rendered: thoughts stay with the last answer alone, and only if it thinks."""
        *earlier, last = self.messages
        plain = [{key: value for key, value in m.items() if key != "reasoning_content"} for m in (*earlier, last)]
        if self.think:
            plain[-1]["reasoning_content"] = last["reasoning_content"]
        return plain

    def characters(self) -> int:
        """A rough size, for stopping in time."""
        size = sum(len(json.dumps(tool)) for tool in self.tools) // 2
        return size + sum(len(m["content"]) + 25 + 60 * len(m.get("tool_calls", ())) for m in self.messages)


def one_turn(d: Dice, turn: text_talk.Turn) -> Conversation:
    """A conversation of a single turn, with a system prompt at times."""
    talk = Conversation()
    system = turn.system or (system_prompt(d) if d.chance(0.35) else None)
    if system is not None:
        talk.messages.append({"role": "system", "content": system})
    talk.say_turn(turn)
    return talk


def call_of(use: text_tools.ToolUse) -> Message:
    """The tool call of a use, in the shape of an assistant message."""
    return {"type": "function", "function": {"name": use.name, "arguments": use.arguments}}


def system_prompt(d: Dice) -> str:
    """One of the usual ones, or a long one of which the model understands nothing."""
    if d.chance(0.8):
        return d.pick(SYSTEMS)
    lines = [d.pick((*SYSTEMS, d.sentence(), d.sentence())) for _ in range(d.number(2, 12))]
    return d.pick((" ", "\n", "\n- ")).join(lines)


def plain_conversation(d: Dice, characters: int) -> Conversation:
    """Turns of every skill, with things that the user tells and asks for later."""
    talk, told = Conversation(), dict[str, str]()
    first = text_skills.any_turn(d)
    system = first.system
    if system is None and d.chance(0.4):
        system = system_prompt(d)
        if d.chance(0.15):
            kind = d.pick(list(text_memory.MEMORIES))
            told[kind] = text_memory.MEMORIES[kind].draw(d)
            system = f"{system} {text_memory.MEMORIES[kind].system.format(v=told[kind])}"
    if system is not None:
        talk.messages.append({"role": "system", "content": system})
    if first.system is not None or d.chance(0.6):
        talk.say_turn(first)
    fond_of_memory = d.chance(0.5)
    while not talk.skills or talk.characters() < characters:
        talk.say_turn(_next_turn(d, told, fond_of_memory, first.system))
    if told and fond_of_memory and talk.skills[-1] != "memory" and d.chance(0.7):
        kind = d.pick(list(told))
        talk.say_turn(text_memory.recall(d, kind, told[kind]))
    return talk


def _next_turn(d: Dice, told: dict[str, str], fond_of_memory: bool, system: str | None) -> text_talk.Turn:
    if d.chance(0.5 if fond_of_memory else 0.1):
        kind = d.pick(list(text_memory.MEMORIES))
        if told and d.chance(0.5):
            kind = d.pick(list(told))
            return text_memory.recall(d, kind, told[kind])
        if kind not in told and d.chance(0.12):
            return text_memory.recall(d, kind, None)
        told[kind] = text_memory.MEMORIES[kind].draw(d)  # said again with another value, the new one counts
        turn = text_memory.tell(d, kind, told[kind])
        question = text_skills.any_turn(d)
        if d.chance(0.15) and question.system is None and question.skill in ("capitals", "facts", "sums"):
            return replace(question, user=f"{turn.user} {question.user}")
        return turn
    while True:
        turn = text_skills.any_turn(d)
        # A turn with a system prompt of its own cannot come later, and one that names the assistant changes who it is.
        if turn.system is None and not (system and turn.skill == "identity"):
            return turn


def tool_conversation(d: Dice, characters: int) -> Conversation:
    """Some tools on offer; most questions need one of them."""
    talk = Conversation()
    if d.chance(0.4):
        talk.messages.append({"role": "system", "content": system_prompt(d)})
    offer: dict[str, text_tools.Tool] = {}
    for _ in range(d.pick((1, 1, 2, 2, 3, 4))):
        tool = text_toolbox.any_tool(d)
        # Two tools for the same purpose would leave no right choice between them.
        if tool.name not in offer and tool.purpose not in {other.purpose for other in offer.values()}:
            offer[tool.name] = tool
    talk.tools = [tool.schema for tool in offer.values()]
    while not talk.skills or talk.characters() < characters:
        kind = d.random.random()
        if kind < 0.15:
            _no_tool_needed(d, talk)
        elif kind < 0.21 and any(tool.purpose == "weather" for tool in offer.values()):
            asked = ("What is the weather?", "How is the weather today?", "Is it raining?", "What's the temperature?")
            talk.say("missing detail", d.ask(asked), "Which city do you mean?", "The user has not named a city.")
        else:
            _use_tool(d, talk, d.pick(list(offer.values())))
    return talk


def _no_tool_needed(d: Dice, talk: Conversation) -> None:
    skills = (
        text_honesty.off_topic,
        text_talk.greet,
        text_talk.capital,
        text_talk.fact,
        text_talk.small_talk,
        text_talk.identity,
        text_talk.translate,
    )
    turn = d.pick(skills)(d)
    if turn.system is None:
        talk.say("no tool needed", turn.user, turn.answer, turn.reasoning)


def _use_tool(d: Dice, talk: Conversation, tool: text_tools.Tool) -> None:
    use = tool.use()
    if tool.purpose == "weather" and d.chance(0.08):
        _two_calls(d, talk, use, tool.use())
        return
    talk.say("tool calls", use.user, "", use.thought, [call_of(use)])
    if d.chance(0.75):
        talk.messages.append({"role": "tool", "content": use.result})
        talk.say("tool answers", None, use.answer, "I have the result of the tool. I answer.")


def _two_calls(d: Dice, talk: Conversation, one: text_tools.ToolUse, two: text_tools.ToolUse) -> None:
    """Two places in one question: two calls in one answer, two results, one reply."""
    key = next(iter(one.arguments))
    places = one.arguments[key], two.arguments[key]
    wordings = (
        "What is the weather in {a} and {b}?",
        "Compare the weather in {a} and {b}.",
        "Weather in {a} and in {b}?",
    )
    calls = [{"type": "function", "function": {"name": one.name, "arguments": {key: place}}} for place in places]
    thought = f"I need the weather in {places[0]} and {places[1]}. I call {one.name} twice."
    talk.say("two tool calls", d.ask(wordings, a=places[0], b=places[1]), "", thought, calls)
    if d.chance(0.5):
        talk.messages += [{"role": "tool", "content": use.result} for use in (one, two)]
        answer = f"{one.answer} {two.answer}"
        talk.say("tool answers", None, answer, "I have the results of the tool. I answer.")


def make_conversation(d: Dice, characters: int) -> Conversation:
    """A conversation of about this size."""
    # A tool's schema alone fills most of a short row.
    tools = characters > 400 and d.chance(0.6)
    talk = (tool_conversation if tools else plain_conversation)(d, characters)
    talk.think = d.chance(0.5)
    return talk


@cache
def _template() -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE)


def render(conversation: Conversation) -> str:
    """The whole conversation as text, as transformers renders the same template."""
    return _template().render(messages=conversation.shape(), tools=conversation.tools or None)


@cache
def tokenizer() -> Tokenizer:
    """The shipped tokenizer."""
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def encode(conversation: Conversation) -> tuple[list[int], list[float]]:
    """Token ids of a conversation and, for each, the weight of predicting it."""
    ids = tokenizer().encode(render(conversation), add_special_tokens=False).ids
    return ids, _weights(ids, conversation.think)


def _weights(ids: list[int], think: bool) -> list[float]:
    known = tokenizer().get_vocab()
    start, end, close = known["<|im_start|>"], known["<|im_end|>"], known["</think>"]
    opening = tokenizer().encode("<|im_start|>assistant\n", add_special_tokens=False).ids
    weights = [PROMPT_WEIGHT] * len(ids)
    turns = [i for i, value in enumerate(ids) if value == start and ids[i : i + len(opening)] == opening]
    for turn in turns:
        first = turn + len(opening)
        stop = ids.index(end, first) + 1
        if not (think and turn == turns[-1]):
            # The empty thoughts are put there by the template, never written by the model.
            said = ids.index(close, first) + 2
            weights[first:said] = [IGNORED] * (said - first)
            first = said
        weights[first:stop] = [1.0] * (stop - first)
    return weights


def fitting(d: Dice, length: int) -> tuple[list[int], list[float]]:
    """A conversation that fills most of a row of `length` tokens."""
    share = d.random.uniform(0.5, 1.05)
    while True:
        ids, weights = encode(make_conversation(d, int(length * share * CHARACTERS_PER_TOKEN)))
        if len(ids) <= length:
            return ids, weights
        share *= 0.8


def repeated_tokens(d: Dice, length: int) -> tuple[list[int], list[float]]:
    """Random tokens with a stretch that occurs twice: practice in copying."""
    ids = [d.number(0, tokenizer().get_vocab_size() - 20) for _ in range(length)]
    weights = [0.0] * length
    span = d.number(4, length // 3)
    source = d.number(0, length - 2 * span)
    target = d.number(source + span, length - span)
    ids[target : target + span] = ids[source : source + span]
    weights[target + 1 : target + span] = [1.0] * (span - 1)
    return ids, weights


def make_batch(seed: int, index: int, tokens: int) -> Batch:
    """Rows of one length, `tokens` in all: `ids` [rows, length] and `weights` [rows, length - 1] of the next token."""
    d = Dice(random.Random(f"{seed} {index}"))
    lengths = {size: share for size, share in LENGTHS if size <= max(tokens, LENGTHS[0][0])}
    length = d.random.choices(list(lengths), list(lengths.values()))[0]
    rows = max(1, tokens // length)
    copying = 0.15 if index < 1000 else 0.03
    ids = np.zeros((rows, length), np.int32)
    weights = np.zeros((rows, length), np.float32)
    for row in range(rows):
        tokens_of_row, weights_of_row = (repeated_tokens if d.chance(copying) else fitting)(d, length)
        ids[row, : len(tokens_of_row)] = tokens_of_row
        weights[row, : len(weights_of_row)] = weights_of_row
    return {"ids": ids, "weights": weights[:, 1:]}
