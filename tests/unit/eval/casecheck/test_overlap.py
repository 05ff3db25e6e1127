import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from eval.casecheck.balance import balance_of
from eval.casecheck.calibration import paired_auc, unigram_f1
from eval.casecheck.files import CaseLine
from eval.casecheck.overlap import (
    containment,
    copied_passages,
    copied_references,
    cosines,
    ngrams,
    shared_ngrams,
)
from eval.spine.case_rules import CaseRules, FileRules, Minimum
from eval.spine.cases import Case

WORDS = st.lists(st.sampled_from("meter bill tree dog fee clerk office cable".split()), max_size=30).map(" ".join)


class Inputs(BaseModel):
    text: str


def line(name, text, *references, file="set", **slices):
    case = Case.model_validate(
        {"id": name, "inputs": {"text": text}, "expectations": {"references": references}, "slices": slices}
    )
    return CaseLine(file=file, line=1, case=case, inputs=Inputs(text=text), rules=CaseRules())


@given(WORDS, WORDS, st.integers(1, 8))
def test_containment_is_a_symmetric_share(one, other, size):
    a, b = ngrams(one, size), ngrams(other, size)
    assert 0 <= containment(a, b) == containment(b, a) <= 1
    assert containment(a, a) == (1.0 if a else 0.0)


@given(WORDS, WORDS, WORDS)
def test_a_text_is_wholly_contained_in_any_text_that_quotes_it(before, quoted, after):
    if len(quoted.split()) >= 4:
        assert containment(ngrams(quoted, 4), ngrams(f"{before} {quoted} {after}", 4)) == 1.0


@given(st.lists(WORDS, max_size=6))
def test_the_index_finds_what_comparing_every_pair_finds(texts):
    grams = [ngrams(text, 3) for text in texts]
    found = {(pair.first, pair.second): pair.containment for pair in shared_ngrams(grams)}
    for a in range(len(grams)):
        for b in range(a + 1, len(grams)):
            assert found.get((a, b), 0.0) == containment(grams[a], grams[b])


STORY = "The crew came on Monday, found the transformer dead, and promised us a new one before the next storm arrives."


def test_a_copied_run_is_found_across_files_and_names_both():
    lines = [
        line("case-1", f"Hello. {STORY} Bye.", file="dev"),
        line("case-2", f"My neighbour says otherwise. {STORY.replace('Monday', 'Friday')}"),
    ]
    (problem,) = copied_passages(lines)
    assert "runs of 8 words with text of dev.jsonl:1 case-1" in str(problem)
    assert problem.concerns("dev")
    assert problem.concerns("set")


def test_the_same_text_is_one_problem_and_stock_phrases_are_none():
    assert len(copied_passages([line("case-1", STORY), line("case-2", STORY.upper())])) == 1
    greeting = "Thank you for calling, how may I help?"
    tails = ["My meter hums at night and my dog howls at it.", "I moved out in June and you bill me still, why?"]
    assert copied_passages([line(f"case-{n}", f"{greeting} {tail}") for n, tail in enumerate(tails)]) == []


def test_two_references_of_one_case_must_be_independent():
    one = "Customer disputes a late fee of $45 and waits for the manager's answer by Friday."
    near = "Customer disputes a late fee of $45 and waits for a decision that management owes her."
    far = "A fee charged for lateness is contested; management owes a reply this week."
    assert "of the same case" in str(copied_references([line("case-1", "x", one, near)])[0])
    assert copied_references([line("case-1", "x", one, far)]) == []


def test_empty_histories_may_share_their_answer():
    assert copied_references([line(f"case-{n}", "x", "No interactions found.") for n in range(3)]) == []


def test_cosines_ignore_amounts_and_are_one_with_oneself():
    texts = [
        "the meter reader was bitten by a dog on 10/3 and left a $45 bill",
        "the meter reader was bitten by a dog on 11/9 and left a $99 bill",
        "solar credit of the tenant went to the landlord by mistake of the bill",
    ]
    letters, meaning = cosines(texts)
    assert np.diag(letters) == pytest.approx(1.0)
    assert letters[0, 1] == pytest.approx(1.0)
    assert meaning[0, 1] > 0.99 > meaning[0, 2]


@pytest.mark.parametrize("texts", [["a b", "c d", "e f"], ["same words", "same words", "same words"], ["1", "2", "3"]])
def test_cosines_of_sets_with_nothing_to_compare_do_not_fail(texts):
    if texts[0] == "1":
        texts = [f"{text} word" for text in texts]
    letters, meaning = cosines(texts)
    assert letters.shape == meaning.shape == (3, 3)


def test_unigram_f1_agrees_with_rouge_1():
    from rouge_score.rouge_scorer import RougeScorer

    one, other = "the clerk took the check and the deposit", "a clerk took no check but the keys"
    assert unigram_f1(one, other) == pytest.approx(RougeScorer(["rouge1"]).score(one, other)["rouge1"].fmeasure)
    assert unigram_f1("", other) == 0.0


def test_the_auc_is_half_for_equal_twins_and_one_when_every_good_row_wins():
    same = np.array([0.1, 0.2, 0.3])
    assert paired_auc(same, same).value == pytest.approx(0.5)
    sure = paired_auc(same + 1, same)
    assert (sure.value, sure.low, sure.high, sure.n) == (1.0, 1.0, 1.0, 3)


def test_balance_names_what_is_missing_and_what_is_too_much():
    rules = FileRules(
        count=4,
        slices={"kind": ("a", "b")},
        minima=(Minimum(slice="kind", value="b", at_least=2),),
        largest_share={"kind": 0.6},
        second_references=1,
    )
    lines = [line(f"case-{n}", "x", "one", "two", kind="ab"[n > 1]) for n in range(3)]
    texts = [str(problem) for problem in balance_of("set", lines, rules).problems]
    assert texts == [
        "set.jsonl: holds 3 valid cases; 4 are required",
        "set.jsonl: 2 of 3 cases have kind=a; required: at most 60%",
        "set.jsonl: 1 of 3 cases have kind=b; required: at least 2 and at most 60%",
        "set.jsonl: 3 cases have a second reference; 1 are required",
    ]
