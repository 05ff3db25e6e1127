"""The gate's error rates, measured on drawn cases whose truth is known; ``omni simulate`` prints the full tables."""

import pytest

from eval.instruments.bench import simulate
from eval.instruments.bench.simulate import CASE_COUNTS, FALSE_ALARMS, MARGINS, licence_lines

pytestmark = pytest.mark.slow
TRIALS = 400


def test_ninety_five_percent_intervals_hold_the_truth_that_often():
    for line in simulate.coverages(simulate.CASES, trials=TRIALS):
        assert 0.92 - 2 * line.error <= line.share, line
        # Score intervals and those of half-point losses may be cautious, no interval may be vacuous.
        assert line.share <= 0.98 + 2 * line.error, line


@pytest.mark.parametrize("comparison", simulate.COMPARISONS, ids=lambda c: c.name)
def test_a_pair_worse_by_the_margin_passes_in_at_most_one_of_twenty(comparison):
    line = simulate.passes(comparison, simulate.CASES, -comparison.margin, trials=TRIALS)
    assert line.share - 2 * line.error <= 0.05, line


def test_an_equal_pair_passes_at_the_gates_size_more_often_than_not_and_rarely_at_forty():
    for comparison in simulate.COMPARISONS:
        full = simulate.passes(comparison, simulate.CASES, 0.0, trials=100)
        small = simulate.passes(comparison, 40, 0.0, trials=100)
        assert full.share > 0.5 > small.share, comparison.name


def test_the_simulation_would_notice_an_interval_that_is_too_narrow():
    def narrow(rng):
        return simulate.rate_interval(int(rng.binomial(200, 0.9)), 200, confidence=0.8)

    assert simulate.coverage("narrow", narrow, 0.9, trials=TRIALS).share < 0.9


def test_the_licence_table_has_a_dash_where_no_recall_suffices():
    lines = licence_lines()
    assert len(lines) == 3 + len(FALSE_ALARMS) + 2
    head, few, many = lines[1].split(), lines[3].split(), lines[8].split()
    assert head == ["margin", *(f"{margin:.2f}" for margin in MARGINS for _ in CASE_COUNTS)]
    assert few[:3] == ["false", "alarms", "0.00"]
    assert "–" not in few
    assert many[3:7] == ["–"] * 4
    assert lines[-1].startswith("Enough means: at 10% harmed answers the gate does not pass")
