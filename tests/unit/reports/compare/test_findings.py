"""Which changes are findings of their own, and which release each blames."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from reports.compare import findings, onset
from reports.compare.baselines import AliasMove
from reports.compare.comparisons import Baseline, Comparison
from reports.compare.outcomes import ComparisonResult
from reports.read.counts import ComparedSide
from reports.read.metrics import HELPFUL, P50, P95
from reports.read.weeks import Week

WEEK = Week.parse("2026-W46")
WORSE, BETTER = ComparisonResult.WORSE, ComparisonResult.BETTER


def compared(metric, pair="a", against="week before", result=WORSE, value=""):
    side = ComparedSide(digest=pair, periods=(0,))
    baseline = Baseline(digest=pair, label=pair, against=against, ours=side, theirs=side, their_label="")
    both = {"ours": SimpleNamespace(value=0.5), "theirs": SimpleNamespace(value=0.6)}
    contrast = SimpleNamespace(metric=metric, result=result, p=0.001, **both)
    return Comparison(baseline=baseline, contrast=contrast, dimension="channel" if value else "", value=value)


@pytest.mark.parametrize(
    ("tail", "also"),
    [
        ({}, False),
        ({"pair": "b"}, True),
        ({"against": "release before"}, True),
        ({"result": BETTER}, True),
        ({"value": "web"}, True),
    ],
)
def test_a_change_of_p50_is_left_out_only_beside_the_same_one_of_the_pairs_p95(monkeypatch, tail, also):
    monkeypatch.setattr(findings, "onset_of", lambda *_: None)
    monkeypatch.setattr(findings, "_affected", lambda *_: 0)
    monkeypatch.setattr(findings, "_since_words", lambda *_: "")
    found = findings.findings_of(SimpleNamespace(data=None), [compared(P50), compared(P95, **tail)], [])
    assert {item.metric.name for item in found} == ({P50.name, P95.name} if also else {P95.name})


@pytest.mark.parametrize(
    ("interval", "released", "blamed"),
    [
        ((-9, 3, 20), 0, False),
        ((-9, 3, 20), 1, True),
        ((-9, 3, 20), 3, True),
        ((-9, 3, 20), 5, True),
        ((-9, 3, 20), 6, False),
        ((3, 3, 3), 1, False),
        ((3, 3, 3), 2, True),  # in the afternoon: the third is its first whole day
        ((3, 3, 3), 4, False),
    ],
)
def test_a_change_blames_a_release_within_two_days_and_none_outside_its_interval(
    monkeypatch, interval, released, blamed
):
    move = AliasMove(
        digest="b" * 64,
        sequence=2,
        kind="promote",
        at=WEEK.start + timedelta(days=released, hours=17),
        environment="local",
        why="",
    )
    monkeypatch.setattr(onset, "_series", lambda *_: None)
    monkeypatch.setattr(onset, "best_split", lambda *_, **__: (interval, (0.6, 0.5)))
    change = onset.onset_of(SimpleNamespace(week=WEEK), compared(HELPFUL), [move])
    assert (change.release is move) == blamed
