"""The recall that the gate needs of a judge: against the gate's own intervals drawn case by case, and its limits."""

import numpy as np
import pytest

from eval.spine.results import Verdict
from eval.verdict.gate import floor_verdict, margin_verdict
from eval.verdict.needed_recall import (
    JudgeBounds,
    most_false_alarms,
    needed_recall,
    recall_for_first_release,
    shares,
    strictest_floor,
)
from eval.verdict.paired import rate_difference_interval
from figures.stats import rate_interval

GATE = JudgeBounds(cases=200, margin=0.05)


def drawn_verdicts(bounds, dose, recall, false_alarms, trials=300):
    """Return the gate's verdicts on graded cases drawn one by one, as an independent implementation of ``shares``."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(trials):
        harmed = rng.random(bounds.cases) < dose
        ours = rng.random(bounds.cases) >= np.where(harmed, max(recall, false_alarms), false_alarms)
        theirs = rng.random(bounds.cases) >= false_alarms
        interval = rate_difference_interval(ours.astype(float) - theirs)
        verdicts = [margin_verdict(interval.low, interval.high, bounds.margin)]
        if bounds.floor is not None:
            floor = rate_interval(int(ours.sum()), bounds.cases)
            verdicts.append(floor_verdict(floor.low, floor.high, bounds.floor))
        found.append(
            Verdict.FAIL
            if Verdict.FAIL in verdicts
            else Verdict.INCONCLUSIVE
            if len(set(verdicts)) > 1
            else verdicts[0]
        )
    return found


@pytest.mark.parametrize(
    ("bounds", "dose", "recall", "false_alarms"),
    [
        (GATE, 0.0, 0.9, 0.02),
        (GATE, 0.10, 0.5, 0.01),
        (GATE, 0.25, 0.5, 0.02),
        (JudgeBounds(cases=200, margin=0.10), 0.25, 0.9, 0.15),
        (JudgeBounds(cases=100, margin=0.10, floor=0.80), 0.10, 0.9, 0.03),
        (JudgeBounds(cases=200, margin=0.05, floor=0.90), 0.0, 0.9, 0.03),
    ],
)
def test_shares_are_those_of_verdicts_drawn_case_by_case(bounds, dose, recall, false_alarms):
    found = shares(bounds, dose=dose, recall=recall, false_alarms=false_alarms)
    drawn = drawn_verdicts(bounds, dose, recall, false_alarms)
    assert found.passed == pytest.approx(drawn.count(Verdict.PASS) / len(drawn), abs=0.08)
    assert found.failed == pytest.approx(drawn.count(Verdict.FAIL) / len(drawn), abs=0.08)


def test_the_needed_recall_is_the_least_that_meets_every_target():
    needed = needed_recall(GATE, 0.01)
    assert needed is not None
    assert 0.4 < needed < 0.6

    def meets(recall):
        small = shares(GATE, dose=0.10, recall=recall, false_alarms=0.01)
        large = shares(GATE, dose=0.25, recall=recall, false_alarms=0.01)
        return small.passed <= 0.10 and large.failed >= 0.90

    assert meets(needed)
    assert not meets(needed - 0.02)


def test_more_false_alarms_need_more_recall_until_an_equal_pair_no_longer_passes():
    most = most_false_alarms(GATE)
    assert needed_recall(GATE, 0.0) < needed_recall(GATE, most)
    assert needed_recall(GATE, most + 0.002) is None
    assert shares(GATE, dose=0, recall=0, false_alarms=most).passed >= 0.80


def test_a_wider_margin_bears_more_false_alarms_and_needs_more_recall():
    wide = JudgeBounds(cases=200, margin=0.10)
    assert most_false_alarms(wide) > most_false_alarms(GATE)
    assert needed_recall(wide, 0.01) > needed_recall(GATE, 0.01)


def test_no_recall_suffices_where_the_score_has_no_bound_or_a_floor_alone():
    assert needed_recall(JudgeBounds(cases=200, margin=None), 0.0) is None
    assert needed_recall(JudgeBounds(cases=200, margin=None, floor=0.80), 0.0) is None


def alone(floor):
    return JudgeBounds(cases=200, margin=None, floor=floor)


def test_a_judges_floor_is_as_strict_as_its_false_alarms_let_a_good_pair_pass():
    bounds = JudgeBounds(cases=200, margin=0.07, floor=0.87)
    floors = [strictest_floor(bounds, rate) for rate in (0.01, 0.02, 0.04, 0.2)]
    assert floors == sorted(floors, reverse=True)
    assert floors[-1] == 0.87
    passing = shares(alone(floors[1]), dose=0.0, recall=0.0, false_alarms=0.02).passed
    stricter = shares(alone(floors[1] + 0.005), dose=0.0, recall=0.0, false_alarms=0.02).passed
    assert passing >= 0.80 > stricter


def test_at_a_first_release_the_floor_alone_stops_a_tenth_of_harmed_answers():
    recall = recall_for_first_release(JudgeBounds(cases=200, margin=0.07, floor=0.895), 0.02)
    assert recall is not None
    assert shares(alone(0.895), dose=0.10, recall=recall, false_alarms=0.02).passed <= 0.10
    assert shares(alone(0.895), dose=0.10, recall=recall - 0.02, false_alarms=0.02).passed > 0.10
    assert recall_for_first_release(alone(0.5), 0.0) is None
    assert recall_for_first_release(GATE, 0.02) == 0.0
