from dataclasses import dataclass

from eval.scorers.guard import GuardScorer
from eval.spine.cases import Case
from eval.spine.scorer import ScorerContext
from eval.suites.summarize import SUITE
from service.core.run.task import TaskResult
from service.core.statements.answers.finding import Finding


@dataclass
class Words:
    heavy = False

    def prepare(self):
        pass

    def __call__(self, text):
        return (Finding(kind="name", value="Zoe"), Finding(kind="name", value="Ann")) if "Zoe" in text else ()


def score(text):
    result = TaskResult(output=text, arm="primary", model="m", answered_by="m", latency_ms=1)
    context = ScorerContext(case=Case(id="case-1", inputs={}), inputs=None, result=result, output=text)
    return GuardScorer(lambda _: Words()).score(context)["guard_clear"]


def test_what_the_service_would_not_show_counts():
    assert score("It was paid.").value == 1.0
    found = score("Zoe paid.")
    assert (found.value, found.findings) == (0.0, ("guard: name",))


def test_the_gate_compares_with_production_how_often_the_guard_would_speak():
    assert "guard_clear" in {check.metric for check in SUITE.no_worse}
