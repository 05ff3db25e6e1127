"""The capacity model: its queues agree with queueing theory, its figures move as they must, and its page is what it makes."""

from dataclasses import replace

import numpy as np
import pytest

from omni.capacity.model import CapacityFigure, CapacityModel, CapacityTask, lognormal, poisson, read_figures, simulate
from service.core.unit.cards import ModelCards
from service.kit.settings import REPO_ROOT

SIZE = CapacityTask(vcpu=0.5, memory_gb=1.0, least=2, most=10)


def model(**changed):
    figures = read_figures()
    for name, value in changed.items():
        figures[name] = figures[name].model_copy(update={"value": float(value)})
    return CapacityModel(figures=figures, cards=ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"), size=SIZE)


@pytest.mark.parametrize(("rate", "half_s"), [(5.0, 0.02), (10.0, 0.03), (10.0, 0.04)])
@pytest.mark.acceptance("operation-10")
def test_queues_agree_with_jacksons_theorem(rate, half_s):
    # Two exponential visits to one server with a wait of any length in between: a product-form network, so the mean number
    # at the server is rho / (1 - rho) with rho = 2 * rate * half_s, and by Little's law the mean time there that over the rate.
    rng = np.random.default_rng(7)
    arrivals = poisson(rate, 20_000, rng)
    found = simulate(
        arrivals, tasks=1, cpu=lambda: rng.exponential(half_s), model=lambda: rng.exponential(1.0), rng=rng
    )
    rho = 2 * rate * half_s
    assert found.waits_s.mean() == pytest.approx(rho / (1 - rho) / rate + 1.0, rel=0.05)
    assert found.busy == pytest.approx(rho, rel=0.03)


def test_a_burst_is_worked_off_one_by_one():
    rng = np.random.default_rng(1)
    found = simulate(np.zeros(100), tasks=1, cpu=lambda: 0.01, model=lambda: 0.0, rng=rng)
    assert found.waits_s.max() == pytest.approx(2.0)
    halved = simulate(np.zeros(1000), tasks=4, cpu=lambda: 0.01, model=lambda: 0.0, rng=rng)
    assert 5.0 <= halved.waits_s.max() <= 7.0  # 250 a task on average, spread at random


def test_drawn_times_have_their_median_and_percentile():
    draw = lognormal(1.0, 2.0, np.random.default_rng(3))
    drawn = [draw() for _ in range(20_000)]
    assert np.percentile(drawn, [50, 95]) == pytest.approx([1.0, 2.0], rel=0.03)


def test_more_traffic_slower_code_and_dearer_models_show():
    base = model().need(1)
    assert base.month_usd["model, nothing cached"] == pytest.approx(10_000 * 30.4 * 0.000228, rel=0.01)
    assert model().need(10).write_units_s == pytest.approx(10 * base.write_units_s)
    slower = model(cpu_ms=20).need(1)
    assert slower.tasks > base.tasks
    assert model(burst=5000, cpu_ms=50).need(1).tasks is None
    assert model(calls_a_day=1_000_000).need(1).call_workers > base.call_workers


@pytest.mark.acceptance("operation-10")
def test_the_least_number_of_tasks_is_the_least():
    found = model()
    need = found.need(1)
    assert found._holds(need.peak_a_s, need.tasks - 1)
    assert not found._holds(need.peak_a_s, need.tasks - 2)


def test_production_always_runs_what_the_model_asks_for():
    import yaml

    prod = yaml.safe_load((REPO_ROOT / "infra" / "cdk" / "environments.yaml").read_text(encoding="utf-8"))["prod"]
    size = CapacityTask(vcpu=prod["tasks"]["cpu"] / 1024, memory_gb=prod["tasks"]["memory_mb"] / 1024, least=1, most=1)
    assert prod["tasks"]["least"] >= replace(model(), size=size).need(1).tasks


def test_a_figure_without_a_source_is_refused(tmp_path):
    file = tmp_path / "figures.yaml"
    file.write_text("cpu_ms: {value: 5, unit: ms, kind: measured}", encoding="utf-8")
    with pytest.raises(ValueError, match="source"):
        read_figures(file)
    assert isinstance(read_figures()["cpu_ms"], CapacityFigure)
