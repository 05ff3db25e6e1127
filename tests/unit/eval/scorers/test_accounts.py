"""Figures over all sentences of all answers, by case, and what the verdict says of them."""

import pytest

from eval.scorers.accounts import SENTENCE_POOLS, AccountScorer
from eval.spine.accounts import ACCOUNTED, FreeText, SentenceAccount, join_readings, reading_order
from eval.spine.results import CaseResult, Score, read_sentences
from eval.spine.scorer import free_texts
from eval.verdict.pooled import pooled, pooled_interval
from figures.metric import Metric, Unit
from service.core.statements.accounting.source import AccountSource, SourceStatement

SOURCE = AccountSource((SourceStatement(text="Agent waived the late fee."),))


def sentence(state, novelty=0.0):
    how = "verbatim" if state == "accounted" else None
    reading = {"read": "supported", "unsupported": "unsupported", "undecided": "undecided"}.get(state)
    return SentenceAccount(text=state, how=how, novelty=novelty, reading=reading)


def answer(case_id, *states, repeat=0):
    found = tuple(map(sentence, states))
    scores = {ACCOUNTED: Score(value=0.0, sentences=found)} if states else {}
    return CaseResult(case_id=case_id, arm="primary", repeat=repeat, result=None, live=True, scores=scores)


def figure(name, results):
    side = pooled(SENTENCE_POOLS[name], results, dict.fromkeys({item.case_id for item in results}))
    return pooled_interval(side, seed=1)


def test_the_scorer_keeps_every_sentence_with_its_place_and_finds_no_fault():
    text = FreeText(text="Agent waived the late fee. It rained.", source=SOURCE, place="summary")
    scorer = AccountScorer(lambda context: (text,))
    (score,) = scorer.score(None).values()
    assert (score.value, score.findings) == (0.5, ())
    assert [(one.how, one.place) for one in score.sentences] == [("verbatim", "summary"), (None, "summary")]
    assert free_texts((scorer,), None) == (text,)
    assert not AccountScorer(lambda context: ()).score(None)[ACCOUNTED].applies


def test_shares_are_of_sentences_and_repeats_weigh_as_one_case():
    results = [
        answer("a", "accounted", "accounted", "unread", "undecided"),
        answer("a", "accounted", "read", "read", "unsupported", repeat=1),
        answer("b", "accounted", "unread"),
        answer("c"),
    ]
    assert figure("sentences_accounted", results).value == pytest.approx((1.5 + 1) / 6)
    assert figure("sentences_unread", results).value == pytest.approx((1 + 1) / 6)
    assert figure("sentences_read", results).value == pytest.approx(1 / 6)
    assert figure("sentences_unsupported", results).value == pytest.approx(0.5 / 6)
    assert figure("novelty", results).n == 2


def test_a_share_of_none_still_has_an_interval():
    found = figure("sentences_unread", [answer(str(case), "accounted") for case in range(40)])
    assert (found.value, found.low) == (0.0, 0.0)
    assert 0.05 < found.high < 0.10


def test_the_verdict_gets_counts_over_both_arms_and_the_worse_upper_end():
    def unread(high):
        return {
            "sentences_unread": Metric(
                name="u", unit=Unit.RATE, higher_is_better=False, value=0.1, low=0.0, high=high, n=2
            )
        }

    results = [answer("a", "accounted", "unread"), answer("b", "read", "unsupported", "undecided")]
    found = read_sentences(results, (unread(0.2), unread(0.4)))
    assert (found.sentences, found.accounted, found.read, found.unsupported, found.unread) == (5, 1, 1, 1, 2)
    assert found.unread_high == 0.4
    assert read_sentences(results, (unread(None), {})).unread_high == 1.0
    assert read_sentences(results, ({}, {})) is None


def test_a_reader_begins_with_what_is_most_novel_and_samples_the_rest():
    answers = [[sentence("unread", novelty / 100) for novelty in range(place, 100, 10)] for place in range(10)]
    answers.append([sentence("accounted", 1.0)])
    order = reading_order(answers, most=20, sample=0.25, seed=3)
    assert order[:2] == [(9, 9), (8, 9)]
    assert len(set(order)) == 20
    assert {answers[i][j].novelty for i, j in order[:15]} == {novelty / 100 for novelty in range(85, 100)}
    assert all(answers[i][j].novelty < 0.85 for i, j in order[15:])
    assert len(reading_order(answers)) == 100


def test_readings_join_by_place_and_an_objection_outweighs_the_code():
    found = (sentence("accounted"), sentence("unread"), sentence("unread"))
    joined = join_readings(found, {0: ("unsupported", "no"), 1: ("supported", "")})
    assert [one.state for one in joined] == ["unsupported", "read", "unread"]
