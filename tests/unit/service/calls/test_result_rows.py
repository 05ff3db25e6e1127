"""The warehouse's row of a call: what it holds of the insights, and that it quotes nothing of the call."""

import pytest
from builders import FakeCalls, call_result

from service.calls.insights.insight import CallInsights, TurnInsight
from service.calls.result import CallResult, rows_of

READ = CallInsights(
    by="amazon-comprehend",
    sentiment="NEGATIVE",
    balance=-0.4,
    key_phrases=("a broken boiler",),
    turns=(TurnInsight(turn=0, sentiment="NEGATIVE", balance=-0.4, key_phrases=("a broken boiler",)),),
)


def row(insights):
    calls = FakeCalls()
    call = calls.add("acme", "one", {"greet": "yes"})
    result = call_result(calls.jobs["acme", call], {"greet": "yes"})
    found = {"insights": insights, "key_phrases": insights.key_phrases if insights else ()}
    return rows_of(result.model_copy(update=found), "k")[0]


@pytest.mark.parametrize(
    ("insights", "columns"),
    [
        (None, (None, None, None, None)),
        (READ, ("amazon-comprehend", "NEGATIVE", -0.4, None)),
        (
            CallInsights(
                by="amazon-comprehend", failure="Amazon Comprehend refuses Ann's call", failure_code="refused"
            ),
            ("amazon-comprehend", None, None, "refused"),
        ),
        (CallInsights(by="local-words-v1", failure="no words are spoken"), ("local-words-v1", None, None, "unstated")),
    ],
)
@pytest.mark.acceptance("score-05")
def test_a_row_has_reader_sentiment_and_the_code_of_a_failure(insights, columns):
    found = row(insights)
    assert (
        found.insights_by, found.insights_sentiment, found.insights_balance, found.insights_failure
    ) == columns  # fmt: skip


@pytest.mark.acceptance("score-05")
def test_a_row_has_no_phrase_and_no_sentence_of_a_failure():
    assert "boiler" not in row(READ).model_dump_json()
    assert (
        "Ann" not in row(CallInsights(by="x", failure="refuses Ann's call", failure_code="refused")).model_dump_json()
    )


def test_results_that_were_stored_without_a_code_are_read():
    calls = FakeCalls()
    text = call_result(calls.jobs["acme", calls.add("acme", "one", {})], {}).model_dump(mode="json")
    text["insights"] = {"by": "local-words-v1", "failure": "no words are spoken"}
    assert rows_of(CallResult.model_validate(text), "k")[0].insights_failure == "unstated"
