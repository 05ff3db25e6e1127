"""What a search means for a verdict: looks that widen intervals, counts in the attestation, and judges that may not decide."""

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_evaluation import SUITE, tiny_evaluation

from eval.judges.grading import refuse_self_judging
from eval.run.answering import InterimLooks
from eval.spine.results import InterimLook
from eval.verdict.attest import attest
from eval.verdict.gate import margin_verdict
from eval.verdict.paired import rate_difference_interval
from figures.stats import MOST_RESAMPLES, RESAMPLES, mean_interval, resamples_at
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Lineage
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT

CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
PAIR = load_pair(
    REPO_ROOT / "prompts" / "summarize" / "nova-lite.prompty",
    cards=CARDS,
    task_variables=("history", "contact_reason", "today"),
)
MADE = Lineage(run="20261125T221500-1a2b", number=7, parent="ab" * 32, tried=12, looks=12, writers=("openai/gpt-4o",))


def test_each_candidate_that_was_tried_is_a_look_and_one_that_was_fixed_before_is_one():
    found = {}
    for looks in (1, 12):
        pair = replace(PAIR, lineage=replace(MADE, looks=looks))
        found[looks] = InterimLooks.plan([pair], CARDS, None).at(pair)
    assert found[1].confidence == pytest.approx(0.95)
    assert found[12].confidence == pytest.approx(1 - 0.05 / 12)
    assert found[1].words == "chosen among 12 candidates"
    assert found[12].words == "chosen among 12 candidates, counts as 12 looks"
    assert InterimLook(number=2, planned=4, tried=3, searched=3).confidence == pytest.approx(1 - 0.05 / 12)
    plain = InterimLooks.plan([PAIR], CARDS, None).at(PAIR)
    assert (plain.tried, plain.looks, plain.words) == (0, 1, "")


def test_a_difference_that_passes_at_one_look_is_undecided_at_twelve():
    same = np.zeros(200)
    verdicts = [
        margin_verdict(found.low, found.high, 0.02).value
        for found in (rate_difference_interval(same, confidence=1 - 0.05 / looks) for looks in (1, 12))
    ]
    assert verdicts == ["pass", "inconclusive"]


def test_tails_hold_enough_draws_for_many_looks():
    assert resamples_at(0.95) == resamples_at(0.9875) == RESAMPLES
    assert resamples_at(1 - 0.05 / 12) == 5_760
    assert resamples_at(1 - 0.05 / 1_000) == MOST_RESAMPLES
    values = np.random.default_rng(3).normal(0.5, 0.2, 60)
    widths = [
        found.high - found.low for found in (mean_interval(values, seed=1, confidence=1 - 0.05 / n) for n in (1, 12))
    ]
    # Student's t with 59 degrees of freedom: 2.00 and 2.98.
    assert widths[1] / widths[0] == pytest.approx(2.98 / 2.00, rel=0.12)


def attested(look):
    made = tiny_evaluation()
    pair = made.pairs[0]
    pair = replace(pair, gate=replace(pair.gate, look=look))
    now = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    return attest(made, pair, gate_dataset=SUITE.gate_dataset, cases="[]", now=now, days=30).attestation


def test_the_attestation_says_how_many_candidates_were_tried():
    found = attested(InterimLook(tried=12, searched=1))
    assert (found.candidates_tried, found.search_looks) == (12, 1)
    predicate = found.statement()["predicate"]
    assert (predicate["candidates_tried"], predicate["search_looks"]) == (12, 1)
    plain = attested(InterimLook())
    assert (plain.candidates_tried, plain.search_looks) == (0, 0)
    assert not {"candidates_tried", "search_looks"} & set(plain.statement()["predicate"])


def test_a_model_that_worded_a_pair_does_not_judge_it():
    judge = SimpleNamespace(rubric="faithfulness", pair=SimpleNamespace(model="openai/gpt-4o"))
    refuse_self_judging(judge, [PAIR])
    with pytest.raises(
        ConfigurationError, match="worded pair 'nova-lite' in the search 20261125T221500-1a2b; who optimises"
    ):
        refuse_self_judging(judge, [replace(PAIR, lineage=MADE)])
