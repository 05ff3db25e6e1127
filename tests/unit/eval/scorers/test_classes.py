"""The right class of a single answer."""

import pytest
from pydantic import BaseModel

from eval.scorers.classes import ClassScorer
from eval.spine.cases import Case
from eval.spine.scorer import ScorerContext
from eval.verdict.pools import Prediction
from service.core.run.task import TaskResult


class _Inputs(BaseModel):
    pass


@pytest.mark.parametrize(
    ("wanted", "said", "value", "findings"),
    [
        ("urgent", "urgent", 1.0, ()),
        ("urgent", "routine", 0.0, ("routine where urgent is right",)),
        ("urgent", None, 0.0, ("no class where urgent is right",)),
        (None, "urgent", None, ()),
    ],
)
def test_a_wrong_class_is_a_finding_that_names_both(wanted, said, value, findings):
    scorer = ClassScorer(label=lambda case: wanted, predicted=lambda result: Prediction(label=said))
    result = TaskResult(output="x", arm="primary", model="m", answered_by="m", latency_ms=1.0)
    context = ScorerContext(case=Case(id="c-1", inputs={}), inputs=_Inputs(), result=result, output="x")
    found = scorer.score(context)["class_right"]
    assert (found.value, found.findings, found.applies) == (value, findings, wanted is not None)
