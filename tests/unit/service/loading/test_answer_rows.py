"""Answers of any task become rows among the summaries, with their task, and a row of details."""

import json
from contextlib import closing
from functools import partial

import loadable
import pytest

from service.core.redaction.texts import TextRedactor
from service.loading.batch import prepare
from service.loading.bulk import BulkLoader
from service.loading.objects import DeadReason, kind_of, kind_of_line
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import AnswerDetailEvent, FeedbackEvent, SummaryEvent


def prepared(*records):
    return prepare([loadable.item(record) for record in records], loadable.NOW, TextRedactor())


def only(table):
    (row,) = table.to_pylist()
    return row


def test_an_answer_is_a_row_with_its_task_and_one_of_details():
    record = loadable.answer()
    made = prepared(record)
    assert not made.dead
    row = SummaryEvent(**only(made.tables[SummaryEvent]))
    assert (row.task, row.request_id, row.contact_id, row.summary_id) == ("desk", *[record.request_id] * 3)
    assert row.unique_process_id == row.initial_contact_id == record.conversation
    assert row.account_number == record.customer
    assert json.loads(row.summary_text) == {"reply": "[name] paid $4.20.", "conversation": record.conversation}
    assert (row.channels, row.max_interactions, row.last_channel, row.cache_hit) == ("", 0, None, False)
    details = AnswerDetailEvent(**only(made.tables[AnswerDetailEvent]))
    assert json.loads(details.inputs) == record.inputs | {"question": "Where is [name]?"}
    assert json.loads(details.tools) == [{"name": "orders", "status": "done", "reason": None}]
    assert (details.task, details.conversation) == ("desk", record.conversation)
    assert details.source_key == row.source_key == record.object_key
    assert [(one.kind, one.row_count) for one in made.good] == [("answer", 2)]


def test_an_answer_without_customer_conversation_and_inputs_is_loaded():
    made = prepared(loadable.answer(customer="", conversation=None, inputs=None, output="Yes.", tools=()))
    assert not made.dead
    row = only(made.tables[SummaryEvent])
    assert (row["unique_process_id"], row["account_number"], row["summary_text"]) == ("req-000000000001", "", "Yes.")
    details = only(made.tables[AnswerDetailEvent])
    assert (details["inputs"], details["conversation"], details["tools"]) == (None, None, "[]")


def test_feedback_names_its_task_and_reason():
    said = loadable.answer_verdict(reason="wrong", comment="Ask Delphine Marchetti", edited_output="No.")
    row = FeedbackEvent(**only(prepared(said).tables[FeedbackEvent]))
    assert (row.task, row.reason, row.comment, row.edited_summary) == ("desk", "wrong", "Ask [name]", "No.")
    assert (row.request_id, row.contact_id, row.unique_process_id) == (*[said.request_id] * 2, said.conversation)
    better = loadable.answer_verdict(comment="", edited_output='{"reply": "Ask Delphine Marchetti", "sure": 0.5}')
    row = FeedbackEvent(**only(prepared(better).tables[FeedbackEvent]))
    assert (row.comment, json.loads(row.edited_summary)) == ("", {"reply": "Ask [name]", "sure": 0.5})
    older = FeedbackEvent(**only(prepared(loadable.feedback()).tables[FeedbackEvent]))
    assert (older.task, older.reason) == ("summarize", None)


@pytest.mark.parametrize("wrong", [{"tools": [{"name": "x", "status": "done", "answer": "secret"}]}, {"task": "a b"}])
def test_an_object_of_another_form_is_dead(wrong):
    item = loadable.item(loadable.answer())
    body = json.dumps(json.loads(item.body) | wrong).encode()
    made = prepare([type(item)(key=item.key, etag="e", body=body)], loadable.NOW, TextRedactor())
    assert [one.reason for one in made.dead] == [DeadReason.WRONG_SCHEMA]
    assert "secret" not in made.dead[0].detail


def test_kinds_are_told_by_key_and_by_line():
    records = (
        ("answer", loadable.answer(inputs={"attestation_digest": 1, "released_at": 2, "feedback": "x"})),
        ("answer_feedback", loadable.answer_verdict(comment="\"reason\" 'no'")),
        ("summary", loadable.summary(summary='"persons" "reason"')),
        ("feedback", loadable.feedback(comment='"reason"')),
        ("release", loadable.release()),
    )
    for kind, record in records:
        assert kind_of(record.object_key) == kind
        assert kind_of_line(record.model_dump_json().encode()) == kind


def test_the_newest_verdict_joins_its_answer(tmp_path):
    first, second = loadable.answer(1), loadable.answer(2, task="other")
    lines = tmp_path / "events.jsonl"
    verdicts = (
        loadable.answer_verdict(1, minutes=5, verdict="not_helpful"),
        loadable.answer_verdict(1, minutes=9, verdict="helpful"),
    )
    records = (*verdicts, first, second, loadable.summary(3), loadable.feedback(3, verdict="not_helpful"))
    lines.write_text("".join(one.model_dump_json() + "\n" for one in records))
    path = tmp_path / "house.duckdb"
    loader = BulkLoader(
        open_warehouse=partial(DuckWarehouse, path),
        account_key=b"k" * 32,
        redactor=TextRedactor,
        processes=1,
        now=lambda: loadable.NOW,
    )
    tally, _ = loader.load(lines)
    assert (tally.loaded, tally.dead.total(), tally.verdicts) == (6, 0, 2)
    with closing(DuckWarehouse(path, read_only=True)) as warehouse:
        found = warehouse.query("SELECT task, helpful_feedback FROM omni_summaries ORDER BY task")
        rated = warehouse.query("SELECT task, COUNT(*) AS n FROM omni_feedback GROUP BY task ORDER BY task")
    assert found.fillna("").to_numpy().tolist() == [["desk", "helpful"], ["other", ""], ["summarize", "not_helpful"]]
    assert rated.to_numpy().tolist() == [["desk", 2], ["summarize", 1]]
