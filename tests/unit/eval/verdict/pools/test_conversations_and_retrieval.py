"""Turns, cost per resolved conversation, recall of the first k documents, precision of citations."""

import pickle

import pytest
from pool_answers import FAILED, answers, cases_labelled

from eval.instruments.retrieval.measure import recall_at
from eval.spine.cases import Case
from eval.verdict.pooled import pooled, pooled_interval
from eval.verdict.pools import CitationPrecision, CostPerResolved, PassHat, RecallAt, ScoreReaches, TurnsPerConversation

CASES = cases_labelled(["any"] * 40)
RESOLVED = CostPerResolved(resolved=ScoreReaches("right"))


def words(result):
    return result.output.split()


def count(result):
    return len(words(result))


def wanted(case):
    return frozenset(str(case.slices.get("wanted", "")).split())


def interval(pool, items, cases=CASES):
    return pooled_interval(pooled(pool, items, cases), seed=1)


def test_turns_are_a_mean_over_conversations():
    found = interval(TurnsPerConversation(turns=count), answers([["a b", "a b c d"], ["a"], [FAILED]]))
    assert (found.value, found.n) == (pytest.approx((3 + 1) / 2), 2)
    same = interval(TurnsPerConversation(turns=count), answers([["a b"]] * 20))
    assert (same.low, same.high, same.method) == (2.0, 2.0, "all cases equal")
    short = interval(TurnsPerConversation(turns=count, bounds=(1.0, 8.0)), answers([["a b"]] * 20))
    assert (short.low, short.high) == (pytest.approx(2 - 0.1611, abs=1e-3), pytest.approx(2 + 6 * 0.1611, abs=1e-3))


@pytest.mark.acceptance("bot-test-13")
def test_what_failed_costs_too_and_is_not_resolved():
    items = answers(
        [["x", "x"], ["x", FAILED], ["x", "x"]],
        scores=[[1, 0], [1, None], [None, 1]],
        costs=[[0.1, 0.3], [0.2, 0.4], [9.0, 0.5]],
    )
    # Means per case: 0.2 and half resolved; 0.3 and half resolved; the one that could be judged, 0.5 and resolved.
    assert interval(RESOLVED, items).value == pytest.approx((0.2 + 0.3 + 0.5) / (0.5 + 0.5 + 1))


def test_cost_is_undefined_where_nothing_was_resolved_or_has_no_price():
    assert interval(RESOLVED, answers([["x"]] * 3, scores=[[0]] * 3, costs=[[0.1]] * 3)) is None
    assert interval(RESOLVED, answers([["x"]] * 3, scores=[[1]] * 3, costs=[[0.1], [None], [0.1]])) is None
    nobody_knows = pooled(RESOLVED, answers([["x"]], scores=[[None]], costs=[[0.1]]), CASES)
    assert nobody_knows.uncounted == {"case-0"}


def test_too_few_resolved_conversations_bound_no_cost():
    few, more = (
        interval(RESOLVED, answers([["x"]] * 40, scores=[[1]] * n + [[0]] * (40 - n), costs=[[0.1]] * 40))
        for n in (1, 8)
    )
    assert (few.value, few.low, few.high) == (pytest.approx(4.0), None, None)
    assert few.method.endswith("% of the draws have no figure")  # 36%, in which none is resolved
    assert more.value == pytest.approx(0.5)
    assert more.low < 0.5 < 0.8 < more.high


def cases_wanting(*documents):
    return {f"case-{n}": Case(id=f"case-{n}", inputs={}, slices={"wanted": text}) for n, text in enumerate(documents)}


def test_recall_is_the_mean_of_the_cases_and_agrees_with_the_benchmark_of_the_search():
    cases = cases_wanting("a b", "c", "")
    listed = [["a x b y", "x y a b"], ["x c"], ["x"]]
    found = interval(RecallAt(k=2, wanted=wanted, found=words), answers(listed), cases)
    by_hand = [
        sum(recall_at(2, text.split(), wanted(case)) for text in texts) / len(texts)
        for case, texts in list(zip(cases.values(), listed, strict=True))[:2]
    ]
    assert (found.value, found.n) == (pytest.approx(sum(by_hand) / 2), 2)


def test_a_document_found_twice_takes_one_place():
    assert interval(RecallAt(k=2, wanted=wanted, found=words), answers([["a a b"]]), cases_wanting("a b")).value == 1.0


def test_citation_precision_is_of_all_citations():
    cases = cases_wanting("a b", "c", "d")
    found = interval(CitationPrecision(wanted=wanted, cited=words), answers([["a b x"], ["x"], [""]]), cases)
    assert (found.value, found.n) == (pytest.approx(2 / 4), 2)


def test_a_suites_pools_travel_to_another_process():
    for pool in (PassHat(k=4, right=ScoreReaches("right")), RESOLVED, RecallAt(k=5, wanted=wanted, found=words)):
        assert pickle.loads(pickle.dumps(pool)) == pool
