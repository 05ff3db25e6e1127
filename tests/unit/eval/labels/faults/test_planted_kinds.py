"""Planted faults: every wording is its own, fills on some case of gate, and changes what it is planted into."""

import difflib
import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from eval.labels import faults
from eval.labels.faults import WrittenFault, filled, load, plant

DATASETS = Path(__file__).parents[5] / "datasets"
FOLDER = Path(faults.__file__).parent
TASKS = ("summarize", "assistant", "scorecard")
PARTS = {"summarize": {""}, "assistant": {"", "note"}, "scorecard": {"summary", "reason", "action_item"}}
LEAST = {"summarize": 8, "assistant": 10, "scorecard": 8}
NEVER, LEAST_NEVER = ("never_", "note_"), 6  # the kinds of assistant_never.jsonl
REPLY = (
    "You are talking to Larkfield's AI assistant. There is no monthly fee. Your card arrives in 5 to 7 working days. "
    "We are open from 09:00 to 17:00, on Saturday from 10 am to 3 pm; calls from 11:30 to 14:00."
)


def pairs_of(task: str) -> list[tuple[str, str]]:
    """(right text, source text) of every case of gate."""
    pairs = []
    for line in (DATASETS / task / "gate.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        inputs, expectations = case["inputs"], case["expectations"]
        if task == "summarize":
            source = "\n".join(each["text"] for each in inputs["interactions"])
            pairs += [(reference, source) for reference in expectations["references"]]
        elif task == "assistant":
            customer = inputs["customer"]
            said = [each for known in customer["knows"].values() for each in known["says"]]
            pairs.append((REPLY, "\n".join([*customer["opens"], *said])))
        else:
            source = "\n".join(turn["text"] for turn in inputs["turns"])
            pairs.append((" ".join(answer["why"] for answer in expectations["answers"].values()), source))
    return pairs


@pytest.mark.parametrize("task", TASKS)
def test_every_wording_is_its_own(task):
    kinds = load(task)
    assert len({kind.kind for kind in kinds}) == len(kinds)
    assert {kind.part for kind in kinds} == PARTS[task]
    wordings = [wording.strip().lower() for kind in kinds for wording in kind.wordings]
    assert len(set(wordings)) == len(wordings)
    for kind in kinds:
        least = LEAST_NEVER if kind.kind.startswith(NEVER) else LEAST[task]
        assert kind.edits or len(kind.wordings) >= least, kind.kind
        for one, two in itertools.combinations(kind.wordings, 2):
            assert not _one_word_apart(one, two), (kind.kind, one, two)


@pytest.mark.parametrize("task", TASKS)
def test_every_placeholder_fills_on_some_case(task):
    sources = {source for _, source in pairs_of(task)}
    for kind in load(task):
        for wording in kind.wordings:
            assert any(filled(wording, source) for source in sources), (kind.kind, wording)


@pytest.mark.parametrize("task", TASKS)
def test_no_kind_leaves_a_text_unchanged(task):
    rng, pairs = random.Random(7), pairs_of(task)
    for kind in load(task):
        planted = [(plant(kind, text, source, rng), text) for text, source in pairs]
        fits = [(answer, text) for answer, text in planted if answer is not None]
        assert len(fits) >= 5, f"{kind.kind} fits {len(fits)} of {len(pairs)} texts"
        assert all(answer != text and answer.strip() for answer, text in fits), kind.kind


@pytest.mark.parametrize("task", TASKS)
def test_every_edit_finds_a_text(task):
    texts = [text for text, _ in pairs_of(task)]
    for kind in load(task):
        for pattern, put in kind.edits:
            assert any(re.sub(pattern, put, text, count=1) != text for text in texts), (kind.kind, pattern)


def test_a_wording_is_filled_from_the_source_and_placed_by_the_seed():
    wordings = ("{name} paid {amount} on {date} in {month}.", "Paid {amount}.")
    kind = WrittenFault(
        kind="paid",
        group="invention",
        code_visible=False,
        does="Says that it is paid.",
        operation="insert_middle",
        wordings=wordings,
        edits=(),
        needs="bill",
        unless="refund",
        part="",
    )
    source = "Mrs. Wrobel: the bill was $12.50, sent Oct 3"
    assert plant(kind, "One. Two.", source, random.Random(3)) == plant(kind, "One. Two.", source, random.Random(3))
    assert {plant(kind, "One. Two.", source, random.Random(seed)) for seed in range(9)} == {
        "One. Mrs. Wrobel paid $12.50 on Oct 3 in October. Two.",
        "One. Paid $12.50. Two.",
    }
    for other in ("the bill came", "no such word, $4", source + ", refund sent"):
        assert plant(kind, "One. Two.", other, random.Random(3)) is None


def test_messages_are_labelled_once_and_in_every_kind():
    trouble, consent = (_rows(name) for name in ("trouble", "consent"))
    for rows in (trouble, consent):
        assert len({row["text"].lower() for row in rows}) == len(rows)
    kinds = Counter(row["kind"] for row in trouble)
    assert len(kinds) == 11
    assert min(kinds.values()) >= 14
    assert {row["kind"] for row in trouble if not row["trouble"]} == {"ordinary", "metaphor"}
    foreign = [row for row in trouble if row["trouble"] and row["language"] in ("es", "pl")]
    assert len(foreign) * 5 >= sum(row["trouble"] for row in trouble)
    assert Counter(row["changes"] for row in consent if not row["books"]).keys() == {None, "phone", "time"}
    assert {row["changes"] for row in consent if row["books"]} == {None}


def _rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def _one_word_apart(one: str, two: str) -> bool:
    left, right = one.lower().split(), two.lower().split()
    if max(len(left), len(right)) < 4:
        return one.lower() == two.lower()
    same = sum(block.size for block in difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks())
    return max(len(left), len(right)) - same <= 1
