"""The measurement of a step's cost: it takes every kind of step, and says when a bound is missed."""

import pytest

from eval.instruments.bench import steps
from eval.instruments.bench.steps import StepCost, step_costs


@pytest.mark.filterwarnings("ignore")  # fastmcp's
async def test_every_kind_of_step_is_measured_and_costs_more_than_a_bare_call():
    found = await step_costs(rounds=1, runs=1)
    assert [cost.bound_ms for cost in found] == [None, 1.0, 2.0, 2.0, 2.0]
    assert all(cost.least_ms <= cost.median_ms <= cost.most_ms for cost in found)


async def test_a_measured_run_that_goes_wrong_is_no_measurement(monkeypatch):
    monkeypatch.setattr(steps, "_SAID", "nothing that proves an address")
    with pytest.raises(RuntimeError, match="went wrong"):
        await step_costs(rounds=1, runs=1)


@pytest.mark.parametrize(("ms", "code"), [(1.0, 0), (1.1, 1)])
def test_a_median_above_its_bound_is_exit_code_1(monkeypatch, capsys, ms, code):
    async def found(rounds, runs):
        bare = StepCost(name="bare", median_ms=0.01, least_ms=0.01, most_ms=0.01, bound_ms=None)
        return [bare, StepCost(name="a question", median_ms=ms, least_ms=ms, most_ms=ms, bound_ms=1.0)]

    monkeypatch.setattr(steps, "step_costs", found)
    monkeypatch.setattr(steps, "configure_logging", lambda: None)
    assert steps.main() == code
    assert ("missed" in capsys.readouterr().out) is bool(code)
