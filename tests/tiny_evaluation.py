"""A hand-built evaluation of twelve cases: one pair in production, one that fails, one answered by a stand-in."""

from decimal import Decimal
from typing import Any

from eval.spine.cases import Case, Expectations, Fact, Forbidden
from eval.spine.results import CaseResult, Check, Evaluation, GateResult, PairResult, QuotingFinding, Score, Verdict
from eval.spine.suite import Floor, MetricSpec, NoWorse, Suite
from figures.metric import Metric, Unit
from service.core.llm.pricing import Cost, Usage
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode

SCRIPT = "<script>alert('owned')</script>"
STATEMENT = "A refund of $450 was promised."
FINDING = QuotingFinding("amount $450 is in no interaction", quote=STATEMENT, value="$450")


class _NoScorer:
    name = "none"
    scores = ("grounded", "fact_coverage", "forbidden_clear")


SUITE = Suite(
    task="summarize",
    gate_dataset="tiny",
    scorers=(_NoScorer(),),  # type: ignore[arg-type]  # reports never score
    metrics=(
        MetricSpec(name="chrf", kind="corpus", unit=Unit.SCORE),
        MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),
        MetricSpec(name="fact_coverage", kind="mean", score="fact_coverage", unit=Unit.RATE),
        MetricSpec(name="forbidden_clear", kind="rate", score="forbidden_clear", unit=Unit.RATE),
        MetricSpec(name="latency_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="cost_cold", kind="cost", score="cold", unit=Unit.USD, higher_is_better=False),
        MetricSpec(name="cost_warm", kind="cost", score="warm", unit=Unit.USD, higher_is_better=False),
    ),
    floors=(Floor(metric="grounded", bound=0.8, reason="an invented amount is a promise"),),
    no_worse=(NoWorse(metric="grounded", margin=0.05, reason="one case in twenty"),),
    judged_only=(),
    max_unscored_rate=0.15,
    minimum_latency_calls=2,
    slices=("family",),
    table=("chrf", "grounded", "fact_coverage", "forbidden_clear", "latency_p95", "cost_cold", "cost_warm"),
)


def interaction(name: str, at: str, text: str) -> dict[str, str]:
    return {"interaction_id": name, "channel": "chat", "timestamp": at, "intent": "HighBill", "text": text}


def make_case(number: int) -> Case:
    return Case(
        id=f"tiny-{number:02}",
        inputs={
            "as_of": "2026-11-20T12:00:00Z",
            "account_number": "6021457738",
            "contact_id": f"c-{number}",
            "max_history_days": 30,
            "interactions": [
                interaction("i0", "2026-01-03T14:12:00Z", "long ago"),
                interaction("i1", "2026-11-03T14:12:00Z", f"My bill is $45 too high {SCRIPT}"),
            ],
        },
        expectations=Expectations(
            references=("Customer disputes a $45 charge.",),
            facts=(Fact(statement="A $45 charge is disputed", accepted=("$45",), interaction_id="i1", span="$45"),),
            forbidden=(Forbidden(claim="The refund was promised", accepted=("refund + promised",)),),
        ),
        slices={"family": "billing" if number < 11 else "outage"},
    )


CASES = {case.id: case for case in map(make_case, range(12))}


def metric(name: str, value: float | None, half: float = 0.05, **changes: object) -> Metric:
    spec = SUITE.metric(name)
    fields: dict[str, object] = {
        "name": name,
        "unit": spec.unit,
        "higher_is_better": spec.higher_is_better,
        "value": value,
        "low": None if value is None else value - half,
        "high": None if value is None else value + half,
        "n": 0 if value is None else 12,
    }
    return Metric(**{**fields, **changes})  # type: ignore[arg-type]


def metrics(grounded: float, cost: float, note: str = "") -> dict[str, Metric]:
    made = [
        metric("chrf", 41.2, 3.0),
        metric("grounded", grounded),
        metric("fact_coverage", 0.5, n=11),
        metric("forbidden_clear", 0.9),
        metric("latency_p95", None) if note == "none" else metric("latency_p95", 1900.0, 200.0, note=note),
        metric("cost_cold", cost, cost / 10),
        metric("cost_warm", cost / 2, cost / 20),
    ]
    return {item.name: item for item in made}


def answer(number: int, *, bad: bool = False, failure: FailureCode | None = None, by: str = "nova-lite") -> CaseResult:
    output = f"Customer disputes a charge {SCRIPT}. {STATEMENT}" if bad else "Customer disputes a $45 charge."
    result = TaskResult(
        output=None if failure else output,
        arm="primary",
        model="amazon.nova-lite-v1:0",
        answered_by="" if failure else by,
        latency_ms=900.0 + number,
        model_ms=890.0 + number,
        usage=Usage(input_tokens=900, output_tokens=90),
        cost=Cost(metered_usd=Decimal("0.0000756")),
        failure=failure,
        failure_message="the answer has 140 words" if failure else "",
        raw_text=f"## {SCRIPT}" if failure else "",
    )
    scores = {
        "grounded": Score(value=0.0 if bad else 1.0, findings=(FINDING,) if bad else ()),
        "fact_coverage": Score(value=0.0 if bad else 1.0, findings=("A $45 charge is disputed",) if bad else ()),
        "forbidden_clear": Score(
            value=0.0 if bad else 1.0,
            findings=("claims 'The refund was promised' by the form 'refund + promised'",) if bad else (),
        ),
    }
    if failure:
        scores = dict.fromkeys(scores, Score(value=None, unscored=f"no answer: {failure.value}"))
    return CaseResult(case_id=f"tiny-{number:02}", arm="primary", repeat=0, result=result, live=True, scores=scores)


