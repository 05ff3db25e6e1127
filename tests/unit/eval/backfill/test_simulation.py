"""The simulated bulk run: equal to what can be worked out by hand, and slower with a quota, a slow client or dying workers."""

from dataclasses import replace
from decimal import Decimal

import pytest

from eval.backfill.simulation import BulkPlan, ItemCost, simulate_bulk

CALM = BulkPlan(
    items=20_000, workers=4, concurrency=8, p50_s=1.0, p95_s=1.0001, deaths_per_hour=0, client_per_second=1e6
)


def test_calls_of_one_second_take_items_by_slots():
    assert simulate_bulk(CALM).seconds == pytest.approx(20_000 / 32, rel=0.01)


@pytest.mark.parametrize("limit", [{"per_second": 10.0}, {"client_per_second": 10.0}])
def test_a_rate_bounds_the_time(limit):
    assert simulate_bulk(replace(CALM, **limit)).seconds == pytest.approx(2000, rel=0.01)


def test_the_mean_of_a_skewed_latency_counts():
    # A lognormal with p50 1 and p95 2 has sigma ln(2)/1.645 = 0.4214 and mean exp(sigma^2/2) = 1.093.
    assert simulate_bulk(replace(CALM, p95_s=2.0)).seconds == pytest.approx(625 * 1.093, rel=0.03)


def test_a_death_loses_no_more_than_one_workers_calls():
    outcome = simulate_bulk(replace(CALM, deaths_per_hour=12.0, items=60_000))
    assert outcome.deaths > 5
    assert 0 < outcome.lost_calls <= 8 * (outcome.deaths + 4)
    assert outcome.seconds > simulate_bulk(replace(CALM, items=60_000)).seconds


def test_the_backup_is_paid_on_top():
    cost = ItemCost(
        cold=Decimal("0.002"), warm=Decimal("0.001"), backup=Decimal("0.01"), most=Decimal("0.1"), input_tokens=1, output_tokens=1
    )  # fmt: skip
    assert cost.total(1000, 0.05, cached=False) == Decimal("2.5")
    assert cost.total(1000, 0.05, cached=True) == Decimal("1.5")
