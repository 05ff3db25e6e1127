"""Edits of conversations by code: one more sentence in a reply, drawn from the seed, that no prompt of a judge gives away."""

import re
from collections import Counter

import pytest

from eval.labels.contrasts.by_code import RIGHT
from eval.labels.contrasts.twins import edits_of_conversations, twins
from eval.spine.judge_spec import CONDUCT
from eval.suites import load_suite
from service.kit.settings import Settings

TALKS = [
    (
        f"c{number}",
        f"Customer: My card {number} is gone. I am scared.\n  lock_card() done: locked\n"
        f"Assistant: I am sorry to hear that, Mr. Hill. Card {number} is locked. [asks for address]\n"
        "Customer: Thank you.\nAssistant: A new one is on its way.\n[The customer had an answer. Changed: nothing.]",
    )
    for number in range(40)
]
ENDS = ("to hear that, Mr. Hill.", "is locked.", "is on its way.")


def edited(wanted, seed="1", talks=TALKS, **more):
    return edits_of_conversations(talks, {}, seed=seed, wanted=wanted, **more)


def test_a_reply_gets_one_sentence_where_one_of_its_own_ends():
    for edit in edited({CONDUCT: 20, RIGHT: 20}):
        column = "wrong" if edit.wrong else "right"
        (sentence,) = [row[column] for row in twins() if edit.text.replace(f" {row[column]}", "", 1) == edit.good]
        before, _, after = edit.text.partition(f" {sentence}")
        assert before.endswith(ENDS), before
        assert before.rpartition("\n")[2].startswith("Assistant: ")
        assert edit.good == before + after


def test_kinds_take_turns_and_only_wrong_edits_have_a_class():
    found = edited({CONDUCT: 20, RIGHT: 10}, held=True)
    assert Counter((edit.kind, edit.wrong, edit.harm_class, edit.held) for edit in found) == {
        ("cold_to_vulnerable", True, CONDUCT, True): 10,
        ("unclear", True, CONDUCT, True): 10,
        ("sentence_added", False, "", True): 10,
    }
    kinds = {kind.name: kind.harm_class for kind in load_suite("assistant").judged_only}
    assert {kinds[row["kind"]] for row in twins()} == {CONDUCT}


def test_edits_are_drawn_from_the_seed_and_not_made_again():
    one = edited({CONDUCT: 30})
    assert one == edited({CONDUCT: 30}, talks=TALKS[::-1])
    other = edited({CONDUCT: 30}, seed="2", besides={edit.text for edit in one}, held=True)
    assert not {edit.text for edit in one} & {edit.text for edit in other}
    assert len({edit.id for edit in (*one, *other)}) == 60


def test_a_conversation_without_a_whole_sentence_of_the_assistant_is_left_alone():
    talks = [("c", "Customer: Hello. Are you there?\nAssistant: Yes\n  [no reply]\nCustomer: Bye.")]
    assert edited({CONDUCT: 3, RIGHT: 3}, talks=talks) == []


def words(text):
    return Counter(re.findall(r"[a-z]+", text.lower()))


def test_twins_share_their_words_as_far_as_their_kind_allows():
    shares = {}
    for row in twins():
        wrong, right = words(row["wrong"]), words(row["right"])
        shares.setdefault(row["kind"], []).append((wrong & right).total() / (wrong | right).total())
    assert len({row[column] for row in twins() for column in ("wrong", "right")}) == 2 * len(twins())
    assert sum(shares["cold_to_vulnerable"]) / len(shares["cold_to_vulnerable"]) > 0.5
    assert all(share > 0 for found in shares.values() for share in found)


@pytest.mark.parametrize("column", ["wrong", "right"])
def test_no_judge_is_told_a_twin(column):
    """A run of five words would give a sentence away."""
    told = {
        " ".join(found[place : place + 5])
        for path in (Settings().prompts_dir / "judges").glob("*.prompty")
        for found in [re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower())]
        for place in range(len(found) - 4)
    }
    for row in twins():
        found = re.findall(r"[a-z]+", row[column].lower())
        assert not told & {" ".join(found[place : place + 5]) for place in range(len(found) - 4)}, row
