"""Questions about claims: both orders, batches, tolerant reading, and scores of one answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.labels.claims.answers import ItemAnswer, claims_form, read_answers
from eval.labels.claims.labels import ClaimRow
from eval.labels.claims.questions import MOST_ITEMS, ClaimItem, batches, items_of, items_text
from eval.labels.claims.verdicts import CRITICAL, STATED, scores_of, settle, stands_in


def claim(number=1, *, source="fact", critical=False, contrasts=("polarity",)):
    letter = "f" if source == "fact" else "x"
    return ClaimRow(
        id=f"case/{letter}{number}",
        case_id="case",
        source=source,
        number=number,
        statement=f"The fee {number} was waived.",
        predicate="was waived",
        subject_role="company",
        object="fee",
        polarity="affirmed",
        modality="done",
        direction="to_customer",
        amount=None,
        currency=None,
        unit=None,
        due=None,
        critical=critical,
        contrasts={name: f"The fee {number} was {name}." for name in contrasts},
    )


ROWS = [claim(number, contrasts=("polarity", "role", "due")) for number in range(1, 8)]


def test_the_two_orders_show_each_sentence_once_as_a():
    for item in items_of(ROWS):
        assert item.pair(swapped=False) == item.pair(swapped=True)[::-1]
        assert set(item.pair(swapped=False)) == {item.statement, item.contrast}


def test_the_true_sentences_of_a_question_do_not_share_a_letter():
    firsts = [item.pair(swapped=False)[0] == item.statement for item in items_of(ROWS)]
    assert 5 <= sum(firsts) <= 16


def test_the_counterparts_of_a_statement_lie_apart():
    assert [item.claim.number for item in items_of(ROWS)] == [1, 2, 3, 4, 5, 6, 7] * 3
    assert [item.dimension for item in items_of(ROWS)][::7] == ["polarity", "role", "due"]


@given(st.integers(0, 60))
def test_questions_are_few_full_and_lose_nothing(count):
    items = [ClaimItem(claim=claim(1), dimension="polarity")] * count
    found = batches(items)
    assert sum(map(len, found)) == count
    assert all(1 <= len(batch) <= MOST_ITEMS for batch in found)
    assert len(found) == -(-count // MOST_ITEMS)


def test_items_are_numbered_from_one_with_both_sentences():
    (batch,) = batches(items_of(ROWS[:1]))
    text = items_text(batch, swapped=False)
    assert [line[:2] for line in text.splitlines()] == ["1.", "A:", "B:", "2.", "A:", "B:", "3.", "A:", "B:"]


ANSWERS = [{"item": 1, "evidence": "it was waived", "answer": "a"}, {"item": 2, "evidence": "", "answer": "neither"}]
READ = {1: ItemAnswer(choice="a", evidence="it was waived"), 2: ItemAnswer(choice="neither")}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"answers": ANSWERS}),
        "Here you are:\n```json\n" + json.dumps({"answers": ANSWERS}, indent=1) + "\n```",
        json.dumps(ANSWERS),
        "\n".join(map(json.dumps, ANSWERS)),
        json.dumps({"answers": ANSWERS})[:-2] + ', {"item": 3, "evidence": "cut o',
        json.dumps(
            [{"item": "1.", "evidence": "it was waived", "answer": "A"}, {"item": "Item 2", "answer": "Neither of"}]
        ),
    ],
)
def test_answers_are_read_from_whatever_the_model_wrote(text):
    assert read_answers(text, 2) == READ


@pytest.mark.parametrize(
    "answers",
    [
        [{"item": 3, "answer": "a"}],
        [{"item": 0, "answer": "a"}],
        [{"item": True, "answer": "a"}],
        [{"item": 1, "answer": "both"}],
        [{"item": 1, "answer": None}],
        [{"item": 1, "answer": "a"}, {"item": 1, "answer": "b"}],
        ["a", "b"],
        "a and b",
    ],
)
def test_what_is_no_answer_to_an_item_is_left_out(answers):
    assert read_answers(json.dumps({"answers": answers}), 2) == {}


def test_prose_has_no_answers():
    assert read_answers("I would say that A is right.", 2) == {}


def test_the_form_asks_for_the_evidence_before_the_answer():
    item = claims_form()["properties"]["answers"]["items"]
    assert list(item["properties"]) == ["item", "evidence", "answer"]


TEXT = "On May 3 the agent waived the late fee of $20. The customer was told."


@pytest.mark.parametrize(
    ("evidence", "there"),
    [
        ("the agent waived the late fee of $20", True),
        ("The agent WAIVED the late fee", True),
        ("On May 3 … waived the late fee of $20.", True),
        ("the agent refused the late fee", False),
        ("the agent waived the late fee of $2", False),
        ("fee", False),
        ("", False),
        ("...", False),
    ],
)
def test_evidence_must_stand_in_the_summary(evidence, there):
    assert stands_in(evidence, TEXT) is there


ITEM = ClaimItem(claim=claim(1), dimension="polarity")


def told(sentence, evidence="the agent waived the late fee"):
    """Return the answers to both orders that choose ``sentence`` (None: neither)."""
    found = []
    for swapped in (False, True):
        choice = "neither" if sentence is None else "ab"[ITEM.pair(swapped=swapped).index(sentence)]
        found.append(ItemAnswer(choice=choice, evidence="" if sentence is None else evidence))
    return tuple(found)


@pytest.mark.parametrize(
    ("orders", "outcome", "reason"),
    [
        (told(ITEM.statement), "stated", ""),
        (told(ITEM.contrast), "contradicted", ""),
        (told(None), "omitted", ""),
        ((told(ITEM.statement)[0], told(None)[1]), "undecided", "the orders disagree"),
        ((ItemAnswer(choice="a"), ItemAnswer(choice="a")), "undecided", "the orders disagree"),
        (told(ITEM.contrast, "the agent refused"), "undecided", "the evidence is not in the summary"),
        ((None, told(None)[1]), "undecided", "no answer"),
    ],
)
def test_an_item_is_settled_by_both_orders_and_their_evidence(orders, outcome, reason):
    found = settle(ITEM, orders, TEXT)
    assert (found.outcome, found.reason) == (outcome, reason)


def test_one_order_may_quote_badly():
    good, bad = told(ITEM.contrast), told(ITEM.contrast, "not there at all")
    assert settle(ITEM, (bad[0], good[1]), TEXT).outcome == "contradicted"


def verdicts(*outcomes, **changes):
    """Return one verdict per outcome, each on a claim of its own."""
    found = []
    for number, outcome in enumerate(outcomes, start=1):
        row = claim(number, **changes)
        item = ClaimItem(claim=row, dimension=next(iter(row.contrasts)))
        orders = {"stated": item.statement, "contradicted": item.contrast, "omitted": None}
        if outcome == "undecided":
            found.append(settle(item, (None, None), TEXT))
            continue
        sentence = orders[outcome]
        answers = [
            ItemAnswer(
                choice="neither" if sentence is None else "ab"[item.pair(swapped=swapped).index(sentence)],
                evidence="the agent waived the late fee",
            )
            for swapped in (False, True)
        ]
        found.append(settle(item, tuple(answers), TEXT))
    return found


def scores(*outcomes, **changes):
    return scores_of(verdicts(*outcomes, **changes), score="judge_claims", max_undecided=0.25)


def test_nothing_contradicted_is_one_and_anything_contradicted_zero():
    assert scores("stated", "omitted", "stated")["judge_claims"].value == 1.0
    found = scores("stated", "contradicted", "undecided", "undecided")["judge_claims"]
    assert found.value == 0.0
    (finding,) = found.findings
    assert finding.startswith("case/f2 (polarity): says 'The fee 2 was polarity.', but 'The fee 2 was waived.'")
    assert "the agent waived the late fee" in finding


def test_too_much_undecided_is_unscored_with_the_reason():
    assert scores("stated", "stated", "stated", "undecided")["judge_claims"].value == 1.0
    found = scores("stated", "stated", "undecided")["judge_claims"]
    assert found.unscored == "3 items: 0 contradicted, 1 undecided (no answer)"


def test_shares_count_facts_and_critical_ones_alone():
    found = scores("stated", "omitted", "contradicted", "stated", critical=True)
    assert (found[STATED].value, found[CRITICAL].value) == (0.5, 0.5)
    assert found[STATED].findings == ("not stated: case/f2", "not stated: case/f3")
    assert scores("stated")[CRITICAL].unscored == "no critical facts are labelled"


def test_forbidden_claims_are_no_facts_that_a_summary_could_state():
    found = scores("contradicted", source="forbidden", contrasts=("forbidden",))
    assert found["judge_claims"].value == 0.0
    assert found[STATED].unscored == "no facts are labelled"
