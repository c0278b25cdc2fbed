"""The text model's data: what is held out stays out, and what is trained is what the template shows."""

import json
import random
import re

import numpy as np
from transformers import AutoTokenizer

from core.pocket.train import text_data
from core.pocket.train.text_data import Conversation
from core.pocket.train.text_dice import Dice, is_held_sentence, is_held_word
from core.pocket.train.text_words import (
    ANIMALS,
    HELD_CITIES,
    HELD_NAMES,
    PLACES,
    PREPOSITIONS,
    TOPICS,
    UNKNOWN_COUNTRIES,
    VERBS,
)


def training(seed: int, count: int) -> list[Conversation]:
    d = Dice(random.Random(seed))
    return [text_data.make_conversation(d, d.number(100, 1500)) for _ in range(count)]


def test_nothing_held_out_occurs_in_training() -> None:
    talks = training(1, 500)
    lines = [m["content"] + json.dumps(m.get("tool_calls", ""), ensure_ascii=False) for t in talks for m in t.messages]
    lines += [json.dumps(tool, ensure_ascii=False) for talk in talks for tool in talk.tools]
    held = (*HELD_CITIES, *HELD_NAMES, *TOPICS[::5], *UNKNOWN_COUNTRIES[::4])
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, held))})\b", re.IGNORECASE)
    # Tokyo is a held-out place, and the taught capital of Japan.
    found = [line for line in lines if pattern.search(line) and not re.search("tokyo", line, re.IGNORECASE)]
    assert found == []
    assert all(re.search("japan", line, re.IGNORECASE) or "country" in line for line in lines if "Tokyo" in line)


def test_no_sentence_to_translate_is_in_both_parts() -> None:
    shown = re.compile(
        rf"the ({'|'.join(ANIMALS)}) ({'|'.join(VERBS)}) ({'|'.join(PREPOSITIONS)}) the ({'|'.join(PLACES)})\b", re.I
    )
    parts = [
        tuple(word.lower() for word in match.groups())
        for talk in training(2, 1000)
        for message in talk.messages
        for match in shown.finditer(message["content"])
    ]
    assert len(parts) > 200
    assert not any(is_held_sentence(*sentence) for sentence in parts)


def test_the_split_of_sentences_holds_out_a_seventh_and_no_word() -> None:
    every = [(a, v, p, n) for a in ANIMALS for v in VERBS for p in PREPOSITIONS for n in PLACES]
    kept = [sentence for sentence in every if not is_held_sentence(*sentence)]
    assert 0.13 < 1 - len(kept) / len(every) < 0.16
    assert {word for sentence in kept for word in sentence} == {*ANIMALS, *VERBS, *PREPOSITIONS, *PLACES}
    assert is_held_sentence("cat", "sat", "on", "mat")


def test_invented_words_fall_on_one_side_of_the_split() -> None:
    for held in (False, True):
        d = Dice(random.Random(3), held)
        assert all(is_held_word(d.invented()) == held for _ in range(300))


def test_training_text_is_what_transformers_renders() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(text_data.FOLDER))
    for talk in training(4, 60):
        *shown, _ = talk.shape()
        tools = talk.tools or None
        whole = tokenizer.apply_chat_template(talk.shape(), tools=tools, tokenize=False)
        prompt = tokenizer.apply_chat_template(
            shown, tools=tools, tokenize=False, add_generation_prompt=True, enable_thinking=talk.think
        )
        assert text_data.render(talk) == whole
        assert whole.startswith(prompt)
        # What the model is asked with and what it answers are cut into tokens as in training.
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        assert text_data.encode(talk)[0][: len(ids)] == ids


def test_only_what_the_assistant_says_is_learned_in_full() -> None:
    talk = Conversation()
    talk.say("greeting", "Hi", "Hello!", "I greet.")
    talk.say("capitals", "Capital of Peru?", "Lima", "Peru: Lima.")
    expectations = ((False, "Hello!<|im_end|>Lima<|im_end|>"), (True, "<think>\nPeru: Lima.\n</think>\n\nLima"))
    for think, expected in expectations:
        talk.think = think
        ids, weights = text_data.encode(talk)
        learned = [token for token, weight in zip(ids, weights, strict=True) if weight == 1.0]
        assert expected in text_data.tokenizer().decode(learned, skip_special_tokens=False)
        assert "Capital" not in text_data.tokenizer().decode(learned)


def test_a_batch_depends_on_seed_and_index_alone() -> None:
    one, again, other = (text_data.make_batch(5, index, 2048) for index in (7, 7, 8))
    assert np.array_equal(one["ids"], again["ids"])
    assert np.array_equal(one["weights"], again["weights"])
    assert one["ids"].shape != other["ids"].shape or not np.array_equal(one["ids"], other["ids"])
    assert one["weights"].shape == (one["ids"].shape[0], one["ids"].shape[1] - 1)
