"""The labelled messages: enough of each intent, no copies between the sets, none of a conversation's words in any."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest

from eval.instruments.intents.train import read_messages
from eval.spine.errors import CaseError
from service.core.statements.grounding.text import fold
from service.core.tasks.assistant.understanding.intents import Intent

FOLDER = Path(__file__).resolve().parents[5] / "datasets" / "assistant"
SETS = {name: read_messages(FOLDER / "intents" / f"{name}.jsonl") for name in ("train", "dev", "test")}
SHORTEST, SHARED = 5, 0.7  # words of a message that may be a near copy, and the share of all words that both have


def words(text):
    return tuple(re.findall(r"\w+", fold(text)))


def customers_words():
    """Everything that a customer of a conversation case may say."""
    said = set()
    for name in ("dev", "gate"):
        for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            said |= set(texts(json.loads(line)["inputs"]["customer"]))
    return said


def texts(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


def copies(ours, theirs):
    """Pairs that have the same words, or most of them."""
    ours, theirs = ({text: words(text) for text in each} for each in (ours, theirs))
    return [
        (a, b)
        for a, first in ours.items()
        for b, second in theirs.items()
        if first == second
        or (
            min(len(first), len(second)) >= SHORTEST and len({*first} & {*second}) >= SHARED * len({*first} | {*second})
        )
    ]


@pytest.mark.parametrize(("name", "least", "of_each"), [("train", 600, 40), ("dev", 200, 10), ("test", 250, 8)])
def test_there_are_enough_messages_of_each_intent(name, least, of_each):
    counts = Counter(message.intent for message in SETS[name])
    assert counts.total() >= least
    assert set(counts) == set(get_args(Intent))
    assert min(counts.values()) >= of_each


@pytest.mark.parametrize(("first", "second"), [*combinations(SETS, 2)])
def test_no_message_stands_in_two_sets(first, second):
    assert copies(*([message.message for message in SETS[name]] for name in (first, second))) == []


@pytest.mark.parametrize("name", SETS)
def test_no_message_is_a_customers_of_a_conversation(name):
    assert copies([message.message for message in SETS[name]], customers_words()) == []


def test_a_near_copy_is_found():
    assert copies(["Where is your nearest branch, please?"], ["where is your nearest branch"]) != []
    assert copies(["Where is your nearest branch?"], ["Where can I get a card?"]) == []


def test_a_damaged_line_is_named(tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text('{"message": "hi", "intent": "talk"}\n{"message": "hi", "intent": "gossip"}\n')
    with pytest.raises(CaseError, match=r"train\.jsonl:2: intent: Input should be"):
        read_messages(file)
    with pytest.raises(CaseError, match="cannot be read"):
        read_messages(tmp_path / "none.jsonl")
