import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rollouts.live_counts import (
    LiveCounts,
    Observation,
    StopRule,
    mean_cost,
    p95,
    reason_to_stop,
    summed,
    wilson,
)

RULE = StopRule()


def counts(n, *, errors=0, degraded=0, guarded=0, latency_ms=1000.0, cost=0.001, rated=0, unhelpful=0, random=None):
    made = LiveCounts()
    for number in range(n):
        made.add(
            Observation(
                latency_ms=latency_ms * (random.lognormvariate(0, 0.4) if random else 1),
                error=number < errors,
                degraded=number < degraded,
                guarded=number < guarded,
                cost_usd=cost,
            )
        )
    for number in range(rated):
        made.rate(helpful=number >= unhelpful)
    return made


def why(candidate, production, *, alone=False):
    return reason_to_stop({"candidate": candidate, "production": production}, RULE, alone=alone)


def test_wilson_as_worked_by_hand():
    # 10 of 100 at 1.96: Wilson (1927), as in Newcombe (1998).
    low, high = wilson(10, 100, 1.96)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert wilson(0, 50, 1.96)[0] == 0


def test_p95_holds_the_true_one_to_a_counting_step():
    seen = LiveCounts()
    for number in range(1, 1001):
        seen.add(Observation(latency_ms=float(number)))
    low, high = p95(seen, 1.96)
    assert 880 < low < 950 < high < 1010


def test_a_rank_beyond_the_sample_has_no_upper_bound():
    assert p95(counts(10), 3.89)[1] == math.inf


def test_mean_cost_needs_two():
    assert mean_cost(counts(1), 1.96) == (0.0, math.inf)
    low, high = mean_cost(counts(100, cost=0.5), 1.96)
    assert low == pytest.approx(0.5) == high


@pytest.mark.parametrize(
    ("candidate", "named"),
    [
        ({"errors": 60}, "errors"),
        ({"degraded": 90}, "degraded"),
        ({"guarded": 120}, "guarded"),
        ({"latency_ms": 2000.0}, "latency"),
        ({"cost": 0.002}, "cost"),
        ({"rated": 200, "unhelpful": 80}, "unhelpful"),
    ],
)
@pytest.mark.acceptance("audit-13")
def test_a_candidate_that_does_worse_is_stopped_with_its_figure(candidate, named):
    reason = why(counts(500, **candidate), counts(4500, rated=1000, unhelpful=50))
    assert reason is not None
    assert reason.startswith(named)


def test_a_candidate_that_does_better_is_not():
    assert why(counts(500), counts(4500, errors=300, degraded=300, guarded=300, latency_ms=4000, cost=1)) is None


def test_a_fault_on_both_sides_does_not_stop_the_rollout():
    assert why(counts(500, errors=250), counts(4500, errors=2250)) is None


@pytest.mark.parametrize(("n", "m"), [(0, 0), (99, 5000), (5000, 99), (5000, 0)])
def test_missing_data_never_stops(n, m):
    bad = counts(n, errors=n, degraded=n, guarded=n, latency_ms=60_000, cost=9, rated=49, unhelpful=49)
    assert why(bad, counts(m)) is None


def test_missing_prices_never_stop_a_rollout():
    assert why(counts(500, cost=9.0), counts(500, cost=None)) is None


def test_a_candidate_for_all_customers_is_held_to_absolute_bounds():
    assert why(counts(500, errors=10), LiveCounts(), alone=True) is None
    assert "errors" in why(counts(500, errors=100), LiveCounts(), alone=True)


def test_counts_survive_json_and_add_up():
    one, other = counts(30, errors=3, rated=4, unhelpful=1), counts(20, degraded=2, latency_ms=50.0)
    back = [LiveCounts.from_json(json.loads(json.dumps(part.to_json()))) for part in (one, other)]
    total = summed(back)
    assert (total.requests, total.errors, total.degraded, total.rated) == (50, 3, 2, 4)
    assert sum(total.latencies.values()) == 50
    assert back[0] == one


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=60), st.integers(1, 5))
def test_how_requests_are_split_over_workers_changes_nothing(latencies, workers):
    whole = LiveCounts()
    parts = [LiveCounts() for _ in range(workers)]
    for number, latency in enumerate(latencies):
        seen = Observation(latency_ms=latency, error=number % 3 == 0)
        whole.add(seen)
        parts[number % workers].add(seen)
    assert summed(parts) == whole


def _run(seed, *, share, candidate, production, requests):
    """Send requests to both sides, ask the rule after every 50, and return after how many it stopped, or None."""
    random = Random(seed)
    sides = {"candidate": LiveCounts(), "production": LiveCounts()}
    for number in range(1, requests + 1):
        name = "candidate" if random.random() < share else "production"
        rates = candidate if name == "candidate" else production
        sides[name].add(
            Observation(
                latency_ms=random.lognormvariate(7.1, 0.45) * rates.get("slower", 1),
                error=random.random() < rates["errors"],
                degraded=random.random() < rates["degraded"],
                guarded=random.random() < rates["guarded"],
                cost_usd=random.uniform(0.0002, 0.0004),
            )
        )
        if number % 50 == 0 and reason_to_stop(sides, RULE, alone=False):
            return number
    return None


USUAL = {"errors": 0.004, "degraded": 0.02, "guarded": 0.06}


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_an_equal_pair_is_not_stopped_by_repeated_checks(share):
    stops = [_run(seed, share=share, candidate=USUAL, production=USUAL, requests=6000) for seed in range(30)]
    assert stops == [None] * 30


@pytest.mark.parametrize(
    "fault",
    [{"errors": 0.10}, {"degraded": 0.20}, {"guarded": 0.40}, {"slower": 2.0}],
    ids=lambda fault: next(iter(fault)),
)
def test_a_bad_pair_is_found(fault):
    stops = [_run(seed, share=0.1, candidate=USUAL | fault, production=USUAL, requests=8000) for seed in range(10)]
    assert all(stop is not None for stop in stops)


def approvals(n, refused):
    made = LiveCounts()
    for number in range(n):
        made.add(Observation(latency_ms=1000.0, approved=number >= refused))
    for _ in range(n):  # customers who are sold nothing: there is nothing to approve
        made.add(Observation(latency_ms=1000.0))
    return made


@pytest.mark.acceptance("agent-02")
def test_a_planted_drop_in_approvals_stops_the_rollout():
    production = approvals(400, 20)
    assert why(approvals(400, 20), production) is None
    assert why(approvals(400, 40), production) is None  # twice as many, and within what chance and margin allow
    stopped = why(approvals(400, 140), production)
    assert stopped == (
        "unapproved: 140 of 400 against production's 20 of 400, worse by at least 21.2% where 5% is allowed"
    )
    assert why(approvals(99, 99), production) is None  # too few


def test_alone_a_candidate_may_refuse_a_fifth_of_its_messages():
    nothing = LiveCounts()
    assert why(approvals(400, 80), nothing, alone=True) is None
    assert why(approvals(400, 160), nothing, alone=True).startswith("unapproved: 160 of 400")


def test_counts_without_approvals_are_written_as_before():
    assert {"judged", "unapproved"} & counts(10).to_json().keys() == set()
    both = summed([approvals(10, 3), counts(5)])
    assert (both.judged, both.unapproved) == (10, 3)
    assert LiveCounts.from_json(json.loads(json.dumps(both.to_json()))) == both
