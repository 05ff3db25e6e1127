"""What a candidate would change in scored calls, counted by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest
from shadowed import judged, record, report_of

from eval.shadow.report import console_lines, render_shadow, to_json, verdict_changes
from service.core.tasks.scorecard.card import CriterionResult, Scorecard, ScoreFields


def card(passed, **verdicts):
    criteria = [
        CriterionResult(
            id=name, section="all", question="Was it done?", weight=Decimal(1), required=False, verdict=verdict
        )
        for name, verdict in verdicts.items()
    ]
    score = ScoreFields(
        total=Decimal(1), maximum=Decimal(2), percentage=Decimal(50), pass_threshold=Decimal("0.5"), passed=passed,
        failed=(), failed_required=(), not_applicable=(),
    )  # fmt: skip
    return Scorecard(
        call_id="c", tenant="acme", form_id="support", form_version=1, status="scored", needs_review=False, review=(),
        criteria=tuple(criteria), score=score,
    ).model_dump_json()  # fmt: skip


def both(number, shown, unseen):
    return record(number, theirs={"output": shown}, ours={"output": unseen})


RECORDS = [
    both(1, card(True, greet="yes", offer="na"), card(True, greet="yes", offer="na")),
    both(2, card(True, greet="yes", offer="yes"), card(False, greet="no", offer="yes")),
    both(3, card(False, greet="no", offer="yes"), card(True, greet="yes", offer="yes")),
    both(4, card(True, greet="yes", offer="yes"), card(True, greet="no", offer="yes")),
    both(5, card(True, greet="yes", offer=None), card(True, greet="yes", offer="no")),
    both(6, card(True, greet="yes"), None),
]


@pytest.mark.acceptance("call-gate-03")
def test_changes_are_counted_by_call_and_criterion():
    found = verdict_changes(RECORDS)
    assert (found.calls, found.same, found.to_passed, found.to_failed) == (5, 1, 1, 1)
    assert found.lines() == [
        "The same verdicts as production's in 1 of 5 calls (0.20 [0.04, 0.62]). 2 calls would turn: 1 to passed, 1 to "
        "failed. Which side is right, only people can say.",
        "support, greet: 3 of 5 calls (yes to no 2, no to yes 1)",
        "support, offer: 1 of 5 calls (none to no 1)",
    ]


def test_without_scorecards_of_both_there_is_nothing_to_say():
    assert verdict_changes(RECORDS[5:]).lines() == []


def test_the_report_has_them_for_scorecards_alone():
    plain = report_of(judged([record(number) for number in range(30)]))
    assert plain.changes == []
    assert "would change in scored calls" not in render_shadow(plain)
    calls = replace(plain.result.comparison, records=tuple(RECORDS))
    told = replace(plain, result=replace(plain.result, task="scorecard", comparison=calls))
    assert "support, greet: 3 of 5 calls (yes to no 2, no to yes 1)" in console_lines(told)
    assert to_json(told)["verdict_changes"] == told.changes
    assert "would change in scored calls" in render_shadow(told)
