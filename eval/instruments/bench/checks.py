"""``omni bench checks``: CPU time of the guard and of accounting for an answer, beside filling the same request's prompt."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eval.run.loaders import load_dataset
from eval.spine.accounts import ACCOUNTED
from eval.spine.scorer import ScorerContext
from eval.suites import load_suite
from service.core.run.task import TaskResult, load_task
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings

GUARD_TARGET_MS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCost:
    """CPU milliseconds of one answer: median and 95th percentile over answers, each checked once, as production does."""

    median_ms: float
    p95_ms: float


def check_costs(settings: Settings, *, cases: int | None = None) -> dict[str, CheckCost]:
    """Return what ``prompt``, ``guard`` and ``accounting`` cost on the references of the gate set; ``cases`` None: all."""
    task, suite = load_task("summarize"), load_suite("summarize")
    chosen = load_dataset(suite.gate_dataset, task="summarize", input_model=task.input_model, settings=settings).cases
    accounts = next(scorer for scorer in suite.scorers if ACCOUNTED in scorer.scores)

    def prompt(case: Any, _: str) -> None:
        task.values(task.input_model.model_validate(case.inputs))

    def guard(case: Any, text: str) -> None:
        found = task.guard(task.input_model.model_validate(case.inputs))
        assert found is not None
        found(text)

    def accounting(case: Any, text: str) -> None:
        result = TaskResult(output=text, arm="primary", model="none", answered_by="none", latency_ms=0.0)
        inputs = task.input_model.model_validate(case.inputs)
        assert accounts.score(ScorerContext(case=case, inputs=inputs, result=result, output=text))

    answers = [(case, case.expectations.references[0]) for case in chosen[:cases]]
    return {
        "prompt": _cost(prompt, answers),
        "guard": _cost(guard, answers),
        "accounting": _cost(accounting, answers),
    }


def _cost(check: Callable[[Any, str], None], answers: Sequence[tuple[Any, str]]) -> CheckCost:
    check(*answers[0])  # compiles patterns and loads models, once per process
    spent = []
    for answer in answers:
        began = time.process_time_ns()
        check(*answer)
        spent.append((time.process_time_ns() - began) / 1e6)
    return CheckCost(median_ms=statistics.median(spent), p95_ms=statistics.quantiles(spent, n=20)[-1])


def main() -> int:
    """Print the costs, with their ratios to filling the prompt; 1 if the guard takes longer than its target."""
    found = check_costs(Settings())
    base = found["prompt"].median_ms
    for name, cost in found.items():
        say(
            f"{name:<12}{cost.median_ms:7.2f} ms median, {cost.p95_ms:7.2f} ms p95, {cost.median_ms / base:6.0f} times the prompt"
        )
    met = found["guard"].median_ms <= GUARD_TARGET_MS
    say(
        f"guard: at most {GUARD_TARGET_MS:g} ms of CPU: {'met' if met else 'missed; on a busy machine compare the ratio'}"
    )
    return 0 if met else 1
