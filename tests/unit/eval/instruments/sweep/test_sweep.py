"""The matrix of a sweep, its Pareto front, and its page."""

import json
import re
import shutil
from pathlib import Path

import pytest

from eval.evaluation.evaluate import Options
from eval.instruments.sweep.points import SweepPoint, quality_spec, sweep_points
from eval.instruments.sweep.report import render_sweep, scatter, write_sweep
from eval.instruments.sweep.run import SweepOptions, cells, derive
from eval.spine.errors import SweepError
from eval.spine.results import CaseResult, Evaluation, GateResult, PairResult
from eval.suites import load_suite
from figures.metric import Metric, Unit
from service.core.run.task import TaskResult, load_task
from service.core.tasks.summarize.digest import MODEL_ID
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import PairError
from service.kit.settings import REPO_ROOT, Settings

SUITE = load_suite("summarize")
PROMPTS = ("extractive", "smollm2-short")


def options(*models: str, pairs: tuple[str, ...] = PROMPTS, **changes: object) -> SweepOptions:
    return SweepOptions(of=Options(task="summarize", pairs=pairs), models=models, **changes)  # type: ignore[arg-type]


def test_the_matrix_has_every_prompt_with_every_model_and_code_once() -> None:
    found = cells(options("smollm2-135m", MODEL_ID, "smollm2-135m"), Settings())
    assert [pair.name for pair in found] == [
        "extractive@smollm2-135m", "extractive@extractive-digest", "smollm2-short@smollm2-135m",
    ]  # fmt: skip
    assert len({pair.digest for pair in found}) == 3


def test_a_derived_pair_keeps_the_prompt_and_has_no_backup() -> None:
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    task = load_task("summarize")
    path = REPO_ROOT / "prompts" / "summarize" / "smollm2-short.prompty"
    pair = load_pair(path, cards=cards, task_variables=task.variables)
    assert pair.backup is not None
    made = derive(pair, cards.get("local.echo-v1"))
    assert (made.messages, made.sampling, made.output) == (pair.messages, pair.sampling, pair.output)
    assert (made.model, made.backup) == ("local.echo-v1", None)
    assert made.digest != pair.digest


def test_a_provider_model_is_refused_where_only_a_stand_in_would_answer() -> None:
    with pytest.raises(SweepError, match=r"only a stand-in would answer for amazon\.nova-lite"):
        cells(options("nova-lite"), Settings())
    assert len(cells(options("nova-lite", stand_in=True), Settings())) == 2
    assert len(cells(options("nova-lite"), Settings(environment="aws"))) == 2


def test_wrong_requests_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="--models"):
        cells(options(), Settings())
    with pytest.raises(PairError, match="litellm does not know it"):
        cells(options("gpt"), Settings())
    with pytest.raises(SweepError, match="use one of: bleu, chrf"):
        quality_spec(SUITE, "latency_p50")
    assert quality_spec(SUITE, None).name == SUITE.no_worse[0].metric
    shutil.copytree(REPO_ROOT / "prompts", tmp_path / "prompts")
    text = (tmp_path / "prompts" / "summarize" / "smollm2-short.prompty").read_text()
    for number in range(70):
        (tmp_path / "prompts" / "summarize" / f"p{number}.prompty").write_text(
            text.replace("name: smollm2-short", f"name: p{number}")
        )
    with pytest.raises(SweepError, match="more than 64"):
        cells(options("echo", pairs=()), Settings(root=tmp_path))


def metric(name: str, value: float | None) -> Metric:
    spec = SUITE.metric(name)
    half = None if value is None else value / 10
    return Metric(
        name=name, unit=spec.unit, higher_is_better=spec.higher_is_better, value=value,
        low=None if value is None or half is None else value - half,
        high=None if value is None or half is None else value + half, n=12,
    )  # fmt: skip


