"""Whom the week's report blames: nobody for what chance alone may show."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from reports.compare.advice import WeekFacts, actions
from reports.compare.baselines import AliasMove
from reports.compare.comparisons import Baseline, Comparison
from reports.compare.false_discovery import BLAME_SHARE, chance_of
from reports.compare.outcomes import ComparisonResult
from reports.read.counts import ComparedSide
from reports.read.metrics import HELPFUL, P95
from reports.read.samples import _fisher

TESTED = 100  # slices
RELEASE = AliasMove(
    digest="new",
    sequence=2,
    kind="promote",
    at=dt.datetime(2026, 11, 10, tzinfo=dt.UTC),
    environment="aws",
    why="shorter",
)


def compared(p, against="release before", value=""):
    side = ComparedSide(digest="new", periods=(0,))
    baseline = Baseline(digest="new", label="nova v2", against=against, ours=side, theirs=side, their_label="before")
    sides = {"ours": SimpleNamespace(value=0.5), "theirs": SimpleNamespace(value=0.7)}
    contrast = SimpleNamespace(metric=HELPFUL, result=ComparisonResult.WORSE, p=p, tested=p is not None, **sides)
    return Comparison(baseline=baseline, contrast=contrast, dimension="intent" if value else "", value=value)


def advised(item, role):
    """Return the actions in a week whose one finding is ``item``."""
    before = SimpleNamespace(release=None, label="nova v1")
    pair = SimpleNamespace(digest="new", label="nova v2", role=role, release=RELEASE, before=before)
    blamed = RELEASE if role == "production" else None
    finding = SimpleNamespace(
        result=ComparisonResult.WORSE, first=item, comparisons=(item,), metric=HELPFUL, blamed=blamed, since_words=""
    )
    others = [compared(0.5, value=str(number)) for number in range(TESTED - bool(item.dimension))]
    facts = WeekFacts(
        task="summarize",
        week="2026-W46",
        pairs=[pair],
        found=[finding],
        whole=[] if item.dimension else [item],
        sliced=[*others, *([item] if item.dimension else [])],
        blame_share=0.001,
        unhelpful=ComparisonResult.NONE,
        drifts=[],
        anomalies=[],
        ratings=SimpleNamespace(overall=None),
        themes=SimpleNamespace(themes=[]),
        promises=[],
    )
    return actions(facts)


@pytest.mark.parametrize(("role", "against"), [("production", "release before"), ("candidate", "production beside it")])
@pytest.mark.parametrize(
    ("p", "value", "sure"),
    [
        (0.000_004, "billing", True),  # 100 * p / 0.5 = 0.0008
        (0.000_006, "billing", False),
        (0.0004, "", True),  # a whole pair is one test
        (0.0006, "", False),
    ],
)
def test_only_what_chance_shows_in_one_of_a_thousand_weeks_is_blamed(role, against, p, value, sure):
    first, *_ = advised(compared(p, against, value), role)
    blamed = "roll back" if role == "production" else "end the rollout"
    assert first.short == (blamed if sure else "look closer")


def test_what_may_be_chance_is_said_with_how_often_it_would_be():
    first, *_ = advised(compared(0.000_05, "release before", "billing"), "production")
    assert first.do == "Read billing answers before you blame release 2 (nova v2)"
    assert first.because.endswith("is worse since then, but chance alone shows as much in up to 1 of 100 such weeks")
    assert first.command == ""


def contrasts(metric, *p_values):
    return [SimpleNamespace(metric=metric, p=p, tested=p is not None) for p in p_values]


def test_the_known_false_blame_is_no_blame():
    """A month without a change in which a slice of 46 ratings, p 0.00002 in 500 tests, had ended a rollout."""
    helpful, others = contrasts(HELPFUL, 0.000_02, *[0.5] * 82), contrasts(P95, *[0.5] * 417)
    chance = chance_of(helpful[0], [*helpful, *others])
    assert chance == pytest.approx(83 * 0.000_02 / 0.25)
    assert chance > BLAME_SHARE


def test_each_metric_has_its_share_of_the_error():
    helpful, slow = contrasts(HELPFUL, 0.001, 0.5), contrasts(P95, 0.001, 0.5, 0.5, None)
    assert chance_of(helpful[0], [*helpful, *slow]) == pytest.approx(2 * 0.001 / 0.25)
    assert chance_of(slow[0], [*helpful, *slow]) == pytest.approx(3 * 0.001 / 0.25)


def test_a_bound_of_a_share_is_at_most_one_and_what_was_not_tested_is_all_chance():
    likely, untested = contrasts(HELPFUL, 0.9, None)
    assert [chance_of(one, [likely, untested]) for one in (likely, untested)] == [1.0, 1.0]


def test_equal_weeks_are_blamed_no_more_often_than_the_bound_says():
    """20 slices of 100 ratings beside 400 of the release before, tested as the report tests them."""
    rng, weeks, below = np.random.default_rng(1), 500, 0
    for _ in range(weeks):
        drawn = rng.binomial((100, 400), 0.85, size=(20, 2))
        family = contrasts(HELPFUL, *(_fisher(int(a), 100, int(b), 400) for a, b in drawn))
        below += min(chance_of(one, family) for one in family) <= 0.05
    assert 0 < below <= 0.05 * weeks
