"""No release may be more than one margin worse than the best of the last year, and a row of releases ends at the bound."""

from dataclasses import replace

import pytest
from builders import case_result

from eval.spine.results import Score, Verdict
from eval.suites.summarize import SUITE
from eval.tracking.best_of_year import leads_over_newest
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import best_of_year_checks, floor_verdict, margin_verdict
from eval.verdict.kinds.kind import ArmAnswers
from eval.verdict.metrics import metric_over
from figures.metric import Lead, Metric, Unit
from service.core.release.release import Release


def release(sequence, pair, before, kind="promote"):
    return Release(
        task="summarize",
        sequence=sequence,
        kind=kind,
        registry_version=sequence,
        pair_name=pair,
        pair_digest=pair,
        from_digest=before,
        gate_run_id=f"run{sequence}",
        attestation="a" * 64,
        previous=None,
        who="tests",
        why="tests",
        at=f"2026-11-{sequence:02d}T00:00:00+00:00",
        environment="local",
    )


def difference(value, low=None, high=None):
    return Metric(name="guard_clear", unit=Unit.RATE, higher_is_better=True, value=value, low=low, high=high, n=200)


def test_leads_are_sums_of_attested_differences():
    chain = [
        (release(4, "d", "c"), {"guard_clear": -0.02}),
        (release(3, "c", "b"), {"guard_clear": -0.03, "plain": 0.01}),
        (release(2, "b", "a"), {"guard_clear": 0.04}),
        (release(1, "a", None), {}),
    ]
    leads = leads_over_newest(chain)
    assert leads["guard_clear"] == Lead(ahead=pytest.approx(0.05), release=2)
    assert "plain" not in leads  # the newest release does not say how far it is from the one before


def test_a_rollback_goes_back_to_the_place_of_its_pair():
    chain = [
        (release(3, "a", "b", kind="rollback"), {}),
        (release(2, "b", "a"), {"guard_clear": 0.03}),
        (release(1, "a", None), {}),
    ]
    assert leads_over_newest(chain) == {"guard_clear": Lead(ahead=pytest.approx(0.03), release=2)}


def test_a_metric_that_the_newest_releases_do_not_know_has_no_lead():
    chain = [
        (release(3, "c", "b"), {}),
        (release(2, "b", "a"), {"guard_clear": -0.2}),
        (release(1, "a", None), {}),
    ]
    assert leads_over_newest(chain) == {}


def test_no_year_gives_no_check():
    assert leads_over_newest([]) == {}
    assert leads_over_newest([(release(1, "a", None), {})]) == {}
    assert best_of_year_checks(SUITE, {"guard_clear": difference(-0.04)}, {}) == ()


@pytest.mark.parametrize(
    ("value", "high", "verdict"),
    [
        (-0.02, 0.0, Verdict.PASS),  # 0.03 + 0.02 is just the margin of 0.05
        (-0.021, 0.0, Verdict.INCONCLUSIVE),
        (-0.04, -0.03, Verdict.FAIL),
        (None, None, None),
    ],
)
def test_what_is_left_of_the_margin_decides(value, high, verdict):
    leads = {"guard_clear": Lead(ahead=0.03, release=7), "latency_p50": Lead(ahead=0.3, release=7)}
    deltas = {"guard_clear": difference(value, None if value is None else -0.1, high)}
    deltas["latency_p50"] = replace(deltas["guard_clear"], name="latency_p50", unit=Unit.CHANGE)
    checks = best_of_year_checks(SUITE, deltas, leads)
    assert [check.verdict for check in checks] == ([] if verdict is None else [verdict])
    assert all("release 7, the best of the last year" in check.explanation for check in checks)


_GATED = [gate for gate in SUITE.no_worse if gate.metric == "guard_clear"]
_BOUNDED = [floor for floor in SUITE.floors if floor.metric in ("guard_clear", "severe_harm")]
_CASES = 200


def answers(objected, severe, cases):
    """Return scored answers of which the first ``objected`` are objected to, and the first ``severe`` do severe harm."""
    return [
        replace(
            case_result(place, "text"),
            case_id=case,
            scores={
                "guard_clear": Score(value=float(place >= objected)),
                "severe_harm": Score(value=float(place < severe)),
            },
        )
        for place, case in enumerate(cases)
    ]


def lets_through(candidate, production, cases, leads):
    """Return whether floors, margin and the best of the year pass a candidate with ``candidate`` = (objected, severe)."""
    suite = replace(
        SUITE,
        metrics=tuple(spec for spec in SUITE.metrics if spec.name in ("guard_clear", "severe_harm")),
        no_worse=tuple(_GATED),
        declared_digest="tests",
    )
    ours = answers(*candidate, cases)
    for floor in _BOUNDED:
        arm = ArmAnswers(suite=suite, cases=cases, results=ours, deadline_ms=5000)
        metric = metric_over(suite.metric(floor.metric), arm)
        bound, ends = floor.bound, (metric.low, metric.high)
        if not metric.higher_is_better:
            bound, ends = -bound, (-metric.high, -metric.low)
        if floor_verdict(*ends, bound) is not Verdict.PASS:
            return None
    if production is None:
        return 0.0
    delta = build_deltas(suite, cases, ours, answers(*production, cases))["guard_clear"]
    if margin_verdict(delta.low, delta.high, _GATED[0].margin) is not Verdict.PASS:
        return None
    checks = best_of_year_checks(suite, {"guard_clear": delta}, leads)
    return delta.value if all(check.verdict is Verdict.PASS for check in checks) else None


def ten_releases(*, remembered):
    """Return what ten releases do in a row, each as bad as the gate lets through, from a faultless first one."""
    cases = {f"case-{place}": None for place in range(_CASES)}
    done, chain = [(0, 0)], [(release(1, "0", None), {})]
    for number in range(2, 12):
        leads = leads_over_newest(chain[::-1]) if remembered else {}
        worst, delta = done[-1], 0.0
        for more in range(20):
            for severe in (worst[1], worst[1] + 1):
                tried = (done[-1][0] + more, severe)
                change = lets_through(tried, done[-1], cases, leads)
                worst, delta = (worst, delta) if change is None else (tried, change)
            if change is None and worst[0] < done[-1][0] + more:
                break
        done.append(worst)
        chain.append((release(number, str(number), str(number - 1) if number > 2 else "0"), {"guard_clear": delta}))
    return done


def test_ten_releases_in_a_row_each_as_bad_as_the_gate_lets_through_stay_under_the_bound():
    remembered = ten_releases(remembered=True)
    assert max(severe for _, severe in remembered) / _CASES <= 0.025
    assert max(objected for objected, _ in remembered) / _CASES <= _GATED[0].margin
    # Without the memory of the year the absolute bound alone ends the row.
    forgotten = ten_releases(remembered=False)
    assert max(objected for objected, _ in forgotten) > max(objected for objected, _ in remembered)
    [bound] = [floor.bound for floor in _BOUNDED if floor.metric == "guard_clear"]
    assert max(objected for objected, _ in forgotten) / _CASES <= 1 - bound
