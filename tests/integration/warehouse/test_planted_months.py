"""What the weekly report tells of simulated months; `omni bench months` counts over hundreds."""

import pytest

from reports.simulate.months import planned, told
from reports.simulate.power import report_on


@pytest.mark.parametrize(("seed", "cause"), [(3, "release"), (7, "nothing of ours")])
def test_a_report_names_figure_first_day_and_cause_of_a_planted_fault(seed, cause):
    month = planned(seed, 4_000)
    assert month.cause == cause
    assert set(told(month, report_on(month.scenario)).values()) == {True}


@pytest.mark.parametrize(("share", "advised"), [(0.001, "look closer"), (1.0, "end the rollout")])
def test_chance_in_a_month_without_a_change_ends_no_rollout(monkeypatch, share, advised):
    """In this month the candidate's helpful rate for one intent is 0.63 (46 ratings) beside 0.91 (171)."""
    monkeypatch.setattr("reports.compare.weekly.BLAME_SHARE", share)
    month = planned(57, 4_000, equal=True)
    report = report_on(month.scenario)
    assert report.actions[0].short == advised
    assert told(month, report) == {"worse": True, "blamed": share == 1.0}
