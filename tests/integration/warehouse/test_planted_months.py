"""What the weekly report tells of simulated months; `omni bench months` counts over hundreds."""

import pytest

from reports.simulate.months import planned, told
from reports.simulate.power import report_on


@pytest.mark.parametrize(("seed", "cause"), [(3, "release"), (7, "nothing of ours")])
def test_a_report_names_figure_first_day_and_cause_of_a_planted_fault(seed, cause):
    month = planned(seed, 4_000)
    assert month.cause == cause
    assert set(told(month, report_on(month.scenario)).values()) == {True}
