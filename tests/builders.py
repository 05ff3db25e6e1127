"""What several test files build: values in which only what a test names matters."""

from eval.cases import Case, Expectations
from eval.results import CaseResult, Score
from service.llm.pricing import Cost, Usage
from service.pair import Message, OutputRules, Pair, Sampling, ServingPolicy
from service.task import TaskResult

REFERENCES = [
    "The customer disputes a late fee of forty dollars and waits for a call.",
    "Power was restored on Monday after a crew replaced the transformer.",
    "A deposit refund was promised in October and has not arrived yet.",
]
CASES = {
    f"case-{n}": Case(id=f"case-{n}", inputs={}, expectations=Expectations(references=(text,)))
    for n, text in enumerate(REFERENCES)
}


def make_pair(task="demo", name="p", version="1.0.0", system=None):
    asked = Message(role="user", content="<history>{{history}}</history>")
    return Pair(
        name=name,
        task=task,
        version=version,
        model="m",
        backup=None,
        sampling=Sampling(max_output_tokens=100),
        output=OutputRules(schema="s", max_words=90),
        serving=ServingPolicy(),
        messages=(asked,) if system is None else (Message(role="system", content=system), asked),
        variables=("history",),
    )


def case_result(n, output, *, live=True, measured_in=None, ms=100.0, failure=None, scores=None, repeat=0, cost=1.0):
    """The answer to ``case-<n>``; a score of None is unscored."""
    answered = TaskResult(
        output=None if failure else output,
        arm="primary",
        model="m",
        answered_by="m",
        latency_ms=ms,
        model_ms=ms,
        usage=Usage(),
        cost=Cost(metered_usd=cost, cold_usd=2 * cost, warm_usd=cost),
        failure=failure,
    )
    values = scores or {}
    return CaseResult(
        case_id=f"case-{n}",
        arm="primary",
        repeat=repeat,
        result=answered,
        live=live,
        measured_in=measured_in,
        scores={k: Score(value=v) if v is not None else Score(value=None, unscored="x") for k, v in values.items()},
    )
