"""How replies are judged: by the documents that were found and those that are named."""

from eval.spine.case_rules import CaseRules
from eval.spine.cases import Expectations
from eval.spine.results import Score
from eval.spine.suite import Floor, MetricSpec, NoWorse, Suite
from eval.verdict.pools import CitationPrecision, CitedIn, FoundWith, RecallAt
from figures.metric import Unit


class Wanted(Expectations):
    documents: tuple[str, ...]


class Replied:
    name = "replied"
    scores = ("replied",)

    def score(self, context):
        return {"replied": Score(value=float(bool(context.output)))}


def wanted(case):
    return frozenset(case.expectations.documents)


CASE_RULES = CaseRules(expectations=Wanted)
SUITE = Suite(
    task="replies",
    gate_dataset="dev",
    scorers=(Replied(),),
    metrics=(
        MetricSpec(name="replied", kind="rate", score="replied", unit=Unit.RATE),
        MetricSpec(name="recall_5", kind="pooled", score="recall_5", unit=Unit.RATE),
        MetricSpec(name="citations_right", kind="pooled", score="citations_right", unit=Unit.RATE),
    ),
    pools={
        "recall_5": RecallAt(k=5, wanted=wanted, found=FoundWith("search_documents")),
        "citations_right": CitationPrecision(wanted=wanted, cited=CitedIn("sources")),
    },
    floors=(
        Floor(metric="recall_5", bound=0.6, reason="as much as 25 questions can show"),
        Floor(metric="citations_right", bound=0.4, reason="as much as 25 questions can show"),
    ),
    no_worse=(NoWorse(metric="citations_right", margin=0.3, reason="as small as 25 questions can show"),),
    judged_only=(),  # a test looks at documents alone
    max_unscored_rate=0.1,
    minimum_latency_calls=1,
    table=("recall_5", "citations_right"),
)
