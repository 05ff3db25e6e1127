"""Answers for the tests of pools: a result's output is the class answered, with its confidence behind it: "bill 0.9"."""

from eval.spine.cases import Case
from eval.spine.results import CaseResult, Score
from eval.verdict.pools import Prediction
from service.core.llm.pricing import Cost
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode

FAILED = "failed"


def cases_labelled(labels):
    """Cases ``case-0`` ... with these classes."""
    slices = [{} if label is None else {"class": label} for label in labels]
    return {f"case-{n}": Case(id=f"case-{n}", inputs={}, slices=found) for n, found in enumerate(slices)}


def label_of(case):
    return case.slices.get("class")


def predicted(result):
    label, _, confidence = result.output.partition(" ")
    return Prediction(label=label or None, confidence=float(confidence or 1.0))


def answers(by_case, *, scores=None, costs=None):
    """One result per case and repeat; None abstains, ``FAILED`` is no answer.

    ``scores`` are those of ``right``, shaped as ``by_case``: None is unscored, "n/a" does not apply; ``costs`` are in USD.
    """
    found = []
    for n, texts in enumerate(by_case):
        for repeat, text in enumerate(texts):
            failed = text == FAILED
            cost = 0.0 if costs is None else costs[n][repeat]
            result = TaskResult(
                output=None if failed else text or "",
                arm="primary",
                model="m",
                answered_by="m",
                latency_ms=1.0,
                failure=FailureCode.DEADLINE if failed else None,
                cost=None if cost is None else Cost(metered_usd=cost, cold_usd=cost, warm_usd=cost),
            )
            given = {} if scores is None else {"right": _score(scores[n][repeat])}
            item = CaseResult(case_id=f"case-{n}", arm="primary", repeat=repeat, result=result, live=True, scores=given)
            found.append(item)
    return found


def scored(by_case):
    """Results with these scores; ``FAILED`` is no answer."""
    texts = [[FAILED if value == FAILED else "said" for value in values] for values in by_case]
    return answers(texts, scores=[[None if value == FAILED else value for value in values] for values in by_case])


def _score(value):
    if value is None or value == "n/a":
        return Score(value=None, unscored="nobody can tell", applies=value is None)
    return Score(value=float(value))