def floor(verdict: Verdict, value: float) -> Check:
    low, high = value - 0.05, value + 0.05
    return Check(
        kind="floor",
        metric=Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=value, low=low, high=high, n=12),
        bound=0.8,
        verdict=verdict,
        reason="an invented amount is a promise",
        explanation="the whole interval was looked at",
    )


def make_pair(name: str, verdict: Verdict, grounded: float, results: list[CaseResult], **changes: object) -> PairResult:
    gate = GateResult(
        pair_name=name, pair_digest=f"{name}-digest", dataset_digest="d" * 64, suite_digest="s" * 64,
        baseline_digest="current-digest", checks=(floor(verdict, grounded),),
    )  # fmt: skip
    fields: dict[str, object] = {
        "pair_name": name, "pair_version": "1.0.0", "pair_digest": f"{name}-digest", "model": "amazon.nova-lite-v1:0",
        "backup": None, "answered_by": ("nova-lite",), "is_production": False, "cases": tuple(results),
        "metrics": metrics(grounded, 0.000214), "gate": gate,
    }  # fmt: skip
    return PairResult(**{**fields, **changes})  # type: ignore[arg-type]


def tiny_evaluation() -> Evaluation:
    """Twelve cases, three pairs."""
    good = [answer(number) for number in range(12)]
    bad = [answer(0, bad=True), answer(1, failure=FailureCode.OUTPUT_INVALID), *good[2:]]
    away = [answer(number, by="Small-1B (stand-in)") for number in range(12)]
    delta = metric("grounded", -0.3, 0.1)
    return Evaluation(
        run_id="20261121T040000-1f2e",
        task="summarize",
        environment="local",
        started_at="2026-11-21T04:00:00Z",
        dataset_name="tiny",
        dataset_digest="d" * 64,
        suite_digest="s" * 64,
        code_version="3f2a9c1",
        case_count=12,
        production_name="current",
        production_version=3,
        pairs=(
            make_pair("current", Verdict.PASS, 0.9, good, is_production=True),
            make_pair("bad-one", Verdict.FAIL, 0.6, bad, deltas={"grounded": delta}),
            make_pair(
                "borrowed",
                Verdict.PASS,
                0.95,
                away,
                answered_by=("Small-1B (stand-in)",),
                deltas={"grounded": metric("grounded", 0.05, 0.04)},
                metrics=metrics(0.95, 0.000214, "measured in run r0; no live calls in this one"),
            ),
        ),
        calls_live=36,
        calls_cached=4,
        seconds=12.5,
        stand_in="Small-1B (bundled)",
    )


def bare_suite(**changes: Any) -> Suite:
    """Return a suite of one metric that demands nothing."""
    fields: dict[str, Any] = {
        "task": "summarize", "gate_dataset": "tiny", "scorers": (), "floors": (), "no_worse": (), "judged_only": (),
        "metrics": (MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),),
        "max_unscored_rate": 0.15, "minimum_latency_calls": 2,
    }  # fmt: skip
    return Suite(**fields | changes)


def bare_gate(name: str, **changes: Any) -> GateResult:
    """Return the gate of a pair without checks."""
    fields = {"dataset_digest": "d", "suite_digest": "s", "baseline_digest": None, "checks": ()}
    return GateResult(**{"pair_name": name, "pair_digest": name} | fields | changes)


def bare_pair(gate: GateResult, **changes: Any) -> PairResult:
    """Return the result of the gate's pair, without cases and figures."""
    fields: dict[str, Any] = {
        "pair_name": gate.pair_name, "pair_digest": gate.pair_digest, "pair_version": "1", "model": "m", "backup": None,
        "answered_by": ("m",), "is_production": False, "cases": (), "metrics": {},
    }  # fmt: skip
    return PairResult(gate=gate, **fields | changes)


def bare_evaluation(*pairs: PairResult, **changes: Any) -> Evaluation:
    """Return an evaluation of twelve cases with nothing in production."""
    fields: dict[str, Any] = {
        "run_id": "r", "task": "summarize", "environment": "local", "started_at": "t", "dataset_name": "tiny",
        "dataset_digest": "d", "suite_digest": "s", "code_version": "c", "case_count": 12, "production_name": None,
        "production_version": None, "calls_live": 0, "calls_cached": 0, "seconds": 1.0,
    }  # fmt: skip
    return Evaluation(pairs=pairs, **fields | changes)
