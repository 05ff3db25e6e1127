"""What a rollout counts of a scored call."""

from decimal import Decimal

import pytest

from service.calls.worker.candidate import _observation
from service.core.llm.pricing import Cost
from service.core.run.task import TaskResult
from service.core.tasks.scorecard.card import CriterionResult, Scorecard
from service.kit.frame.errors import FailureCode


def card(*evidence, status="scored"):
    criteria = [
        CriterionResult(
            id=f"c{number}", section="all", question="Was it done?", weight=Decimal(1), required=False, verdict="yes",
            quote="" if found == "none" else "words", evidence=found,
        )
        for number, found in enumerate(evidence)
    ]  # fmt: skip
    return Scorecard(
        call_id="c", tenant="acme", form_id="f", form_version=1, status=status, needs_review=False, review=(),
        criteria=tuple(criteria), score=None,
    )  # fmt: skip


def seen(output, **more):
    fields = {"arm": "primary", "model": "m", "answered_by": "m", "latency_ms": 40.0}
    return _observation(TaskResult(output=None if output is None else output.model_dump_json(), **fields | more))


@pytest.mark.parametrize(
    ("evidence", "guarded"),
    [
        (("verified",) * 9 + ("unverified",), False),
        (("verified",) * 8 + ("unverified",) * 2, False),
        (("verified",) * 7 + ("unverified",) * 3, True),
        (("none",) * 9 + ("unverified",), True),  # of one quote one is invented
        (("none", "missing"), False),
        ((), False),
    ],
)
@pytest.mark.acceptance("call-gate-02")
def test_a_call_with_too_many_invented_quotes_counts_as_guarded(evidence, guarded):
    assert seen(card(*evidence)).guarded is guarded


def test_a_card_without_a_score_is_degraded_and_no_answer_an_error():
    assert seen(card("verified", status="incomplete")).degraded is True
    assert seen(card("verified")).degraded is False
    failed = seen(None, failure=FailureCode.OUTPUT_INVALID)
    assert (failed.error, failed.degraded, failed.guarded) == (True, False, False)


def test_latency_and_cost_are_the_runs():
    found = seen(card("verified"), cost=Cost(metered_usd=Decimal("0.002"), cold_usd=Decimal(0), warm_usd=Decimal(0)))
    assert (found.latency_ms, found.cost_usd, found.error) == (40.0, 0.002, False)