def make_pair(name: str, quality: float, cost: float, latency: float | None, by: str = "m") -> PairResult:
    gate = GateResult(
        pair_name=name, pair_digest=name, dataset_digest="d", suite_digest="s", baseline_digest=None, checks=()
    )
    figures = {"grounded": quality, "cost_cold": cost, "latency_p50": latency}
    result = TaskResult(output="x", arm="primary", model="amazon.x", answered_by=by, latency_ms=1.0)
    item = CaseResult(case_id="c", arm="primary", repeat=0, result=result, live=True)
    return PairResult(
        pair_name=name, pair_version="1", pair_digest=name, model="amazon.x", backup=None, answered_by=(by,),
        is_production=False, cases=(item,), metrics={key: metric(key, value) for key, value in figures.items()}, gate=gate,
    )  # fmt: skip


def make_evaluation(*pairs: PairResult) -> Evaluation:
    return Evaluation(
        run_id="r1", task="summarize", environment="local", started_at="t", dataset_name="tiny", dataset_digest="d",
        suite_digest="s", code_version="c", case_count=12, production_name=None, production_version=None, pairs=pairs,
        calls_live=1, calls_cached=0, seconds=1.0, stand_in="small",
    )  # fmt: skip


QUALITY = quality_spec(SUITE, "grounded")
EVALUATION = make_evaluation(
    make_pair("best@m", 0.9, 0.004, 900.0),
    make_pair("cheap@m", 0.7, 0.001, 900.0),
    make_pair("beaten@m", 0.7, 0.002, 900.0),
    make_pair("quick@m", 0.6, 0.004, 90.0, by="small"),
    make_pair("cached@m", 0.95, 0.001, None),
)


def test_the_front_holds_what_no_other_beats_in_quality_cost_and_latency() -> None:
    front = {point.prompt: point.front for point in sweep_points(EVALUATION, SUITE, QUALITY)}
    assert front == {"best": True, "cheap": True, "beaten": False, "quick": True, "cached": None}


def test_two_equal_combinations_are_both_on_the_front() -> None:
    twins = make_evaluation(make_pair("a@m", 0.9, 0.1, 9.0), make_pair("b@m", 0.9, 0.1, 9.0))
    assert [point.front for point in sweep_points(twins, SUITE, QUALITY)] == [True, True]


def points() -> list[SweepPoint]:
    return sweep_points(EVALUATION, SUITE, QUALITY)


def test_the_chart_draws_each_point_with_both_bars_and_leaves_out_missing_figures() -> None:
    over_cost = str(scatter(points(), "cost", higher_is_better=True, title="t"))
    over_latency = str(scatter(points(), "latency", higher_is_better=True, title="t"))
    assert over_cost.count("<circle") == 5
    assert over_latency.count("<circle") == 4
    assert over_cost.count('class="range thin"') == 10
    assert 'class="front"' in over_latency
    assert over_cost.count("standin") == 1

    def height(name: str) -> float:
        found = re.search(rf'cy="([\d.]+)" r="8"><title>\d+ {name}@m', over_cost)
        assert found is not None
        return float(found[1])

    assert height("best") < height("cheap") == height("beaten")  # up is better


def test_no_chart_where_everything_is_free() -> None:
    free = make_evaluation(make_pair("a@m", 0.9, 0.0, 9.0), make_pair("b@m", 0.8, 0.0, 9.0))
    assert scatter(sweep_points(free, SUITE, QUALITY), "cost", higher_is_better=True, title="t") == ""


def test_the_page_loads_nothing_names_the_stand_in_and_escapes(tmp_path: Path) -> None:
    odd = make_evaluation(make_pair("<b>@m", 0.9, 0.004, 900.0, by="small"))
    page = render_sweep(odd, SUITE, QUALITY, sweep_points(odd, SUITE, QUALITY))
    assert "<b>@m" not in page
    assert "<script" not in page
    assert "src=" not in page
    assert "Stand-in." in page
    path = write_sweep(EVALUATION, SUITE, QUALITY, points(), tmp_path / "s")
    assert sorted(item.name for item in path.parent.iterdir()) == ["sweep.html", "sweep.json"]
    plain = json.loads((path.parent / "sweep.json").read_text())
    assert [point["front"] for point in plain["points"]] == [True, True, False, True, None]
    assert plain["points"][0]["quality"]["unit"] == Unit.RATE
